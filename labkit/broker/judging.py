"""The verdict on a token: at once, or on a thread of its own where the network is needed.

CONNECT and re-authentication ask here.
"""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeAlias

from labkit.broker.admission import Admitted, Presented, Validator, decide
from labkit.broker.reasons import Refused, refused

__all__ = ["Judge", "Then", "Verdict"]

_WORKERS = 8
#: Threads for those who are in: they stand in no line with strangers.
_RESERVED = 4

Verdict: TypeAlias = Admitted | Refused
#: Hears the verdict, on the loop.
Then: TypeAlias = Callable[[Verdict], None]


class Judge:
    """Asks the validator, and never lets a slow one hold up the loop.

    Args:
        validator: what is asked.
        busy_at: how many questions may wait; one more is refused.
    """

    def __init__(self, validator: Validator, busy_at: int) -> None:
        self._validator = validator
        self._busy_at = busy_at
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="labkit-validate")
        self._reserved = ThreadPoolExecutor(_RESERVED, thread_name_prefix="labkit-validate-again")
        self._deciding: dict[Future[Verdict], str | None] = {}  # and who is known to ask

    def ask(
        self, presented: Presented, waiting: Callable[[], None], then: Then, *, known: bool = False
    ) -> None:
        """Call ``then`` with the verdict: now, or later after a call of ``waiting``.

        Who is ``known`` may ask one question besides: strangers could else put out who is in.
        """
        client_id = presented.connect.client_id if known else None
        besides = known and client_id not in self._deciding.values()
        try:
            ready = self._validator.ready_for(presented.token)
        except Exception:  # then it fails in decide() as well, and is recorded there
            ready = True
        if ready:
            then(decide(presented, self._validator))
        elif len(self._deciding) >= self._busy_at and not besides:
            then(refused("busy", presented.carrier))
        else:
            waiting()
            pool = self._reserved if besides else self._pool
            work = pool.submit(decide, presented, self._validator)
            self._deciding[work] = client_id
            work.add_done_callback(partial(self._hand_back, then))

    def _hand_back(self, then: Then, work: "Future[Verdict]") -> None:
        """On a worker's thread: let the loop go on with the verdict."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._decided, then, work)

    def _decided(self, then: Then, work: "Future[Verdict]") -> None:
        self._deciding.pop(work, None)
        if not work.cancelled():
            then(work.result())

    def close(self, patience: float) -> None:
        """Wait for what is under way, ``patience`` seconds at most."""
        for work in self._deciding:
            work.cancel()
        undecided = concurrent.futures.wait(self._deciding, patience).not_done
        for pool in (self._pool, self._reserved):
            pool.shutdown(wait=not undecided, cancel_futures=True)
