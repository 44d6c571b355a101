"""A token, decoded: its three parts, what each entry says and means, and which checks of the broker read it.

Showing is not checking: only the signature is verified, and only when keys are at hand.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from textwrap import wrap
from typing import Final

from markupsafe import Markup

from labkit.show import html
from labkit.show.claims import plain
from labkit.show.entries import Entry, Reading, read
from labkit.show.text import Shown

__all__ = ["PARTS", "token"]

#: The parts of a token, each with its tint and the sections that define it.
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "header": ("blue", "RFC 7515 §4.1, RFC 9068 §2.1"),
    "claims": ("violet", "RFC 7519 §4.1, RFC 9068 §2.2"),
    "signature": ("amber", "RFC 7515 §5.2"),
}
_COLUMNS: Final = ("name", "value", "meaning", "the broker's checks")
_LINE: Final = 88
_LONGEST_NAME: Final = 16


def token(text: object, keys: object = None, *, only: Collection[str] = ()) -> Shown:
    """The parts of a JWT, decoded and explained; a sentence where it is none.  Never raises.

    Args:
        text: the token as it travels.  Objects of any other kind are described, not decoded.
        keys: with what to check the signature: a JWK set or its URL, a ``JwksCache``, a ``TokenValidator``,
            or the ``Lab``.  Without keys it is not checked.
        only: these header parameters and claims, by name; the others are counted.  All by default.
    """
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str):
        perhaps = isinstance(text, dict) and "access_token" in text
        kind = plain(type(text).__name__)
        return Shown(f"no token: an object of type {kind}" + "; perhaps its access_token is one" * perhaps)
    count = text.count(".") + 1
    if count != 3:
        return Shown(f"no JWT: {count} part{'s' * (count != 1)}, and a signed one has three, joined by dots")
    reading = read(text, keys)
    if only:
        reading = replace(reading, header=_chosen(reading.header, only), claims=_chosen(reading.claims, only))
    words = _text(reading)
    return Shown(words, _html(reading, words))


def _chosen(entries: Iterable[Entry], only: Collection[str]) -> list[Entry]:
    """The entries with these names, every remark, and how many are left out."""
    entries = list(entries)
    chosen = [entry for entry in entries if not entry.name or entry.name in only]
    left_out = len(entries) - len(chosen)
    return [*chosen, *([Entry(values=[f"… {left_out} more"])] if left_out else [])]


def _text(reading: Reading) -> str:
    why = wrap(reading.signature.why, _LINE, initial_indent="  ", subsequent_indent="  ")
    rows: list[tuple[str, ...]] = [
        _COLUMNS,
        _heading("header"),
        *_cells(reading.header),
        _heading("claims"),
        *_cells(reading.claims),
        _heading("signature"),
        (f"  {reading.size}: {reading.signature.words}", "", "", "signature"),
        *((line,) for line in [*why, reading.strict] if line),
    ]
    return "\n".join(["as it travels  " + " . ".join(reading.encoded), "", *_laid_out(rows)])


def _heading(part: str) -> tuple[str]:
    return (f"{part} ({PARTS[part][1]})",)


def _cells(entries: Iterable[Entry]) -> list[tuple[str, ...]]:
    cells: list[tuple[str, ...]] = []
    for entry in entries:
        first, *more = entry.values
        if entry.name:
            cells.append((f"  {entry.name}", first, entry.meaning, entry.checks))
        else:
            cells.append((f"  {first}",))
        cells += [("", value) for value in more]
    return cells


def _laid_out(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows in columns.  A cell too wide for its column goes on, and what follows it begins a new line."""
    full = [row for row in rows if len(row) == len(_COLUMNS) and row[1]]
    widths = [max(len(row[column]) for row in full) for column in range(len(_COLUMNS))]
    widths[0] = min(widths[0], _LONGEST_NAME)
    widths[1] = min(widths[1], _LINE - sum(widths) + widths[1] - 2 * (len(widths) - 1))
    starts = [sum(widths[:column]) + 2 * column for column in range(len(widths))]
    lines = []
    for row in rows:
        line = ""
        for start, cell in zip(starts, row, strict=False):
            if cell and line and len(line) + 2 > start:
                lines.append(line)
                line = ""
            line = line.ljust(start) + cell if cell else line
        lines.append(line)
    return lines


def _html(reading: Reading, text: str) -> str:
    first, second, third = (
        html.chip(each, tint) for each, (tint, _) in zip(reading.encoded, PARTS.values(), strict=True)
    )
    travels = html.table([(first, ".", second, ".", third)], head=("header", "", "claims", "", "signature"))
    signature = reading.signature
    tint = {True: "green", False: "red", None: "grey"}[signature.fits]
    verdict = Markup("{}: {}").format(html.mono(reading.size), html.chip(signature.words, tint))
    table = html.table(
        [
            *_rows("header", reading.header),
            *_rows("claims", reading.claims),
            (_label("signature"), "", html.whole(verdict), "", "signature"),
        ],
        head=("", *map(html.whole, _COLUMNS)),
    )
    notes = [
        html.box(note, tint) for note, tint in ((signature.why, tint), (reading.strict, "amber")) if note
    ]
    return html.figure(travels, table, *notes, text=text)


def _rows(part: str, entries: Iterable[Entry]) -> list[tuple[object, ...]]:
    return [
        (
            _label(part) if number == 0 else "",
            (html.whole if len(entry.name) <= _LONGEST_NAME else html.breakable)(html.mono(entry.name)),
            Markup("<br>").join(html.breakable(html.mono(value)) for value in entry.values),
            html.whole(entry.meaning),
            html.whole(entry.checks),
        )
        for number, entry in enumerate(entries)
    ]


def _label(part: str) -> Markup:
    tint, sections = PARTS[part]
    return html.chip(part, tint, title=sections)
