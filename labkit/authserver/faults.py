"""Faults to order: a server that answers late, wrongly, or not at all, on the wire and not in a mock.

::

    with lab.authserver.faults.status(503, path=lab.jwks_uri, retry_after=30) as fault:
        ...                          # every request for the keys is answered like this
    print(fault.hits)                # how many there were

A test never needs to sleep: ``hold()`` keeps answers back until ``release()``; ``wait()`` waits for a hit.
"""

import asyncio
import contextlib
import math
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

from labkit.authserver.replies import Receive, Reply, Scope, Send

__all__ = ["CUT", "Fault", "Faults"]

#: Where the listener leaves, in the ``state`` of a request, what cuts the connection it came on.
CUT = "cut"

#: An ASGI application, or what is left of one behind a fault.
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
#: What a fault does to one request; the first argument goes on with it.
_Effect: TypeAlias = Callable[[App, Scope, Receive, Send], Awaitable[None]]


class Fault:
    """One fault, from the moment it is ordered until :meth:`end`.  As a context manager it ends by itself.

    Attributes:
        what: the fault in words, for example ``"status 503"``.
        path: the path it is for, or ``None`` for every path.
        hits: how many requests it has met.
    """

    def __init__(self, faults: "Faults", what: str, path: str | None, times: int | None) -> None:
        if times is not None and times < 1:
            raise ValueError("times is how many requests the fault meets: 1 or more, or None for all")
        if path is not None:
            path = urlsplit(path).path if isinstance(path, str) else ""
            if not path.startswith("/"):
                raise ValueError("path is that of an endpoint, such as '/oauth2/jwks', or its whole URL")
        self.what = what
        self.path = path
        self.hits = 0
        self.effect: _Effect = _nothing
        self._faults = faults
        self._left = math.inf if times is None else times
        self._changed = threading.Condition()
        self._ended = False
        self._held: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def wait(self, hits: int = 1, timeout: float = 5.0) -> None:
        """Return when that many requests have been met, after up to ``timeout`` real seconds.

        Raises:
            TimeoutError: there were fewer.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.hits >= hits, timeout):
                raise TimeoutError(f"{self.hits} of {hits} requests met {self!r} within {timeout:g} s")

    def end(self) -> None:
        """Meet no more requests, and let go on what is held back.  Harmless when it has ended."""
        self._faults.forget(self)
        with self._changed:
            self._ended = True
        self.wake()

    release = end

    def wake(self) -> None:
        """Let go on what is held back now; from any thread."""
        with self._changed:
            held, self._held = self._held, {}
        for event, loop in held.items():
            with contextlib.suppress(RuntimeError):  # that loop has ended, and the request with it
                loop.call_soon_threadsafe(event.set)

    def takes(self, path: str) -> bool:
        """Whether it meets this request; counts it if so."""
        with self._changed:
            if self._ended or self.path not in (None, path) or self._left < 1:
                return False
            self._left -= 1
            self.hits += 1
            self._changed.notify_all()
        return True

    async def pause(self, seconds: float | None) -> bool:
        """Hold a request back for ``seconds`` (``None``: for ever); whether nobody has cut that short."""
        event = asyncio.Event()
        with self._changed:
            if self._ended:
                return False
            self._held[event] = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return True
        finally:
            with self._changed:
                self._held.pop(event, None)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def __repr__(self) -> str:
        return f"<Fault: {self.what} for {self.path or 'every path'}, {self.hits} hits>"


class Faults:
    """The faults of one server.  Order and end them from any thread, before or after the start.

    Every order takes ``path``, the path or the URL of an endpoint (``None``: all of them), and ``times``, how
    many requests the fault meets (``None``: all until it ends).  Several faults of one path act in the order
    in which they were ordered, until one of them has answered.

    Args:
        note: called with what happened, in words, and the path, at every hit.
    """

    def __init__(self, note: Callable[[str, str], object] = lambda what, path: None) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._armed: tuple[Fault, ...] = ()

    def delay(self, seconds: float, *, path: str | None = None, times: int | None = None) -> Fault:
        """Answer ``seconds`` of real time late."""
        return self._late(Fault(self, f"delay {_checked(seconds):g} s", path, times), seconds)

    def hold(self, *, path: str | None = None, times: int | None = None) -> Fault:
        """Keep requests waiting until the fault is released; then they are answered as ever."""
        return self._late(Fault(self, "hold", path, times), None)

    def status(
        self,
        status: int = 503,
        *,
        retry_after: int | None = None,
        path: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """Answer with an HTTP status, and with ``Retry-After`` in seconds if given (RFC 9110 §10.2.3)."""
        if type(status) is not int or not 200 <= status <= 599:
            raise ValueError(f"{status!r} is no status of a final answer: choose a number from 200 to 599")
        if retry_after is not None and (type(retry_after) is not int or retry_after < 0):
            raise ValueError("retry_after is a whole number of seconds, not below zero")
        headers = [] if retry_after is None else [(b"retry-after", b"%d" % retry_after)]
        reply = Reply.of_json({"error": "temporarily_unavailable"}, status=status, headers=headers)
        if status in (204, 205, 304):  # these have no body (RFC 9110 §15.3.5, §15.3.6, §15.4.5)
            reply = Reply(status=status, body=b"", headers=headers)
        return self._answer(Fault(self, f"status {status}", path, times), reply)

    def garbage(
        self,
        body: bytes = b"<html>It works!</html>",
        *,
        path: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """Answer 200, and call ``body`` JSON."""
        if not isinstance(body, bytes):  # found out at the request, it would be an error of the server's
            raise ValueError("body is bytes: write b'…'")
        reply = Reply(body=body, headers=[(b"content-type", b"application/json")])
        return self._answer(Fault(self, "garbage", path, times), reply)

    def drop(self, *, path: str | None = None, times: int | None = None) -> Fault:
        """Take the request, and close the connection without a word."""

        async def effect(go: App, scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][CUT]()
            while (await receive())["type"] != "http.disconnect":
                pass

        return self._arm(Fault(self, "drop", path, times), effect)

    def drip(self, seconds: float = 0.1, *, path: str | None = None, times: int | None = None) -> Fault:
        """Answer as ever, but one byte of the body at a time, ``seconds`` of real time apart."""
        fault = Fault(self, f"drip, a byte every {_checked(seconds):g} s", path, times)

        async def effect(go: App, scope: Scope, receive: Receive, send: Send) -> None:
            async def slowly(message: Any) -> None:
                body = message.get("body", b"")
                while len(body) > 1:
                    await send({"type": message["type"], "body": body[:1], "more_body": True})
                    body = body[1:]
                    if not await fault.pause(seconds):
                        break
                await send(message | {"body": body} if body else message)

            await go(scope, receive, slowly)

        return self._arm(fault, effect)

    def clear(self) -> None:
        """End every fault."""
        for fault in self._armed:
            fault.end()

    def wake(self) -> None:
        """Let go on what every fault holds back now: the server stops."""
        for fault in self._armed:
            fault.wake()

    def forget(self, fault: Fault) -> None:
        """Take ``fault`` off the list; :meth:`Fault.end` does that."""
        with self._lock:
            self._armed = tuple(each for each in self._armed if each is not fault)

    def over(self, app: App) -> App:
        """``app`` with these faults in front of it (ASGI)."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            await self._walk(self._armed, app, scope, receive, send)

        return faulty

    async def _walk(
        self, faults: tuple[Fault, ...], app: App, scope: Scope, receive: Receive, send: Send
    ) -> None:
        for number, fault in enumerate(faults, 1):
            if fault.takes(scope["path"]):
                self._note(fault.what, scope["path"])

                async def go(scope: Scope, receive: Receive, send: Send, rest: Any = faults[number:]) -> None:
                    await self._walk(rest, app, scope, receive, send)

                await fault.effect(go, scope, receive, send)
                return
        await app(scope, receive, send)

    def _late(self, fault: Fault, seconds: float | None) -> Fault:
        async def effect(go: App, scope: Scope, receive: Receive, send: Send) -> None:
            await fault.pause(seconds)
            await go(scope, receive, send)

        return self._arm(fault, effect)

    def _answer(self, fault: Fault, reply: Reply) -> Fault:
        async def effect(go: App, scope: Scope, receive: Receive, send: Send) -> None:
            await reply(scope, receive, send)

        return self._arm(fault, effect)

    def _arm(self, fault: Fault, effect: _Effect) -> Fault:
        fault.effect = effect
        with self._lock:
            self._armed = (*self._armed, fault)
        return fault

    def __repr__(self) -> str:
        return f"<Faults: {', '.join(each.what for each in self._armed) or 'none'}>"


async def _nothing(go: App, scope: Scope, receive: Receive, send: Send) -> None:
    await go(scope, receive, send)


def _checked(seconds: float) -> float:
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise ValueError("seconds is a number of real seconds, not below zero")
    return seconds
