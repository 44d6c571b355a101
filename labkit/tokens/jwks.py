"""The issuer's keys, fetched and kept fresh: what to do when keys rotate, servers die, and strangers knock.

A *hit* takes no lock.  A *miss* fetches, but one thread at a time and seldom: a flood of made-up key ids
costs the authorization server one request every ``min_interval``.  A set that grows old is renewed before it
is too old, behind the back of those who use it.
"""

import concurrent.futures
import math
import threading
from collections.abc import Callable
from pathlib import Path

from labkit.clock import Clock
from labkit.errors import Undecided
from labkit.tokens.fetch import Endpoint, FetchFailed
from labkit.tokens.keys import KeySet, VerificationKey, unknown_key
from labkit.tokens.policy import Now

__all__ = ["JwksCache"]

#: The two reasons to fetch a set.
_OLD, _UNKNOWN = "old set", "unknown key"
#: The part of ``max_age`` after which a set is renewed ahead of time.
_EARLY = 0.8
#: Seconds that who asks for a set that is too old waits for the new one, if the old one still does.
_GLANCE = 1.0


class _Held:
    """A key set and the moment it was fetched, replaced as a whole."""

    __slots__ = ("at", "keys")

    def __init__(self, keys: KeySet, at: float) -> None:
        self.keys = keys
        self.at = at


