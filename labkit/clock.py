"""One clock for everybody, and it can be advanced.

The authorization server, the validator, the broker's expiry timers and the devices read the time from one
:class:`Clock`.  ``advance`` moves it forward and, on the way, fires every timer that falls due, each at its
own moment and in order: an hour of expiry and refresh passes in a second, and nobody sleeps.
"""

import concurrent.futures
import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Clock", "SkewedClock", "Timer", "TimerCallback"]

#: What a timer runs.  It may return the future of work that goes on elsewhere: ``advance`` waits for that.
TimerCallback: TypeAlias = Callable[[], "concurrent.futures.Future[Any] | None"]

_log = logging.getLogger(__name__)

#: The longest the timer thread waits before it looks again, in seconds: the machine may have slept meanwhile.
_LONGEST_WAIT = 1.0
#: The longest ``advance`` waits for the work of one timer, in real seconds.
_LONGEST_WORK = 10.0


class Timer:
    """A callback that waits for its moment; ``cancel()`` it when the reason has gone."""

    __slots__ = ("_callback", "_clock", "when")

    def __init__(self, clock: "Clock", when: float, callback: TimerCallback) -> None:
        self._clock = clock
        self._callback: TimerCallback | None = callback
        self.when = when

    @property
    def pending(self) -> bool:
        """Whether the callback is still to come."""
        return self._callback is not None

    def cancel(self) -> None:
        """Forget the callback.  Harmless when it has run, or runs at this moment."""
        if self._callback is not None:
            self._callback = None
            self._clock._dropped_one()

    def _take(self) -> TimerCallback | None:
        callback, self._callback = self._callback, None
        return callback


class Clock:
    """Unix time that runs by itself, can be pushed forward, and never goes back.

    Args:
        source: what tells the real time, in Unix seconds.  A constant function gives a clock that stands
            still between two calls of :meth:`advance`, which is what most tests want.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0
        self._queue: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._cancelled = 0
        self._wake = threading.Condition()
        self._turn = threading.RLock()  # one timer fires at a time, whoever drives the clock
        self._advancing = False
        self._thread: threading.Thread | None = None
        self._closed = False

    def now(self) -> float:
        """The time, in seconds since 1970-01-01T00:00:00Z (RFC 7519 §2, NumericDate)."""
        return self._source() + self._offset

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> float:
        """Move time forward and return the new time, after every timer due on the way has done its work.

        A timer that falls due sees the clock at its own moment, and timers that it arms take part: a device
        that refreshes every four minutes refreshes fifteen times in ``advance(hours=1)``.

        Raises:
            ValueError: time cannot go back.
            RuntimeError: called from a timer's own callback.
        """
        span = seconds + 60 * minutes + 3600 * hours
        if not 0 <= span < float("inf"):
            raise ValueError("time only moves forward: give a number of seconds, minutes or hours above zero")
        with self._turn:
            if self._advancing:
                raise RuntimeError("a timer's callback cannot advance the clock that is calling it")
            self._advancing = True
            try:
                target = self.now() + span
                while (timer := self._pop_due(target)) is not None:
                    self._move_to(timer.when)
                    self._fire(timer)
                self._move_to(target)
            finally:
                self._advancing = False
        with self._wake:
            self._wake.notify_all()
        return self.now()

    def call_at(self, when: float, callback: TimerCallback) -> Timer:
        """Run ``callback`` once, when the clock reaches ``when`` (Unix seconds); at once if it has passed.

        The callback runs on the thread that advances the clock, or on the clock's own, so it must not block:
        it hands its work to the thread that owns it and returns the future of that work.  ``advance`` waits
        for the future before time moves on; the clock's own thread does not.  What it raises is logged.
        """
        timer = Timer(self, when, callback)
        with self._wake:
            if self._closed:
                raise RuntimeError("this clock has been closed")
            heapq.heappush(self._queue, (when, next(self._order), timer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="labkit-clock", daemon=True)
                self._thread.start()
            elif self._queue[0][2] is timer:
                self._wake.notify_all()
        return timer

    def skewed(self, seconds: float) -> "Clock":
        """The clock of a party that is ``seconds`` ahead of this one; behind it, if below zero."""
        return SkewedClock(self, seconds) if seconds else self

    def close(self) -> None:
        """Drop every timer and end the timer thread.  The clock can still tell the time."""
        with self._wake:
            self._closed = True
            self._queue.clear()
            self._wake.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _move_to(self, moment: float) -> None:
        self._offset = max(self._offset, moment - self._source())

    def _pop_due(self, limit: float) -> Timer | None:
        """The first timer due at ``limit`` or before, taken off the queue."""
        with self._wake:
            while self._queue:
                when, _, timer = self._queue[0]
                if timer.pending and when > limit:
                    return None
                heapq.heappop(self._queue)
                if timer.pending:
                    return timer
                self._cancelled -= 1
            return None

    def _fire(self, timer: Timer) -> None:
        callback = timer._take()
        if callback is None:
            return
        try:
            work = callback()
            if work is not None and self._advancing:
                work.result(_LONGEST_WORK)
        except (Exception, concurrent.futures.CancelledError):
            _log.exception("a timer's callback failed")

    def _dropped_one(self) -> None:
        """Sweep the queue once cancelled timers outnumber the others: a busy broker cancels most of them."""
        with self._wake:
            self._cancelled += 1
            if self._cancelled > 64 and self._cancelled * 2 > len(self._queue):
                self._queue = [entry for entry in self._queue if entry[2].pending]
                heapq.heapify(self._queue)
                self._cancelled = 0

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._closed:
                    return
                wait = self._queue[0][0] - self.now() if self._queue else None
                if wait is None or wait > 0:
                    self._wake.wait(None if wait is None else min(wait, _LONGEST_WAIT))
                    continue
            with self._turn:
                timer = self._pop_due(self.now())
                if timer is not None:
                    self._fire(timer)


class SkewedClock(Clock):
    """A view of another clock, some seconds off: both move together, and their timers fire in one order.

    Args:
        clock: the clock that runs.
        seconds: how far this one is ahead of it; below zero it is behind.

    Raises:
        ValueError: ``seconds`` is no number that a clock could be off.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        if not abs(seconds) < float("inf"):
            raise ValueError("a clock is off by a number of seconds, above or below zero")
        self._of = clock
        self._skew = seconds

    def now(self) -> float:
        """The time as this party sees it, in Unix seconds."""
        return self._of.now() + self._skew

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> float:
        """Move the clock behind it, and with it every view; see :meth:`Clock.advance`."""
        return self._of.advance(seconds=seconds, minutes=minutes, hours=hours) + self._skew

    def call_at(self, when: float, callback: TimerCallback) -> Timer:
        """Run ``callback`` once, when this clock shows ``when``; see :meth:`Clock.call_at`."""
        return self._of.call_at(when - self._skew, callback)

    def close(self) -> None:
        """Nothing: the clock behind it belongs to somebody else."""
