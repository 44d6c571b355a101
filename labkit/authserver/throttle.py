"""A limit on guessing: so many failures at once, then one each so many seconds.  Spec: RFC 6749 §2.3.1."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["Throttle"]

#: How many keys are remembered; the one untouched for longest goes first.
_MOST_KEYS = 10_000


class Throttle:
    """Counts failures per key.

    Args:
        now: tells the time, in Unix seconds.
        burst: failures that are let through at once.
        every: seconds after which one more is.
    """

    def __init__(self, now: Callable[[], float], *, burst: int, every: float) -> None:
        self._now = now
        self._every = every
        self._room = (burst - 1) * every
        self._free_at: OrderedDict[Hashable, float] = OrderedDict()  # when all failures will be forgotten
        self._lock = threading.Lock()

    def wait(self, key: Hashable) -> float:
        """Seconds until ``key`` may try again, 0 for now."""
        free_at = self._free_at.get(key)
        return 0.0 if free_at is None else max(0.0, free_at - self._room - self._now())

    def failed(self, key: Hashable) -> None:
        """Count a failure."""
        with self._lock:
            self._count(key)

    def attempt(self, key: Hashable) -> float:
        """Like ``wait``, and count a failure in advance if the answer is 0: a crowd gains nothing."""
        with self._lock:
            wait = self.wait(key)
            if not wait:
                self._count(key)
            return wait

    def forgive(self, key: Hashable) -> None:
        """Take back one failure that was counted in advance."""
        with self._lock:
            if key in self._free_at:
                self._free_at[key] -= self._every

    def _count(self, key: Hashable) -> None:
        now = self._now()
        self._free_at[key] = max(self._free_at.get(key, now), now) + self._every
        self._free_at.move_to_end(key)
        if len(self._free_at) > _MOST_KEYS:
            self._free_at.popitem(last=False)
