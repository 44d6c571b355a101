"""When things happened, in whole seconds since the first of them, the same on every run.

A lab's clock runs on by itself between two calls of ``advance``, a few milliseconds here and half a second
there.  So time that was merely waited for does not count, unless it was long; time that was skipped is told
from the start, in the round number that somebody skipped; and what is bound to a token (its end, its
successor) is told from the issue of that token.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from labkit.record import Event

__all__ = ["Presence", "Timeline", "chosen", "span"]

#: Real seconds between two events from which on a wait is worth telling.
_LONG_WAIT = 10.0
#: What a measured span may lack of a whole second, and a skip of one.
_NEARLY = 0.02
_SKIP = 0.5
_FOREVER = 1e12
#: Steps in which people skip time, in seconds, the roundest first.
_ROUND = (3600, 600, 60, 30, 10, 5)
_TOKEN_REQUESTS = ("token.issued", "token.refused", "token.failed", "token.fetched")
#: What one party sees, and who sees the same a little later.
_ECHOES = {
    ("authserver", "token.issued"): ("device", "token.fetched"),
    ("broker", "connect.accepted"): ("device", "connected"),
    ("broker", "connect.refused"): ("device", "connect.refused"),
    ("broker", "sent away"): ("device", "sent away"),
    ("device", "left"): ("broker", "left"),
}


def chosen(record: object, since: int, client_id: str | None) -> list[Event] | None:
    """The events of a record or a list that are asked for, in their order; ``None`` if it holds no events.

    Left out is also what merely repeats an event from before ``since``: it may come before or after a mark,
    as servers and devices write at the same time.
    """
    if not isinstance(record, Iterable):
        return None
    events = list(record)
    if not all(isinstance(event, Event) for event in events):
        return None
    found: list[Event] = []
    to_come: Counter[tuple[object, ...]] = Counter()
    present = Presence()
    for event in sorted(events, key=lambda event: event.number):
        name, key = event["client_id"], (event.source, _gist(event))
        present.see(event)
        if to_come[*key, name] > 0:
            to_come[*key, name] -= 1
        elif event.number < since:
            if key in _ECHOES and (key != ("device", "left") or present.may_leave(name)):
                to_come[*_ECHOES[key], name] += 1
        elif client_id is None or name == client_id or (name is None and present.concerns(client_id, event)):
            found.append(event)
    return found


def _gist(event: Event) -> str:
    """The kind of an event; of the end of a connection, whose doing it is."""
    if event.kind in ("connection.closed", "disconnected"):
        return "left" if event["reason"] in ("disconnect", "asked to") else "sent away"
    return event.kind


def span(seconds: int) -> str:
    """A span of time, for people: in seconds below ten minutes, then in minutes, then in hours."""
    if seconds < 600:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


class Presence:
    """Who is connected, as the broker sees it."""

    def __init__(self) -> None:
        self.open: Counter[object] = Counter()  # connections, by client
        self._knocking: Counter[object] = Counter()  # CONNECTs that wait for the network
        self._known: set[object] = set()

    def see(self, event: Event) -> None:
        """Take an event in; most kinds mean nothing here."""
        name = event["client_id"]
        self._knocking[name] += event.kind == "decision.pending"
        if event.source == "broker" and event.kind in ("connect.accepted", "connect.refused"):
            self._knocking[name] -= self._knocking[name] > 0
        if (event.source, event.kind) == ("broker", "connect.accepted"):
            self.open[name] += 1
            self._known.add(name)
        elif (event.source, event.kind) == ("broker", "connection.closed"):
            self.open[name] -= self.open[name] > 0
            self._known.add(name)

    def concerns(self, client_id: str, event: Event) -> bool:
        """Whether an event about no client matters to this one: an outage, or keys for its CONNECT."""
        return event.kind.startswith("server.") or (
            event.kind.startswith("keys.") and self._knocking[client_id] > 0
        )

    def may_leave(self, name: object) -> bool:
        """Whether a client that leaves was there.  It may have been sent away, and not have noticed yet."""
        return self.open[name] > 0 or name not in self._known


class _Point(NamedTuple):
    """A moment: by the lab's clock, in real seconds without long waits, and on the axis."""

    at: float
    real: float | None
    place: float


class Timeline:
    """Places events, one after the other, on an axis that starts at the first.

    Attributes:
        second: of the latest event, in whole seconds since the first.
        expires: by ``jti``, the second in which a token ends.
    """

    def __init__(self) -> None:
        self.expires: dict[str, int] = {}
        self._first: _Point | None = None
        self._latest: _Point | None = None
        self._at = 0.0  # of the latest, on the axis
        self._long = 0.0  # real seconds of all waits that were worth telling
        self._issues: dict[object, _Point] = {}  # by client: its latest token
        self._ends: dict[object, tuple[float, float]] = {}  # by jti: the end, on the axis and on the clock

    @property
    def second(self) -> int:
        return math.floor(self._at + _NEARLY)

    def place(self, event: Event) -> int:
        """The second of the next event."""
        if not abs(event.at) < _FOREVER:
            return self.second
        if self._first is None or self._latest is None:
            self._first = self._point(event)
        else:
            passed, waited = self._since(self._latest, event)
            self._long += waited * (waited >= _LONG_WAIT)
            if passed - waited >= _SKIP or passed >= _LONG_WAIT:
                self._at = max(self._at, self._after_jump(event))
        self._latest = self._point(event)
        self._learn(event)
        return self.second

    def _point(self, event: Event) -> "_Point":
        return _Point(event.at, None if event.real is None else event.real - self._long, self._at)

    def _since(self, earlier: "_Point", event: Event) -> tuple[float, float]:
        """Seconds by the lab's clock, and how many of them merely seeped in."""
        passed, now = event.at - earlier.at, self._point(event).real
        if earlier.real is None or now is None:
            return passed, 0.0
        return passed, min(max(0.0, now - earlier.real), passed)

    def _after_jump(self, event: Event) -> float:
        assert self._first is not None
        end = self._ends.get(event["jti"]) if event.kind in ("token.expired", "connection.closed") else None
        if end is not None and event["reason"] in (None, "expired"):
            on_axis, on_clock = end
            return on_axis + max(0, math.floor(event.at - on_clock + _NEARLY))
        anchor = self._first
        if event.kind in _TOKEN_REQUESTS:
            anchor = self._issues.get(event["client_id"], anchor)
        most, waited = self._since(anchor, event)
        return anchor.place + _roundest(most - waited, most)

    def _learn(self, event: Event) -> None:
        jti, lifetime = event["jti"], _number(event["lifetime"])
        if event.kind == "token.issued" and lifetime is not None:
            issued = _number(event["iat"])
            self._issues[event["client_id"]] = self._point(event)
            end = (issued if issued is not None else math.floor(event.at)) + lifetime
            self._ends[jti] = self.second + lifetime, end
        elif jti not in self._ends and (rest := _number(event["expires_in"])) is not None:
            # It was issued in the second before, as ``iat`` and ``exp`` count whole seconds.
            left = math.ceil(rest - _NEARLY)
            left += (left + 1) % 60 == 0  # or a little earlier, on a slow machine
            self._ends[jti] = self.second + left, event.at + rest
        if jti in self._ends and isinstance(jti, str):
            self.expires[jti] = math.floor(self._ends[jti][0] + _NEARLY)


def _roundest(least: float, most: float) -> float:
    """The roundest number of seconds between two, or else the greater."""
    for step in _ROUND:
        number = math.floor((most + _NEARLY) / step) * step
        if number > 0 and number >= least - _NEARLY:
            return float(number)
    return most


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < _FOREVER else None