class JwksCache:
    """The key set behind a ``jwks_uri``, as a ``KeySource``.  Thread-safe.

    How it behaves, in terms of the clock it was given:

    - a known key answers at once for ``max_age`` seconds.  When 80 % of them have passed, the next caller has
      the set fetched in the background, and nobody waits for it;
    - a set that has become too old meanwhile, as nobody came, is fetched first; for a known key a second is
      all that this may take, and others with a known key do not wait at all;
    - an unknown key has the set fetched, so that a fresh key works at once; it is refused if not there.
      Until ``min_interval`` has passed since, unknown keys are refused without asking;
    - a key that has left the set is refused after ``max_age``, or sooner if the set was fetched meanwhile;
    - each of the two reasons to fetch, an old set and an unknown key, counts for itself: at most one request
      every ``min_interval``, whether it succeeds or not;
    - while the server is down, or hangs, the last good set is used at once, for ``stale_if_error`` seconds
      beyond ``max_age``.  A set that must not be used (see ``KeySet``) counts as a failed fetch.

    Args:
        url: the ``jwks_uri``; https, or http to a loopback address.
        clock: anything with ``now()`` in Unix seconds; the system's clock when left out.
        min_interval: seconds between two requests for the same reason.
        max_age: seconds that a set is used without asking again.
        stale_if_error: seconds that it is used beyond that, as long as no newer one can be had.
        ca_file: PEM file of the certificates to trust instead of the usual ones.
        timeout: seconds for each step of a fetch.
        on_fetch: told after each request how many keys came, or why none did.

    Attributes:
        fetches: how many requests have been made, for tests and lessons.

    Raises:
        ValueError: the URL would be fetched in the clear from another machine.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Now | None = None,
        min_interval: float = 30.0,
        max_age: float = 300.0,
        stale_if_error: float = 3600.0,
        ca_file: Path | str | None = None,
        timeout: float = 3.0,
        on_fetch: Callable[[int | str], object] | None = None,
    ) -> None:
        if not (min_interval > 0 and max_age > 0 and stale_if_error >= 0):
            raise ValueError("min_interval and max_age are seconds above zero, stale_if_error is not below")
        self.fetches = 0
        self._endpoint = Endpoint(url, ca_file=ca_file, timeout=timeout)
        self._patience = 4 * timeout
        self._clock: Now = clock or Clock()
        self._min_interval = min_interval
        self._max_age = max_age
        self._stale_if_error = stale_if_error
        self._on_fetch = on_fetch
        self._held: _Held | None = None
        self._trouble: str | None = None  # why the last fetch failed
        self._lock = threading.Lock()  # guards what follows, and is never held during a fetch
        self._flight: concurrent.futures.Future[None] | None = None
        self._awaited = False  # whether somebody waits for it already
        self._asked_at = {_OLD: -math.inf, _UNKNOWN: -math.inf}

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """See :meth:`labkit.tokens.KeySource.find`."""
        held = self._held
        key = held.keys.find(kid, algorithm) if held is not None else None
        if key is not None and (age := self._age(held)) < self._max_age:
            if age >= _EARLY * self._max_age and self._reason_to_ask(held, known=True) is not None:
                with self._lock:
                    self._begin(held, known=True)
            return key
        for _ in range(2):  # a request that was under way may have been made too early for a new key
            held = self._newer_than(held, known=key is not None)
            if held is None or self._worn_out(held):
                raise self._unavailable()
            key = held.keys.find(kid, algorithm)
            if key is not None:
                return key
        if self._trouble is not None:  # it may be a fresh key: nobody can tell
            raise self._unavailable()
        raise unknown_key(kid)

    def ready(self, kid: str | None, algorithm: str) -> bool:
        """See :meth:`labkit.tokens.KeySource.ready`."""
        held = self._held
        known = held is not None and held.keys.find(kid, algorithm) is not None
        if known and self._age(held) < self._max_age:
            return True
        with self._lock:
            usable = known and not self._worn_out(held)
            if usable and (self._trouble is not None or (self._flight is not None and self._awaited)):
                return True
            return self._flight is None and self._reason_to_ask(held, known=known) is None

    def close(self) -> None:
        """Fetch no more.  What is known stays known."""
        self._endpoint.close()
        flight = self._flight
        if flight is not None:
            concurrent.futures.wait([flight], self._patience)

    def _newer_than(self, held: _Held | None, *, known: bool) -> _Held | None:
        """The set after ``held`` if one can be had, else ``held`` again."""
        usable = known and not self._worn_out(held)
        with self._lock:
            if self._held is not held:
                return self._held  # somebody was quicker
            flight = self._flight or self._begin(held, known=known)
            mine, self._awaited = not self._awaited and self._trouble is None, True
        if flight is not None and (mine or not usable):
            concurrent.futures.wait([flight], _GLANCE if usable else self._patience)
        return self._held

    def _begin(self, held: _Held | None, *, known: bool) -> "concurrent.futures.Future[None] | None":
        """Start a request in the background if one is due.  The caller holds the lock."""
        reason = self._reason_to_ask(held, known=known)
        if self._flight is not None or reason is None:
            return None
        self._asked_at[reason] = self._clock.now()
        self.fetches += 1
        self._awaited = False
        flight = self._flight = concurrent.futures.Future()
        try:
            threading.Thread(target=self._fly, args=(flight,), name="labkit-jwks", daemon=True).start()
        except RuntimeError:  # no thread to be had: the program ends, or the machine is full
            self._flight, self._trouble = None, "no thread could be started"
            return None
        return flight

    def _fly(self, flight: "concurrent.futures.Future[None]") -> None:
        try:
            self._fetch()
        except Exception as error:  # such as a connection that was closed under our feet
            self._trouble = type(error).__name__
        finally:
            with self._lock:
                self._flight = None
            flight.set_result(None)

    def _reason_to_ask(self, held: _Held | None, *, known: bool) -> str | None:
        """Why a request is due now, or ``None``.  Attempts count: a dead server is not hammered either."""
        now = self._clock.now()
        old = self._age(held) >= _EARLY * self._max_age
        for reason, applies in ((_OLD, old), (_UNKNOWN, not known)):
            if applies and not 0 <= now - self._asked_at[reason] < self._min_interval:
                return reason
        return None

    def _fetch(self) -> None:
        try:
            keys = KeySet.from_jwks(self._endpoint.get())
        except (FetchFailed, ValueError) as error:
            self._trouble = str(error)
            self._tell(self._trouble)
            return
        self._tell(len(keys))
        self._held, self._trouble = _Held(keys, self._clock.now()), None

    def _tell(self, outcome: int | str) -> None:
        if self._on_fetch is not None:
            self._on_fetch(outcome)

    def _age(self, held: _Held | None) -> float:
        return self._clock.now() - held.at if held is not None else math.inf

    def _worn_out(self, held: _Held | None) -> bool:
        return self._age(held) >= self._max_age + self._stale_if_error

    def _unavailable(self) -> Undecided:
        return Undecided(
            "keys-unavailable",
            claim="kid",
            expected="the key set of the issuer",
            actual=self._trouble or "none yet",
            spec="RFC 9068 §4",
            hint="The authorization server is out of reach, and nobody is let in unchecked: try again later.",
        )

    def __repr__(self) -> str:
        return f"<JwksCache of {self._endpoint.url}, {self.fetches} fetches>"
