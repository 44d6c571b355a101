"""What a session still does when its client has gone: its will waits for its delay, and it ends one day.

Times are those of the broker's clock; what is due happens on the broker's loop.

Spec: MQTT 5 §3.1.2.11.2 (session expiry), §3.1.3.2.2 (will delay), §4.1.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from labkit.clock import Clock, Timer

if TYPE_CHECKING:
    from labkit.broker.inner import Session

__all__ = ["Afterlife"]


class Afterlife:
    """One timer for each session that waits for something.

    Args:
        clock: drives it.
        publish: publishes the will that a session left.
        forget: ends a session.
    """

    def __init__(
        self, clock: Clock, publish: "Callable[[Session], None]", forget: "Callable[[Session], None]"
    ) -> None:
        self._clock = clock
        self._publish = publish
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, Timer] = {}

    def begin(self, session: "Session") -> None:
        """Its client has gone."""
        if session.expiry < math.inf:
            session.ends_at = self._clock.now() + session.expiry
        self._arm(session)

    def back(self, session: "Session") -> None:
        """Its client is here again: nothing is due, and its will is not published ([MQTT-3.1.3-9])."""
        session.ends_at = None
        session.bequest = None
        self.drop(session)

    def drop(self, session: "Session") -> None:
        """The session has ended."""
        timer = self._timers.pop(session.client_id, None)
        if timer is not None:
            timer.cancel()

    def resume(self, sessions: "Mapping[str, tuple[Session, None]]") -> None:
        """These were taken over from another broker."""
        for session, _ in list(sessions.values()):
            self._arm(session)

    def close(self) -> None:
        """Wait for nothing more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _arm(self, session: "Session") -> None:
        moments = [session.ends_at, session.bequest.due if session.bequest is not None else None]
        due = min((moment for moment in moments if moment is not None), default=None)
        if due is not None:
            with contextlib.suppress(RuntimeError):  # the clock has been closed
                self._timers[session.client_id] = self._clock.call_at(due, partial(self._on_loop, session))

    def _on_loop(self, session: "Session") -> "Future[None] | None":
        """On the clock's thread."""
        done: Future[None] = Future()

        def act() -> None:
            try:
                self._due(session)
            finally:
                done.set_result(None)

        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:  # the loop has ended
            return None
        return done

    def _due(self, session: "Session") -> None:
        if self._timers.pop(session.client_id, None) is None:  # the client was faster
            return
        now = self._clock.now()
        if session.bequest is not None and session.bequest.due <= now:
            self._publish(session)
        if session.ends_at is not None and session.ends_at <= now:
            self._forget(session)
        else:
            self._arm(session)
