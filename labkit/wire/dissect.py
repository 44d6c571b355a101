"""Show what every byte of a packet means, also of a damaged one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from labkit.errors import MalformedPacket
from labkit.wire.bits import Bits, bits_of
from labkit.wire.cursor import Cursor
from labkit.wire.meanings import meaning
from labkit.wire.parse import READERS, protocol_level, walk
from labkit.wire.secrecy import SECRET, Span, hidden_bytes
from labkit.wire.v5.cursor import Cursor as Cursor5
from labkit.wire.v5.parse import READERS as READERS_5

__all__ = ["Dissection", "Range", "dissect"]

_T = TypeVar("_T")

_HEX_BYTES = 8  # how many bytes of a field the table shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The bytes ``start`` to ``end`` (not included) of a packet, what they are called and what they say.

    ``valid`` is false for the field that breaks a rule; ``meaning`` then names the rule.  A byte that is made
    of flags has them in ``bits``.
    """

    name: str
    start: int
    end: int
    meaning: str
    valid: bool = True
    bits: tuple[Bits, ...] = ()


class Dissection(Sequence[Range]):
    """The ranges of one packet, in order, covering every byte; as text, a table.

    Attributes:
        version: 4 for MQTT 3.1.1, 5 for MQTT 5: as which it was read.
        hidden: the bytes that hold a secret, as pairs of start and end.
    """

    def __init__(self, data: bytes, ranges: Sequence[Range], version: int, hidden: tuple[Span, ...]) -> None:
        self.version = version
        self.hidden = hidden
        self._data = data
        self._ranges = tuple(ranges)

    @overload
    def __getitem__(self, index: int) -> Range: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Range, ...]: ...
    def __getitem__(self, index: int | slice) -> Range | tuple[Range, ...]:
        return self._ranges[index]

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[Range]:
        return iter(self._ranges)

    @property
    def valid(self) -> bool:
        """Whether the packet keeps every rule."""
        return all(part.valid for part in self._ranges)

    def __str__(self) -> str:
        rows = [("bytes", "hex", "field", "meaning")]
        for part in self._ranges:
            where = f"{part.start}" if part.end - part.start < 2 else f"{part.start}-{part.end - 1}"
            mark = "" if part.valid else "✗ "
            rows.append((where, self.hex(part, _HEX_BYTES), mark + part.name, part.meaning))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            f"{row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}".rstrip()
            for row in rows
        )

    __repr__ = __str__  # a repr of the bytes would show the token

    def hex(self, part: Range, limit: int) -> str:
        """The first bytes of a range in hex, at most ``limit`` of them and none that is hidden."""
        end = min(part.end, part.start + limit)
        for start, stop in self.hidden:
            if stop > part.start and start < end:
                end = max(start, part.start)
                break
        return self._data[part.start : end].hex(" ") + (" …" if end < part.end else "")


def dissect(packet: bytes, version: int | None = None, *, secrets: bool = False) -> Dissection:
    """Name every byte of one MQTT packet.

    Never raises over the bytes: a field that breaks a rule is marked, and what lies behind it is "not read".

    Args:
        packet: its bytes.
        version: 4 for MQTT 3.1.1 (the default), 5 for MQTT 5.  A CONNECT says by itself which one it is; all
            other packets leave it to what CONNECT said.
        secrets: show user name, password and tokens in full.  Otherwise a token is cut to its first letters.

    Raises:
        ValueError: there is no such ``version``.
    """
    if version not in (None, 4, 5):
        raise ValueError("MQTT has version 4, which is called 3.1.1, and version 5")
    data = bytes(packet)
    level = protocol_level(data)
    version = (version or 4) if level is None else (5 if level == 5 else 4)
    cursor, broken = _read(data, version)
    parts, unread = cursor.parts, len(cursor.parts)
    if cursor.failed is not None:
        parts.append((cursor.failed, cursor.at, len(data)))
    elif cursor.at < len(data):
        parts.append(("not read", cursor.at, len(data)))
    culprit = _culprit(cursor) if broken else None
    hidden = () if secrets else hidden_bytes(data, parts, culprit, unread)
    ranges = [
        Range(
            name=name,
            start=start,
            end=end,
            meaning=broken
            if index == culprit
            else meaning(
                name,
                data[start:end],
                first=data[0],
                version=version,
                hidden=_within(hidden, start, end),
                cut=not (secrets and name in SECRET),
            ),
            valid=index != culprit,
            bits=bits_of(name, data[start:end], version),
        )
        for index, (name, start, end) in enumerate(parts)
    ]
    return Dissection(data, ranges, version, hidden)


def _read(data: bytes, version: int) -> "tuple[_Recorder, str]":
    """Walk a packet; return where its fields lay, and which rule it breaks."""
    cursor = _Recorder5(data) if version == 5 else _Recorder(data)
    try:
        if isinstance(cursor, _Recorder5):
            walk(cursor, READERS_5, 5)
        else:
            walk(cursor, READERS, 4)
    except MalformedPacket as error:
        return cursor, str(error)
    return cursor, ""


def _culprit(cursor: "_Recorder") -> int:
    """Which field broke the rule: the one that could not be read, the one blamed, or the one read last."""
    names = [name for name, _, _ in cursor.parts]
    if cursor.failed is not None:
        return len(names) - 1
    if cursor.blamed is not None:
        return len(names) - 1 - names[::-1].index(cursor.blamed)
    return len(names) - 1 - (names[-1] == "not read")


def _within(spans: tuple[Span, ...], start: int, end: int) -> list[Span]:
    """The spans that lie between ``start`` and ``end``, counted from ``start``."""
    return [(max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start]


class _Recorder(Cursor):
    """A cursor that remembers where each field lay."""

    __slots__ = ("blamed", "failed", "parts")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.parts: list[tuple[str, int, int]] = []
        self.failed: str | None = None
        self.blamed: str | None = None

    def byte(self, name: str) -> int:
        return self._note(name, super().byte)

    def length(self, name: str) -> int:
        return self._note(name, super().length)

    def number(self, name: str) -> int:
        return self._note(name, super().number)

    def rest(self, name: str) -> bytes:
        return self._note(name, super().rest)

    def binary(self, name: str) -> bytes:
        value = self._note(name, super().binary)
        self.parts[-1] = (name, self.at - len(value), self.at)  # the length has a range of its own
        return value

    def blame(self, name: str) -> None:
        self.blamed = name

    def _note(self, name: str, read: Callable[[str], _T]) -> _T:
        start = self.at
        try:
            value = read(name)
        except MalformedPacket:
            self.failed = self.failed or name
            raise
        self.parts.append((name, start, self.at))
        return value


class _Recorder5(_Recorder, Cursor5):
    """The same for MQTT 5."""

    __slots__ = ()

    def four(self, name: str) -> int:
        return self._note(name, super().four)
