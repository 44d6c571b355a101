"""The bytes of a packet in rows of sixteen; secrets and the ends of long fields are left out, and counted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from labkit.wire import Range
from labkit.wire.secrecy import Span, merged

__all__ = ["Row", "letters", "row_width", "rows"]

_WIDTH: Final = 16
_LONGEST: Final = 96  # bytes of one field


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Bytes from ``start`` on, in pieces of one field each; or, in ``remark``, what is left out there."""

    start: int
    pieces: Sequence[tuple[Range, bytes]] = ()
    remark: str = ""

    @property
    def width(self) -> int:
        """Characters of the bytes in hex."""
        return max(0, sum(3 * len(piece) for _, piece in self.pieces) - 1)


def row_width(dump: Sequence[Row]) -> int:
    """Characters of the longest row in hex."""
    return max([row.width for row in dump], default=0)


def rows(data: bytes, fields: Sequence[Range], hidden: Sequence[Span]) -> Iterator[Row]:
    """The rows of ``data``, which consists of ``fields``, without the ``hidden`` bytes."""
    start, pieces = 0, list[tuple[Range, bytes]]()
    for field, first, last, left_out in _stretches(fields, hidden):
        if left_out:
            if pieces:
                yield Row(start=start, pieces=pieces)
            yield Row(start=first, remark=_remark(field, last - first))
            start, pieces = last, []
            continue
        while first < last:
            end = min(last, (first // _WIDTH + 1) * _WIDTH)
            pieces.append((field, data[first:end]))
            if end % _WIDTH == 0:
                yield Row(start=start, pieces=pieces)
                start, pieces = end, []
            first = end
    if pieces:
        yield Row(start=start, pieces=pieces)


def _remark(field: Range, count: int) -> str:
    of = "not read" if field.name == "not read" else f"more of the {field.name}"
    return f"… {count} byte{'s' * (count != 1)} {of}"


def letters(raw: bytes) -> str:
    """Bytes as ASCII, with a dot for what has no letter."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)


def _stretches(fields: Sequence[Range], hidden: Sequence[Span]) -> Iterator[tuple[Range, int, int, bool]]:
    """Each field in stretches that are shown or left out."""
    for field in fields:
        at, end = field.start, field.end
        gaps = [(max(a, at), min(b, end)) for a, b in hidden if a < end and b > at]
        for a, b in merged([*gaps, (at + _LONGEST, end)]):
            if at < a:
                yield field, at, a, False
            yield field, a, b, True
            at = b
        if at < end:
            yield field, at, end, False
