"""An MQTT packet byte by byte: what each field is called and says, with flags bit by bit and tokens decoded.

The names come from :mod:`labkit.wire`, with which the broker's gate reads packets.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Final

from markupsafe import Markup

from labkit.show import html
from labkit.show.claims import plain
from labkit.show.dump import Row, letters, row_width, rows
from labkit.show.fields import Line, lines
from labkit.show.text import Shown
from labkit.show.token import PARTS
from labkit.wire import Dissection, Range, Tapped, dissect
from labkit.wire.secrecy import SECRET, Span, merged

__all__ = ["packet"]

_COLUMNS: Final = ("bytes", "hex", "field", "meaning")
_LINE: Final = 88
_NARROWEST: Final = 30  # characters of a meaning
_MOST_FIELDS: Final = 64
_LONGEST_NAME: Final = 34  # of all that MQTT has; a claim may have a longer one
#: A port on loopback differs from run to run: in an address, and in an OAUTHBEARER message.
_PORTS: Final = re.compile(rb"(?:127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})|\x01port=(\d+)")


def packet(data: bytes | Tapped, version: int | None = None) -> Shown:
    """The bytes of an MQTT packet, each with its name and meaning; tokens and passwords are cut short.

    Never raises.

    Args:
        data: the packet, or one that a :class:`labkit.wire.Tap` has written down.
        version: 4 for MQTT 3.1.1, 5 for MQTT 5.  A CONNECT and a tapped packet know it; else it is 4.
    """
    origin = ""
    if isinstance(data, Tapped):
        cut = f", of which {_count(data.cut, 'byte')} at its end are not kept" if data.cut else ""
        origin, version, data = f", from the {data.sender}{cut}", version or data.version, data.data
    if not isinstance(data, bytes | bytearray | memoryview):
        return Shown(f"no bytes: a {plain(type(data).__name__)}")
    try:
        raw = bytes(data)
        parts = dissect(raw, version)
    except ValueError as error:
        return Shown(f"{error}")
    fields = parts[:_MOST_FIELDS]
    hidden = merged([*parts.hidden, *_ports(raw)])
    table = [line for field in fields for line in lines(raw, field, hidden)]
    if len(parts) > len(fields):
        table.append(Line(meaning=f"… and {_count(len(parts) - len(fields), 'field')} more"))
    title = f"{_kind(parts)}, {_count(len(raw), 'byte')}{origin}"
    wrong = next((part for part in parts if not part.valid), None)
    fault = "" if wrong is None else f"✗ {wrong.name}: {wrong.meaning}"
    dump = [*rows(raw, fields, hidden)]
    text = _text(title, fault, dump, table)
    return Shown(text, _html(title, fault, dump, table, _tints(fields), text))


def _kind(parts: Dissection) -> str:
    """Which packet of which version.  A CONNECT may be of one that is not read."""
    name = parts[0].bits[0].meaning.partition(" = ")[2] if parts[0].bits else ""
    version = "MQTT 5" if parts.version == 5 else "MQTT 3.1.1"
    level = [part.meaning for part in parts if part.name == "protocol level" and part.valid]
    if level:
        version = level[0].partition(" = ")[2] or "an unknown version"
    return f"{name or 'no packet'} of {version}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _ports(raw: bytes) -> Iterator[Span]:
    for found in _PORTS.finditer(raw):
        yield found.span(found.lastindex or 0)


def _text(title: str, fault: str, dump: Sequence[Row], table: Sequence[Line]) -> str:
    said = [title, *wrap(fault, _LINE), ""]
    width = row_width(dump)
    for row in dump:
        codes = " ".join(piece.hex(" ") for _, piece in row.pieces)
        shown = "".join(letters(piece) for _, piece in row.pieces)
        said.append(f"{row.start:>5}  {row.remark or f'{codes:<{width}}  {shown}'}".rstrip())
    return "\n".join([*said, "", *_table(table)])


def _table(table: Sequence[Line]) -> Iterator[str]:
    """The fields in columns.  The entries of a token have columns of their own below their field."""
    fields = [line for line in table if not line.value]
    wide = max(len("bytes"), *(len(line.where) for line in fields))
    hexes = max(len("hex"), *(len(line.hex) for line in fields))
    names = max(len(_name(line)) for line in fields)
    start = wide + hexes + names + 6
    yield f"{'bytes':>{wide}}  {'hex':<{hexes}}  {'field':<{names}}  meaning"
    for is_token, group in groupby(table, key=lambda line: bool(line.value)):
        if is_token:
            yield from (" " * (wide + 2) + line for line in _entries([*group]))
            continue
        for line in group:
            said = wrap(line.meaning, max(_LINE - start, _NARROWEST), break_long_words=False)
            longest = max(map(len, said), default=0)
            if start + longest > _LINE:  # then below, where there is more room
                said = ["", *said]
            first, *more = said or [""]
            yield f"{line.where:>{wide}}  {line.hex:<{hexes}}  {_name(line):<{names}}  {first}".rstrip()
            yield from (" " * min(start, max(_LINE - longest, wide + 2)) + each for each in more)


def _name(line: Line) -> str:
    if line.field is None:
        return "  " + line.name
    return line.name if line.field.valid else "✗ " + line.name


def _entries(token: Sequence[Line]) -> Iterator[str]:
    names = max(len(line.name) for line in token)
    values = max([len(line.value) for line in token if line.meaning], default=0)
    for line in token:
        yield f"{line.hex:<9}  {line.name:<{names}}  {line.value:<{values}}  {line.meaning}".rstrip()


def _tints(fields: Sequence[Range]) -> Mapping[Range, str]:
    """A tint for each field, another one than its neighbour's."""
    tints, turn = {}, 0
    for field in fields:
        if not field.valid:
            tints[field] = "red"
        elif field.name in SECRET:
            tints[field] = "amber"
        elif field.name == "not read" or field.name.endswith((" length", "property identifier")):
            tints[field] = "grey"
        else:
            tints[field] = ("blue", "violet", "green")[turn % 3]
            turn += 1
    return tints


