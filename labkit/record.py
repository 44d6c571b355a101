"""What happened, in order: the only thing that background code writes to.

Servers and devices never print; they add an :class:`Event` here, and a cell, a test or an operator reads it.
Tokens and secrets cannot get in: values are redacted on the way, whoever calls.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
    """

    number: int
    at: float
    source: str
    kind: str
    facts: Mapping[str, Fact]

    def __getitem__(self, name: str) -> Fact:
        return self.facts.get(name)

    def __str__(self) -> str:
        facts = "  ".join(f"{name}={value}" for name, value in self.facts.items() if value is not None)
        return f"{self.source:<10} {self.kind:<20} {facts}".rstrip()


class Record:
    """A bounded, thread-safe list of events that can be waited for.

    Args:
        now: tells the time of an event, in Unix seconds.
        limit: how many events are kept; the oldest go first.
    """

    def __init__(self, now: Callable[[], float], *, limit: int = 10_000) -> None:
        self._now = now
        self._events: deque[Event] = deque(maxlen=limit)
        self._count = 0
        self._changed = threading.Condition()

    def add(self, source: str, kind: str, /, **facts: Fact) -> Event:
        """Write down that ``source`` saw ``kind``.

        Raises:
            ValueError: a fact is named like a secret (``token``, ``client_secret``, ``password``…).
        """
        for name, value in facts.items():
            if name.endswith(_SECRET_NAMES):
                raise ValueError(f"a record never holds a {name}")
            if isinstance(value, str):
                facts[name] = redact(value)
        with self._changed:
            event = Event(number=self._count, at=self._now(), source=source, kind=kind, facts=facts)
            self._count += 1
            self._events.append(event)
            self._changed.notify_all()
        return event

    def mark(self) -> int:
        """The number that the next event will have: pass it as ``since`` to see only what is new."""
        with self._changed:
            return self._count

    def events(
        self, kind: str | None = None, /, *, source: str | None = None, since: int = 0, **facts: Fact
    ) -> list[Event]:
        """The events of that kind (or of all: ``"connect"`` takes in ``"connect.refused"``), oldest first."""
        with self._changed:
            return [event for event in self._events if _matches(event, kind, source, since, facts)]

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
        found: list[Event] = []

        def happened() -> bool:
            found[:] = (e for e in self._events if _matches(e, kind, source, since, facts))
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(happened, timeout):
                seen = [str(event) for event in self._events if event.number >= since][-8:]
                wanted = " ".join([kind, *(f"{name}={value}" for name, value in facts.items())])
                raise TimeoutError(f"no {wanted!r} within {timeout:g} s; the last events: {seen or 'none'}")
        return found[0]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events())

    def __len__(self) -> int:
        with self._changed:
            return len(self._events)

    def __str__(self) -> str:
        return "\n".join(str(event) for event in self)

    def __repr__(self) -> str:
        return f"<Record of {len(self)} events>"


def _matches(
    event: Event, kind: str | None, source: str | None, since: int, facts: Mapping[str, Fact]
) -> bool:
    return (
        event.number >= since
        and (kind is None or event.kind == kind or event.kind.startswith(kind + "."))
        and (source is None or event.source == source)
        and all(event[name] == value for name, value in facts.items())
    )
