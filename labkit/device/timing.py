"""The clock of a device: what it asks of one, and the plain one."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """The time, and somebody to call when it comes.  A simulation brings its own."""

    def now(self) -> float:
        """Unix time in seconds."""

    def call_at(self, when: float, callback: Callable[[], Future[Any] | None]) -> Any:
        """Run ``callback`` at ``when`` (Unix time in seconds); what comes back has a ``cancel()``."""


class SystemClock:
    """The time of the operating system."""

    class _Timer(threading.Timer):
        def cancel(self) -> None:
            super().cancel()
            self.join()  # leave no thread behind

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], Future[Any] | None]) -> threading.Timer:
        """Run ``callback`` at ``when``, on a thread of its own."""
        timer = self._Timer(max(0.0, when - time.time()), callback)
        timer.daemon = True
        timer.start()
        return timer