def _html(
    title: str,
    fault: str,
    dump: Sequence[Row],
    table: Sequence[Line],
    tints: Mapping[Range, str],
    text: str,
) -> str:
    head = [html.bold(title)]
    if fault:
        head.append(html.box(fault, "red"))
    cells = [_cells(line, tints) for line in table]
    return html.figure(*head, _dump(dump, tints), html.table(cells, head=(*_COLUMNS, "")), text=text)


def _dump(dump: Sequence[Row], tints: Mapping[Range, str]) -> Markup:
    shown, width = [], row_width(dump)
    for row in dump:
        codes = Markup(" ").join(
            html.tinted(piece.hex(" "), tints[field], title=field.name) for field, piece in row.pieces
        )
        words = Markup("").join(
            html.tinted(letters(piece), tints[field], title=field.name) for field, piece in row.pieces
        )
        line = Markup("{}{}  {}").format(codes, " " * (width - row.width), words)
        shown.append(Markup("{}  {}").format(f"{row.start:>5}", row.remark or line))
    return html.block(Markup("\n").join(shown))


def _cells(line: Line, tints: Mapping[Range, str]) -> tuple[object, ...]:
    part = PARTS.get(line.hex)
    code = html.chip(line.hex, part[0]) if part else html.mono(html.whole(line.hex))
    place = html.whole(line.where), code
    if line.field is not None:
        name = html.whole(html.chip(_name(line), tints[line.field]))
        return *place, name, (html.breakable if line.field.valid else html.bold)(line.meaning), ""
    keep = html.whole if len(line.name) <= _LONGEST_NAME else html.breakable
    said = html.mono(html.breakable(line.value)), html.whole(line.meaning)
    return *place, html.mono(keep(line.name)), *(said if line.value else (line.meaning, ""))
