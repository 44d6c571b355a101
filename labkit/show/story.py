"""What happened, as text: the events of a record."""

from collections.abc import Iterable

from labkit.record import Event
from labkit.show.text import Shown, masked, seconds, table

__all__ = ["events"]

#: Facts that differ from run to run and teach nothing; so do all that were measured in fractions.
_LEFT_OUT = ("peer", "at", "number", "port", "iat", "path")
#: Facts that are moments, and facts that are spans of time in seconds.
_MOMENTS = ("expires_at", "issued_at", "not_before")
_SPANS = ("expires_in", "lifetime", "retry_after")


def events(record: Iterable[Event], *kinds: str, since: int = 0, source: str | None = None) -> Shown:
    """Events of a record in their order, one a line; the tokens among them are called ``jti-1``, ``jti-2`` ….

    Args:
        record: ``lab.record``, or a list of events.
        kinds: only these kinds (``"connect"`` takes in ``"connect.refused"``); all of them by default.
        since: leave out events before this number; see ``Record.mark``.
        source: only what this party saw: ``"authserver"``, ``"broker"`` or ``"device"``.
    """
    numbers: dict[str, str] = {}
    rows = [
        (event.source, event.kind, _facts(event, numbers))
        for event in record
        if event.number >= since and source in (None, event.source) and _wanted(event.kind, kinds)
    ]
    return Shown(table(rows, indent="") or "nothing happened")


def _wanted(kind: str, kinds: tuple[str, ...]) -> bool:
    return not kinds or any(kind == wanted or kind.startswith(wanted + ".") for wanted in kinds)


def _facts(event: Event, numbers: dict[str, str]) -> str:
    told = []
    for name, value in event.facts.items():
        if value is None or name in _LEFT_OUT or (isinstance(value, float) and name not in _MOMENTS):
            continue
        if name in ("jti", "new_jti", "old_jti"):
            value = numbers.setdefault(str(value), f"jti-{len(numbers) + 1}")
        elif name in _MOMENTS:
            value = f"{seconds(float(value) - event.at)} from now"
        elif name in _SPANS and isinstance(value, int | float):
            value = seconds(value)
        told.append(f"{name}={masked(str(value))}")
    return "  ".join(told)
