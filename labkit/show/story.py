"""What happened, as a list: the events of a record."""

from collections.abc import Iterable

from markupsafe import Markup

from labkit.record import Event
from labkit.show.html import breakable, chip, figure, mono, whole
from labkit.show.html import table as html_table
from labkit.show.steps import TINT_OF, named
from labkit.show.text import Shown, seconds, table

__all__ = ["events"]

#: Facts that differ from run to run and teach nothing; so do all that were measured in fractions.
_LEFT_OUT = ("peer", "at", "number", "port", "iat", "path")
#: Facts that are moments, and facts that are spans of time in seconds.
_MOMENTS = ("expires_at", "issued_at", "not_before")
_SPANS = ("expires_in", "lifetime", "retry_after")
#: Columns that the text keeps to, unless a single fact is longer.
_LINE = 88
#: A fact of so many characters stays on one line; and no fact in a record is longer than the second.
_SHORT, _LONGEST = 48, 301


def events(record: Iterable[Event], *kinds: str, since: int = 0, source: str | None = None) -> Shown:
    """Events of a record in their order, one a line; the tokens among them are called ``jti-1``, ``jti-2`` ….

    Args:
        record: ``lab.record``, or a list of events.
        kinds: only these kinds (``"connect"`` takes in ``"connect.refused"``); all of them by default.
        since: leave out events before this number; see ``Record.mark``.
        source: only what this party saw: ``"authserver"``, ``"broker"`` or ``"device"``.
    """
    known = list(record) if isinstance(record, Iterable) else [record]
    if not all(isinstance(event, Event) for event in known):
        return Shown(f"no record of events: a {type(record).__name__}")
    numbers: dict[str, str] = {}
    rows = [
        (named(event.source), named(event.kind), _facts(event, numbers))
        for event in known
        if event.number >= since and source in (None, event.source) and _wanted(event.kind, kinds)
    ]
    if not rows:
        return Shown("nothing happened")
    text = _listed(rows)
    coloured = html_table(
        (
            chip(source, TINT_OF.get(source, "grey")),
            whole(mono(kind)),
            Markup("&ensp;").join(map(_fact, facts)),
        )
        for source, kind, facts in rows
    )
    return Shown(text, figure(coloured, text=text))


def _listed(rows: list[tuple[str, str, list[str]]]) -> str:
    """One event a line, and more lines below it for facts that do not fit."""
    room = _LINE - sum(max(len(row[column]) for row in rows) + 2 for column in (0, 1))
    lines: list[tuple[str, str, str]] = []
    for source, kind, facts in rows:
        first, *more = _folded(facts, room)
        lines += [(source, kind, first), *(("", "", rest) for rest in more)]
    return table(lines, indent="")


def _folded(facts: list[str], room: int) -> list[str]:
    """The facts in as few lines of at most ``room`` characters as they take; none is cut in two."""
    lines = [""]
    for fact in facts:
        if lines[-1] and len(lines[-1]) + 2 + len(fact) > room:
            lines.append("")
        lines[-1] += ("  " if lines[-1] else "") + fact
    return lines


def _wanted(kind: str, kinds: tuple[str, ...]) -> bool:
    return not kinds or any(kind == wanted or kind.startswith(wanted + ".") for wanted in kinds)


def _fact(told: str) -> Markup:
    return (whole if len(told) <= _SHORT else breakable)(mono(told))


def _facts(event: Event, numbers: dict[str, str]) -> list[str]:
    told = []
    for name, value in event.facts.items():
        if value is None or name in _LEFT_OUT or (isinstance(value, float) and name not in _MOMENTS):
            continue
        if name in ("jti", "new_jti", "old_jti"):
            value = numbers.setdefault(str(value), f"jti-{len(numbers) + 1}")
        elif name in _MOMENTS and _is_finite(value) and _is_finite(event.at):
            value = f"{seconds(float(value) - event.at)} from now"
        elif name in _SPANS and _is_finite(value):
            value = seconds(float(value))
        told.append(f"{named(name)}={named(value, _LONGEST)}")
    return told


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e15
