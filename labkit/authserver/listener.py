"""uvicorn's HTTP protocol on a loop of ours: starts in a millisecond, stops as fast.

``uvicorn.Server`` installs signal handlers, ticks ten times a second and takes 160 ms to stop; its protocol
class does all that is needed here.
"""

import asyncio
import logging
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

__all__ = ["HttpListener"]

#: Bytes of request line and headers that a request may have.
MAX_HEAD = 32_768
#: Seconds of real time for a request's head to come, and for a quiet connection to stay open.
MAX_HEAD_TIME = 10.0
MAX_IDLE_TIME = 60
#: Seconds of real time that requests under way have left when the server stops.
_GRACE = 0.02

# Without a handler of its own, Python prints a library's warnings to stderr: background code never prints.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class _Protocol(HttpToolsProtocol):
    """Also ends connections that never finish what they have to say."""

    _head = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD and self._deadline is not None:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head = 0
        self._deadline = self.loop.call_later(MAX_HEAD_TIME, self.transport.abort)

    def _head_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class HttpListener:
    """Serves an ASGI application on a socket until closed.

    Args:
        app: the application.
    """

    def __init__(self, app: Any) -> None:
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
        self._server: asyncio.Server | None = None

    async def open(self, sock: socket.socket) -> None:
        """Accept connections on ``sock``, which is ours from now on."""
        self._server = await asyncio.get_running_loop().create_server(self._protocol, sock=sock)

    async def close(self) -> None:
        """Stop accepting, let requests under way finish if they are quick, end every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=_GRACE)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # the loop tells the protocols that their connections are gone

    def _protocol(self) -> _Protocol:
        return _Protocol(config=self._config, server_state=self._state, app_state={})
