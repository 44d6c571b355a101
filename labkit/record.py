"""What happened, in order: the only thing that background code writes to.

Servers and devices never print; they add an :class:`Event` here, and a cell, a test or an operator reads it.
Tokens and secrets never come out: values are redacted, whoever wrote them.

Events of each kind have room of their own, so that a flood of messages cannot wash away the one refusal that
somebody is looking for.  Writing is cheap, because a broker writes down every message: an event is put into
words only when it is read.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

__all__ = ["Event", "Fact", "Record", "redact"]

#: What an event can state.
Fact: TypeAlias = str | int | float | bool | None

#: A JWT, or the start of one, wherever it stands: base64url of ``{"`` and what follows.
_TOKEN = re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,4}")
_SECRET_NAMES = ("token", "secret", "password", "assertion", "authorization", "device_code")
_LONGEST_TEXT = 300


def redact(text: str) -> str:
    """``text`` with every JWT replaced by ``eyJ…``, control characters escaped, and cut at 300 characters."""
    clean = _TOKEN.sub("eyJ…", text) if "eyJ" in text else text
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clean)
    return clean if len(clean) <= _LONGEST_TEXT else clean[:_LONGEST_TEXT] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        number: position in the record, from 0, without gaps.
        at: when, in Unix seconds by the lab's clock.
        source: who saw it: ``"authserver"``, ``"broker"``, ``"device"`` or ``"lab"``.
        kind: what it was, a stable word such as ``"connect.refused"``.
        facts: the particulars, for example ``client_id``, ``jti``, ``reason``.
        real: when, in seconds by a clock that nobody can advance (``time.monotonic``), or ``None``: tells an
            hour that was skipped from one that was waited for.
    """

    number: int
    at: float
    source: str
    kind: str
    facts: Mapping[str, Fact]
    real: float | None = None

    def __getitem__(self, name: str) -> Fact:
        return self.facts.get(name)

    def __str__(self) -> str:
        facts = "  ".join(f"{name}={value}" for name, value in self.facts.items() if value is not None)
        return f"{self.source:<10} {self.kind:<20} {facts}".rstrip()


#: An event as it is kept: number, at, real, source, kind, names of the facts, facts.
_Entry: TypeAlias = tuple[int, float, float, str, str, tuple[str, ...], tuple[Fact, ...]]


class _Waiter:
    """Somebody who waits for an event, and the event once it is there."""

    __slots__ = ("event", "happened", "wanted")

    def __init__(self, wanted: Callable[[_Entry], bool]) -> None:
        self.wanted = wanted
        self.happened = threading.Event()
        self.event: Event | None = None


class Record:
    """A bounded, thread-safe list of events that can be waited for.

    Args:
        now: tells the time of an event, in Unix seconds.
        limit: how many events of each kind are kept; the oldest of the kind go first.
    """

    def __init__(self, now: Callable[[], float], *, limit: int = 10_000) -> None:
        self._now = now
        self._limit = limit
        self._rings: dict[str, deque[_Entry]] = {}  # by kind, each in the order of numbers
        self._count = 0
        self._waiters: list[_Waiter] = []
        self._lock = threading.Lock()

    def add(self, source: str, kind: str, /, **facts: Fact) -> None:
        """Write down that ``source`` saw ``kind``.

        Raises:
            ValueError: a fact is named like a secret (``token``, ``client_secret``, ``password``…).
        """
        for name in facts:
            if name.endswith(_SECRET_NAMES):
                raise ValueError(f"a record never holds a {name}")
        self.note(source, kind, tuple(facts), tuple(map(_clean, facts.values())))

    def note(self, source: str, kind: str, names: tuple[str, ...], facts: tuple[Fact, ...]) -> None:
        """The same, for what happens thousands of times a second: looked at when it is read, not before."""
        with self._lock:
            number = self._count
            self._count = number + 1
            entry = (number, self._now(), monotonic(), source, kind, names, facts)
            try:
                self._rings[kind].append(entry)
            except KeyError:
                self._rings[kind] = deque([entry], self._limit)
            if self._waiters:
                self._hand_out(entry)

    def _hand_out(self, entry: _Entry) -> None:
        """Give an event to those who wait for it; call it with the lock."""
        for waiter in self._waiters:
            if waiter.event is None and waiter.wanted(entry):
                waiter.event = _event(entry)
                waiter.happened.set()

    def mark(self) -> int:
        """The number that the next event will have: pass it as ``since`` to see only what is new."""
        return self._count

    def events(
        self, kind: str | None = None, /, *, source: str | None = None, since: int = 0, **facts: Fact
    ) -> list[Event]:
        """The events of that kind (or of all: ``"connect"`` takes in ``"connect.refused"``), oldest first."""
        wanted = _filter(kind, source, since, facts)
        with self._lock:
            entries = self._since(kind, since)
        return [_event(entry) for entry in entries if wanted(entry)]

    def wait(
        self,
        kind: str,
        /,
        *,
        source: str | None = None,
        since: int = 0,
        timeout: float = 5.0,
        **facts: Fact,
    ) -> Event:
        """The first such event from ``since`` on, waiting up to ``timeout`` real seconds for it to happen.

        Raises:
            TimeoutError: it did not happen; the message lists what did.
        """
        waiter = _Waiter(_filter(kind, source, since, facts))
        with self._lock:  # what is there is looked through once; after that, only what comes
            for entry in self._since(kind, since):
                if waiter.wanted(entry):
                    return _event(entry)
            self._waiters.append(waiter)
        try:
            waiter.happened.wait(timeout)
        finally:
            with self._lock:
                self._waiters.remove(waiter)
        if waiter.event is None:
            seen = [str(event) for event in self.events(since=since)][-8:]
            wanted = " ".join([kind, *(f"{name}={value}" for name, value in facts.items())])
            raise TimeoutError(f"no {wanted!r} within {timeout:g} s; the last events: {seen or 'none'}")
        return waiter.event

    def _since(self, kind: str | None, since: int) -> list[_Entry]:
        """What is kept of a kind, or of all, from a number on, in order; call it with the lock."""
        found: list[_Entry] = []
        for name, ring in self._rings.items():
            if _is_kind(name, kind):
                for entry in reversed(ring):  # the newest are at the end, and seldom are many wanted
                    if entry[0] < since:
                        break
                    found.append(entry)
        found.sort(key=_number)
        return found

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events())

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._rings.values()))

    def __str__(self) -> str:
        return "\n".join(str(event) for event in self)

    def __repr__(self) -> str:
        return f"<Record of {len(self)} events>"


def _event(entry: _Entry) -> Event:
    number, at, real, source, kind, names, values = entry
    facts = dict(zip(names, map(_clean, values), strict=True))
    return Event(number=number, at=at, source=source, kind=kind, facts=facts, real=real)


def _fact(entry: _Entry, name: str) -> Fact:
    return _clean(entry[6][entry[5].index(name)]) if name in entry[5] else None


def _clean(value: Fact) -> Fact:
    return redact(value) if isinstance(value, str) else value


def _number(entry: _Entry) -> int:
    return entry[0]


def _is_kind(kind: str, wanted: str | None) -> bool:
    return wanted is None or kind == wanted or kind.startswith(wanted + ".")


def _filter(
    kind: str | None, source: str | None, since: int, facts: Mapping[str, Fact]
) -> Callable[[_Entry], bool]:
    def wanted(entry: _Entry) -> bool:
        return (
            entry[0] >= since
            and _is_kind(entry[4], kind)
            and source in (None, entry[3])
            and all(_fact(entry, name) == value for name, value in facts.items())
        )

    return wanted
