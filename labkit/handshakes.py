"""TLS handshakes under way: bounded in number and in time, and quiet when they fail.

::

    TCP connect ──▶ handshake ──done──▶ the server's own protocol, which never sees the ones that fail
                        │
                        ├── garbage, a certificate that is not ours, too slow: closed, and told to the record
                        └── too many at a time: the oldest is closed

asyncio can do TLS by itself, but waits a minute for each peer that says nothing, and for any number of them.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, cast

from labkit.service import descriptors

__all__ = ["Handshakes"]

#: Seconds for the other side to answer the end of TLS before the socket is cut.
_FAREWELL = 1.0


class _Quiet(logging.Filter):
    """Keeps asyncio's remarks about TLS on our servers' threads out of a learner's notebook."""

    def filter(self, record: logging.LogRecord) -> bool:
        ours = str(record.threadName).startswith("labkit-")
        return not (ours and "ssl" in record.getMessage().lower())


logging.getLogger("asyncio").addFilter(_Quiet())


class Handshakes:
    """A protocol factory for ``create_server``: does the handshake, then hands over to another protocol.

    Args:
        context: the server's side of TLS.
        factory: makes the protocol of one connection, which begins when the handshake is done.
        seconds: how long a handshake may take.
        at_most: how many may be under way; one more ends the oldest.  Never more than an eighth of what the
            process may have open.
        failed: told why, in words, when one fails.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        factory: Callable[[], asyncio.Protocol],
        *,
        seconds: float,
        at_most: int,
        failed: Callable[[str], object] = lambda why: None,
    ) -> None:
        self._context = context
        self._factory = factory
        self._seconds = seconds
        self._at_most = min(at_most, max(16, descriptors() // 8))
        self._failed = failed
        self._pending: dict[_Doorstep, asyncio.Task[None]] = {}  # the oldest first
        self._closed = False

    def __call__(self) -> asyncio.Protocol:
        return _Doorstep(self._begin)

    @property
    def under_way(self) -> int:
        """How many there are now."""
        return len(self._pending)

    async def close(self) -> None:
        """End them all, and those that are still to come."""
        self._closed = True
        pending = dict(self._pending)
        for step in pending:
            step.abort()
        if pending:
            await asyncio.wait(pending.values())

    def _begin(self, step: "_Doorstep") -> None:
        if self._closed:
            step.abort()
            return
        if len(self._pending) >= self._at_most:
            oldest = next(iter(self._pending))
            del self._pending[oldest]
            oldest.pushed_out = True
            oldest.abort()
        self._pending[step] = asyncio.get_running_loop().create_task(self._shake(step))

    async def _shake(self, step: "_Doorstep") -> None:
        transport, why = None, "the other side went away"
        try:
            transport = await asyncio.get_running_loop().start_tls(
                step.raw,
                step,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._seconds,
                ssl_shutdown_timeout=_FAREWELL,
            )
        except OSError as error:  # ssl's errors are, too
            why = _reason(error)
        finally:
            self._pending.pop(step, None)
        if transport is not None and not self._closed:
            step.hand_over(transport, self._factory())
            return
        step.abort()  # close() would wait for a peer that does not read
        if not self._closed:
            self._failed("too many handshakes at a time" if step.pushed_out else why)


class _Doorstep(asyncio.Protocol):
    """One connection until its handshake is done.  What comes meanwhile is kept for whom it concerns."""

    def __init__(self, begin: "Callable[[_Doorstep], None]") -> None:
        self._begin = begin
        self._held: list[bytes] = []
        self._eof = self._lost = False
        self.pushed_out = False
        self._successor: asyncio.Protocol | None = None
        self.raw: asyncio.Transport = cast(Any, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.raw = cast(asyncio.Transport, transport)
        self.raw.pause_reading()  # the first bytes are for TLS
        self._begin(self)

    def data_received(self, data: bytes) -> None:
        self._held.append(data)

    def eof_received(self) -> None:
        self._eof = True

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        if self._successor is not None:  # the news was on its way when we handed over
            self._successor.connection_lost(error)

    def abort(self) -> None:
        """Cut the line."""
        self.raw.abort()

    def hand_over(self, transport: asyncio.Transport, successor: asyncio.Protocol) -> None:
        """From now on ``successor`` is the one to talk to."""
        if self._lost:
            return
        self._successor = successor
        transport.set_protocol(successor)
        successor.connection_made(transport)
        if self._held:
            successor.data_received(b"".join(self._held))
            self._held.clear()
        if self._eof:
            successor.eof_received()


def _reason(error: OSError) -> str:
    """Why a handshake failed, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the client is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "no TLS").replace("_", " ").lower()
    if isinstance(error, ConnectionAbortedError):
        return "no handshake in time"
    return "the other side went away"
