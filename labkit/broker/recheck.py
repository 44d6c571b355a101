"""Is it still good?  Asks again about the token of every live connection, where nobody tells the broker.

::

    asked ──every──▶ asked again ──every──▶ …            a good answer: it goes on
                          │ inactive                     ends at once: ``token.revoked``
                          └─ no answer ──▶ … ──▶ …       after three times ``every``: ``token.unconfirmed``

So a revoked token's connection lives on for ``every`` seconds and one request; for three times ``every``, if
the authorization server is down meanwhile; and never past ``exp``.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from labkit.broker.admission import Validator
from labkit.broker.connection import Connection
from labkit.clock import Clock, Timer
from labkit.errors import TokenRejected, Undecided
from labkit.record import Record
from labkit.tokens import AccessToken

__all__ = ["GRACE", "CanAskAgain", "Rechecks", "Repeating"]

#: How many intervals a connection may live on without a good answer.
GRACE = 3
#: Parts of an interval.  In each, those are asked about whose turn it is.
_ROUNDS = 16
#: How many requests are made at a time.
_WORKERS = 4
#: Seconds to wait for them to end when the broker stops.
_PATIENCE = 5.0
#: Turns that are spread like this never crowd, however many there are.
_GOLDEN = 0.618034


class CanAskAgain(Validator, Protocol):
    """A validator that asks the authorization server, such as an IntrospectionClient."""

    def ask_again(
        self, token: str, client_id: str | None = None, *, proved: Mapping[str, str] | None = None
    ) -> AccessToken:
        """Like ``validate``, with an answer that is asked for now."""
        ...


class Repeating:
    """A validator whose yes can be asked for again.

    Only where a gate has one of these does the text of a token stay in memory while its connection lives.
    """

    def __init__(self, validator: CanAskAgain) -> None:
        self.validate = validator.validate
        self.ready_for = validator.ready_for
        self.recheck = validator.ask_again


@dataclass(slots=True)
class _Turn:
    """When a connection was confirmed, when it is asked about next, and what is under way."""

    jti: str
    confirmed_at: float
    due: float
    failing: bool = False
    work: "Future[Future[None] | None] | None" = None


class Rechecks:
    """Goes round the live connections of a gate.

    Args:
        live: the connections by client identifier, as the gate keeps them.
        end: ends a connection, from any thread: connection, reason, kind of the event, ``jti``.
        clock: drives the rounds.
        record: where a question that failed is written down.
        every: seconds between two questions about one connection.
    """

    def __init__(
        self,
        *,
        live: Mapping[str, Connection],
        end: Callable[[Connection, str, str, str], "Future[None] | None"],
        clock: Clock,
        record: Record,
        every: float,
    ) -> None:
        self._live = live
        self._end = end
        self._clock = clock
        self._record = record
        self._every = every
        self._tick = every / _ROUNDS
        self._turns: dict[Connection, _Turn] = {}
        self._phase = 0.0
        self._closed = False
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="labkit-recheck")
        self._timer: Timer | None = None
        self._plan(clock.now())

    def close(self) -> None:
        """Ask no more, and wait for what is under way."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        works = [turn.work for turn in list(self._turns.values()) if turn.work is not None]
        for work in works:
            work.cancel()
        hanging = wait(works, _PATIENCE).not_done
        self._pool.shutdown(wait=not hanging, cancel_futures=True)

    def _plan(self, last: float) -> None:
        with contextlib.suppress(RuntimeError):  # the clock has been closed
            self._timer = self._clock.call_at(max(last + self._tick, self._clock.now()), self._round)

    def _round(self) -> "Future[None] | None":
        """One part of an interval, on the clock's thread.  The future is done when its questions are."""
        if self._closed:
            return None
        now = self._clock.now()
        open_now = [each for each in list(self._live.values()) if each.reason is None]
        known, self._turns = self._turns, {}
        asked: list[Future[Future[None] | None]] = []
        ended: list[Future[None] | None] = []
        for connection in open_now:
            guest = connection.guest
            if guest is None:
                continue
            turn = known.get(connection)
            if turn is None or turn.jti != guest.token.jti:  # it is new, or its token is
                turn = self._first_turn(guest.token, now)
            self._turns[connection] = turn
            if now + self._tick > turn.confirmed_at + GRACE * self._every:
                ended.append(self._end(connection, "unconfirmed", "token.unconfirmed", turn.jti))
            elif turn.due < now + self._tick and (turn.work is None or turn.work.done()):
                turn.due = now + self._every
                with contextlib.suppress(RuntimeError):  # closed meanwhile
                    turn.work = self._pool.submit(self._ask, connection, turn)
                    asked.append(turn.work)
        self._plan(now)
        return _when_done(asked, ended)

    def _first_turn(self, token: AccessToken, now: float) -> _Turn:
        """In time for the answer that let it in, and not when everybody else has their turn."""
        confirmed_at = now if token.confirmed_at is None else token.confirmed_at
        self._phase = (self._phase + _GOLDEN) % 1
        return _Turn(token.jti, confirmed_at, now + self._phase * max(0.0, confirmed_at + self._every - now))

    def _ask(self, connection: Connection, turn: _Turn) -> "Future[None] | None":
        """On a worker's thread: ask, and end the connection if the answer is no."""
        guest = connection.guest
        if guest is None or guest.ask_again is None or guest.token.jti != turn.jti:
            return None  # gone, or it has another token by now
        try:
            token = guest.ask_again()
        except TokenRejected as refusal:
            if not isinstance(refusal, Undecided):
                return self._end(connection, "revoked", "token.revoked", turn.jti)
            reason = refusal.reason
        except Exception:  # a fault of the validator's is no good answer either
            reason = "validator-failed"
        else:
            turn.confirmed_at = self._clock.now() if token.confirmed_at is None else token.confirmed_at
            turn.failing = False
            return None
        if not turn.failing:  # said once
            turn.failing = True
            self._record.add("broker", "recheck.failed", client_id=guest.client_id, reason=reason)
        return None


def _when_done(
    asked: "list[Future[Future[None] | None]]", ended: "list[Future[None] | None]"
) -> "Future[None] | None":
    """One future for all: done when every question is answered, and every connection closed that must be."""
    rest = len(asked) + len(ended)
    if not rest:
        return None
    done: Future[None] = Future()
    lock = threading.Lock()

    def one_less(_: object = None) -> None:
        nonlocal rest
        with lock:
            rest -= 1
            last = rest == 0
        if last:
            done.set_result(None)

    def answered(work: "Future[Future[None] | None]") -> None:
        _then(None if work.cancelled() or work.exception() is not None else work.result(), one_less)

    for work in asked:
        work.add_done_callback(answered)
    for closing in ended:
        _then(closing, one_less)
    return done


def _then(closing: "Future[None] | None", callback: Callable[[object], None]) -> None:
    """Call ``callback`` when the connection is closed; at once, where there is none to close."""
    if closing is None:
        callback(None)
    else:
        closing.add_done_callback(callback)
