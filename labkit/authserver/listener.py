"""uvicorn's HTTP protocol on a loop of ours: starts in a millisecond, stops as fast.

``uvicorn.Server`` installs signal handlers, ticks ten times a second and takes 160 ms to stop; its protocol
class does all that is needed here.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from labkit.authserver.faults import CUT
from labkit.authserver.requests import CERTIFICATE
from labkit.handshakes import Handshakes
from labkit.tokens.thumbprint import of_certificate

__all__ = ["HttpListener"]

#: Bytes of request line and headers that a request may have.
MAX_HEAD = 32_768
#: Seconds of real time for a request's head to come, and for a quiet connection to stay open.
MAX_HEAD_TIME = 10.0
MAX_IDLE_TIME = 60
#: TLS handshakes under way; each has ``MAX_HEAD_TIME``.
MAX_HANDSHAKES = 256
#: Seconds of real time that requests under way have left when the server stops.
_GRACE = 0.02

# Without a handler of its own, Python prints a library's warnings to stderr: background code never prints.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class _OneWrite:
    """A transport that sends what is written in one go of the loop as one piece.

    uvicorn writes head and body apart.  Together they are one system call and one packet instead of two.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            data, self._held = b"".join(self._held), []
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    """Also ends connections that never finish what they have to say."""

    _in_head = True
    _in_message = False
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _tls: ssl.SSLObject | None = None

    def connection_made(self, transport: Any) -> None:
        self._out = _OneWrite(transport, self.loop)
        super().connection_made(self._out)  # type: ignore[arg-type]
        self._tls = transport.get_extra_info("ssl_object")
        self._watch()

    @property
    def _owes(self) -> bool:
        """Whether the peer has begun something that nobody waits for: a head, or a body after its answer."""
        return self._in_head or (self._in_message and self.cycle is not None and self.cycle.response_complete)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_head = self._in_message = False
        self._watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # uvicorn stops the idle timer at any byte; only the beginning of a request may do that.
        idle, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if idle is not None:
            if self._in_message or not self.cycle.response_complete:
                idle.cancel()
            else:
                self.timeout_keep_alive_task = idle
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self.transport.abort()
        if self._owes is (self._deadline is None):
            self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has said all it wants to say may still wait for the answer."""
        self._out.flush()
        waits = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        if waits:
            self.cycle.keep_alive = False
        return waits and not self._tls  # with TLS, the end of one direction is the end of both

    def on_message_begin(self) -> None:
        self._in_head = self._in_message = True
        self._head_bytes = 0
        super().on_message_begin()
        self.scope["state"][CUT] = self.transport.abort  # for a fault that is ordered
        if self._tls is not None:
            self.scope["state"][CERTIFICATE] = of_certificate(self._tls.getpeercert(binary_form=True))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers are no headers, and nobody here wants them (RFC 9110 §6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._owes is (self._deadline is None):
            self._watch()

    def _watch(self) -> None:
        """Have a deadline while the peer owes something, and none otherwise."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(MAX_HEAD_TIME, self.transport.abort) if self._owes else None


class HttpListener:
    """Serves an ASGI application on a socket until closed.

    Args:
        app: the application.
        now: tells the time, in Unix seconds.
        wake: lets go on what is held back on purpose, when nobody is there any more to hear the answer.
        tls: the server's side of TLS, or ``None`` for plain HTTP.
        failed: told why, in words, when a TLS handshake fails.
    """

    def __init__(
        self,
        app: Any,
        now: Callable[[], float],
        wake: Callable[[], None] = lambda: None,
        *,
        tls: ssl.SSLContext | None = None,
        failed: Callable[[str], object] = lambda why: None,
    ) -> None:
        self._now = now
        self._wake = wake
        self._config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # or anybody could claim to be any peer
            timeout_keep_alive=MAX_IDLE_TIME,
        )
        self._config.load()
        self._state = ServerState()
        self._sock: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._date: asyncio.TimerHandle | None = None
        self._handshakes: Handshakes | None = None
        if tls is not None:
            self._handshakes = Handshakes(
                tls, self._protocol, seconds=MAX_HEAD_TIME, at_most=MAX_HANDSHAKES, failed=failed
            )

    async def open(self, sock: socket.socket) -> None:
        """Accept connections on ``sock``, which is ours from now on."""
        self._tell_the_date()
        self._sock = sock
        factory = self._handshakes or self._protocol
        self._server = await asyncio.get_running_loop().create_server(factory, sock=sock, backlog=1024)

    async def close(self) -> None:
        """Stop accepting, let requests under way finish if they are quick, end every connection."""
        if self._date is not None:
            self._date.cancel()
        # A connection that was just accepted needs a few turns to show up in the list; if the server were
        # closed before that, its socket would be lost (CPython 3.11).
        if self._sock is not None:
            with contextlib.suppress(NotImplementedError):  # Windows: that loop accepts in another way
                asyncio.get_running_loop().remove_reader(self._sock)
        await _turns(3)
        if self._server is not None:
            self._server.close()
        if self._handshakes is not None:
            await self._handshakes.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=_GRACE)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await _turns(3)  # the loop closes the sockets and tells the protocols
        self._wake()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=_GRACE)

    def _tell_the_date(self) -> None:
        """Renew the ``Date`` header every second (RFC 9110 §6.6.1), by the lab's clock."""
        date = formatdate(self._now(), usegmt=True).encode()
        self._state.default_headers[:] = [(b"date", date)]
        self._date = asyncio.get_running_loop().call_later(1.0, self._tell_the_date)

    def _protocol(self) -> _Protocol:
        return _Protocol(config=self._config, server_state=self._state, app_state={})


async def _turns(count: int) -> None:
    """Let the loop go round that often."""
    for _ in range(count):
        await asyncio.sleep(0)
