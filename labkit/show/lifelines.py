"""The picture of a conversation: a line down the page for every party, and what passes between them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from labkit.show.steps import AUTHSERVER, BROKER, TINT_OF, Party, Step
from labkit.show.svg import Drawing, width_of

if TYPE_CHECKING:
    from labkit.show.conversation import Line

__all__ = ["OTHERS", "drawn", "sharing"]

#: One line for all devices behind the first few.
OTHERS: Final = Party("device", "others")
_MOST_DEVICES = 4

_WIDEST = 860
_GUTTER = 34  # for the numbers
_HEAD, _ARROW, _NOTE, _REMARK = 46, 36, 30, 30  # heights
_MANY = 18  # lines after which the names stand below as well
_TINTS = {"refusal": "red", "end": "amber"}


def drawn(lines: "Sequence[Line]") -> tuple[str, str]:
    """The picture as SVG, and a sentence that describes it."""
    parties = _parties([line.step for line in lines if line.step is not None])
    shown = [party for party in parties if party in parties.values()]
    columns = _columns(shown, lines, parties)
    width = round(max(columns.values()) + _side(shown[-1]) + 12)
    body = sum(_height(line) for line in lines)
    names_below = len(lines) > _MANY
    height = _HEAD + body + (_HEAD if names_below else 14)
    title = _title(shown, lines)
    drawing = Drawing(width, height, title)
    for party, x in columns.items():
        drawing.line(x, _HEAD - 8, x, _HEAD + body + 4)
        for y in (26, height - 20) if names_below else (26,):
            drawing.label(x, y, party.name, room=150, tint=TINT_OF[party.role], bold=True)
    y = _HEAD
    for line in lines:
        if line.step is None:
            _remark(drawing, y, line.remark)
        else:
            _step(drawing, y, line.number, line.step, columns, parties)
        y += _height(line)
    return str(drawing), title


def sharing(steps: list[Step]) -> int:
    """How many devices share the line of the others."""
    return sum(place is OTHERS and party is not OTHERS for party, place in _parties(steps).items())


def _parties(steps: list[Step]) -> dict[Party, Party]:
    """Who takes part, from left to right, and on whose line each is drawn."""
    seen = dict.fromkeys(party for step in steps for party in (step.sender, step.receiver) if party)
    devices = [party for party in seen if party.role == "device"]
    places = {party: party for party in devices[:_MOST_DEVICES]}
    if len(devices) > _MOST_DEVICES:
        places |= {OTHERS: OTHERS} | dict.fromkeys(devices[_MOST_DEVICES:], OTHERS)
    lab = [party for party in seen if party.role == "lab"]
    return places | {party: party for party in (AUTHSERVER, BROKER, *lab) if party in seen}


def _columns(shown: list[Party], lines: "Sequence[Line]", parties: dict[Party, Party]) -> dict[Party, float]:
    """Where each party stands: far enough from the next for what they say to each other."""
    left = _GUTTER + _side(shown[0])
    place = {party: number for number, party in enumerate(shown)}
    apart = max([120.0, *(_side(a) + _side(b) + 16 for a, b in pairwise(shown))])
    for line in lines:
        step = line.step
        if step is not None and step.receiver is not None:
            steps = abs(place[parties[step.sender]] - place[parties[step.receiver]])
            apart = max(apart, (width_of(step.words) + 36) / max(1, steps))
    room = (_WIDEST - left - _side(shown[-1]) - 12) / max(1, len(shown) - 1)
    apart = min(apart, room)
    return {party: round(left + number * apart) for party, number in place.items()}


def _side(party: Party) -> float:
    """Half of the room that a name takes."""
    return min(width_of(party.name) * 1.1 + 12, 162) / 2


def _height(line: "Line") -> int:
    if line.step is None:
        return _REMARK
    return _NOTE if line.step.receiver is None else _ARROW


def _remark(drawing: Drawing, y: float, words: str) -> None:
    middle = y + _REMARK / 2
    drawing.line(14, middle, drawing.width - 14, middle, "faint", "2 4")
    drawing.label(drawing.width / 2, middle, words, room=drawing.width - 60)


def _step(
    drawing: Drawing,
    y: float,
    number: int,
    step: Step,
    columns: dict[Party, float],
    parties: dict[Party, Party],
) -> None:
    sender = parties[step.sender]
    words = f"{step.sender.name}: {step.words}" if sender is OTHERS else step.words
    tint = _TINTS.get(step.tone, "")
    if step.receiver is None:
        middle = y + _NOTE / 2
        drawing.words(_GUTTER - 10, middle + 4, str(number), anchor="end", kind="soft", size=12)
        drawing.label(columns[sender], middle, words, room=drawing.width - 60, tint=tint or "grey")
        return
    receiver = parties[step.receiver]
    if receiver is OTHERS:
        words = f"{step.receiver.name}: {step.words}"
    start, end, base = columns[sender], columns[receiver], y + _ARROW - 9
    drawing.words(_GUTTER - 10, y + 16, str(number), anchor="end", kind="soft", size=12)
    dash = "5 4" if step.tone in ("reply", "refusal") else ""
    drawing.arrow(start, end, base, dash=dash, lost=step.tone == "lost")
    drawing.label((start + end) / 2, y + 12, words, room=drawing.width - 60, tint=tint)


def _title(shown: list[Party], lines: "Sequence[Line]") -> str:
    steps = max(line.number for line in lines)
    names = [party.name for party in shown]
    return (
        f"Sequence diagram, {steps} step{'s' * (steps != 1)}, with a line for each of: {', '.join(names)}."
        " The same as text stands below it."
    )
