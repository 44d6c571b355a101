"""Who said what to whom, as it really happened: a sequence diagram, and the same as numbered lines.

The diagram is an image in a ``data:`` address and not Mermaid, because Mermaid needs a script at the moment
of reading: an exported notebook would fetch it from another machine, and a printed or mailed one shows its
source.  The image is there wherever images are, in both themes, offline, with a description, and the same
bytes on every run.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from labkit.record import Event
from labkit.show.html import figure, image
from labkit.show.lifelines import OTHERS, drawn, sharing
from labkit.show.steps import Step, Teller
from labkit.show.steps_http import HTTP
from labkit.show.steps_mqtt import MQTT
from labkit.show.text import Shown
from labkit.show.timeline import Timeline, chosen, span

__all__ = ["TABLE", "Line", "conversation"]

#: What is told of an event, by its source and kind; ``steps.LEFT_OUT`` has the others.
TABLE: Final = HTTP | MQTT

_COLUMNS = 88
#: How often the same steps are told before they are counted, and how many steps can be the same again.
_KEPT, _LONGEST_PERIOD = 2, 12
_TOKEN = re.compile(r"\bjti-\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A step with its number, or, without a step, a remark between two: time that passed, steps left out."""

    number: int = 0
    step: Step | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    second: int
    step: Step


def conversation(
    record: Iterable[Event], *, since: int = 0, client_id: str | None = None, limit: int = 60
) -> Shown:
    """What device, authorization server and broker said to each other: HTTP, CONNECT, PUBLISH, the end.

    Tokens are called ``jti-1``, ``jti-2`` …, time is told in seconds since the first event, and what is
    repeated again and again is counted.  Wait for the last event that matters before you look (see
    ``Record.wait``): a server may still be writing.

    Args:
        record: ``lab.record``, or a list of events.
        since: leave out events before this number; see ``Record.mark``.
        client_id: only what concerns this client.
        limit: how many steps are told before the rest is counted.
    """
    events = chosen(record, since, client_id)
    if events is None:
        return Shown(f"no record of events: a {type(record).__name__}")
    lines = _numbered(_told(events), limit)
    if not lines:
        return Shown("nothing happened")
    text = _text(lines)
    svg, alt = drawn(lines)
    return Shown(text, figure(image(svg, alt), text=text))


def _told(events: list[Event]) -> list[_Row]:
    timeline, teller = Timeline(), Teller(events, TABLE)
    rows = []
    for position, event in enumerate(events):
        second = timeline.place(event)
        rows += [_Row(second, step) for step in teller.tell(position)]
    return rows + [_Row(timeline.second, step) for step in teller.rest()]


def _numbered(rows: list[_Row], limit: int) -> list[Line]:
    """The rows, with time that passes between them, and repeated ones counted."""
    lines: list[Line] = []
    number, now = 0, 0
    for item in _folded(rows):
        if isinstance(item, _Row):
            if number >= limit:
                rest = sum(isinstance(each, _Row) for each in _folded(rows)) - number
                lines.append(Line(remark=f"… {rest} more step{'s' * (rest != 1)}"))
                break
            if item.second > now:
                now = item.second
                lines.append(Line(remark=f"after {span(now)}"))
            number += 1
            lines.append(Line(number=number, step=item.step))
        else:
            times, size, refreshes, until = item
            first = number - size * _KEPT + 1
            which = f"line {first}" if size == 1 else f"lines {first} to {first + size - 1}"
            words = f"… {times} more refreshes" if refreshes else f"… {which}, {times} times more"
            if until > now:
                now = until
                words += f", the last after {span(now)}"
            lines.append(Line(remark=words))
    return lines


def _folded(rows: list[_Row]) -> list[_Row | tuple[int, int, bool, int]]:
    """The rows; those that repeat what stands before them become (times, rows told, refreshes?, second)."""
    major = [index for index, row in enumerate(rows) if not row.step.minor]
    alike = [_alike(rows, index, before) for index, before in zip(major, [None, *major], strict=False)]
    starts = [*major, len(rows)]
    folded: list[_Row | tuple[int, int, bool, int]] = list(rows[: starts[0]])
    position = 0
    while position < len(major):
        period, times = _repeated(alike, position)
        told = min(times, _KEPT) if times > _KEPT + 1 else 1
        end = position + period * told
        folded += rows[starts[position] : starts[end]]
        if times > _KEPT + 1:
            block = rows[starts[position] : starts[position + period]]
            end = position + period * times
            size = (starts[position + period * told] - starts[position]) // told
            words = [row.step.words for row in block]
            refreshes = any("POST /oauth2/token" in each for each in words) and any(
                each.startswith("CONNECT") for each in words
            )
            folded.append((times - told, size, refreshes, rows[starts[end] - 1].second))
        position = end
    return folded


def _alike(rows: list[_Row], index: int, before: int | None) -> tuple[object, ...]:
    """What is the same in two rows that say the same at different times, about different tokens."""
    step, pause = rows[index].step, before is None or rows[index].second > rows[before].second
    return pause, step.sender, step.receiver, step.tone, _TOKEN.sub("jti", step.words)


def _repeated(alike: Sequence[tuple[object, ...]], start: int) -> tuple[int, int]:
    """The length of what is repeated from here on, and how often it is there; (1, 1) if it is not."""
    for period in range(1, _LONGEST_PERIOD + 1):
        block = alike[start : start + period]
        if any(each[0] for each in block) and not block[0][0]:
            continue  # a pause begins something new, so it stands first
        times = 1
        while alike[start + times * period : start + (times + 1) * period] == block:
            times += 1
        if times > _KEPT + 1:
            return period, times
    return 1, 1


def _text(lines: list[Line]) -> str:
    """The lines as text of at most 88 columns."""
    digits = len(str(max(line.number for line in lines)))
    who = {line.number: _who(line.step) for line in lines if line.step is not None}
    width = max(map(len, who.values()), default=0)
    margin = " " * (digits + 2)
    told = []
    for line in lines:
        if line.step is None:
            told.append(margin + line.remark)
            continue
        head = f"{line.number:>{digits}}  {who[line.number]:<{width}}  "
        words = line.step.words.replace("QoS ", "QoS\xa0")  # which stay together
        told += textwrap.wrap(words, _COLUMNS, initial_indent=head, subsequent_indent=" " * len(head))
    if others := sharing([line.step for line in lines if line.step is not None]):
        told.append(f"{margin}(in the picture, {others} devices share the line “{OTHERS.name}”)")
    return "\n".join(told).replace("\xa0", " ")


def _who(step: Step) -> str:
    return step.sender.name if step.receiver is None else f"{step.sender.name} → {step.receiver.name}"
