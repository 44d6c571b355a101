"""Show what every byte of a packet means, also of a damaged one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from labkit.errors import MalformedPacket
from labkit.wire.cursor import Cursor
from labkit.wire.frames import remaining_length
from labkit.wire.packets import PacketType
from labkit.wire.parse import walk

__all__ = ["Dissection", "Range", "dissect"]

_T = TypeVar("_T")

_HEX_BYTES = 8  # how many bytes of a field the table shows
_TEXT = 48  # and how many characters
_SHORTEST_TOKEN = 22  # RFC 6749 §10.10: at least 128 bits, which is 22 characters of base64url


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The bytes ``start`` to ``end`` (not included) of a packet, what they are called and what they say.

    ``valid`` is false for the field that breaks a rule; ``meaning`` then names the rule.
    """

    name: str
    start: int
    end: int
    meaning: str
    valid: bool = True


class Dissection(Sequence[Range]):
    """The ranges of one packet, in order, covering every byte; as text, a table."""

    def __init__(self, data: bytes, ranges: Sequence[Range], *, secrets: bool) -> None:
        self._data = data
        self._ranges = tuple(ranges)
        self._secrets = secrets

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
            rows.append((where, self._hex(part), mark + part.name, part.meaning))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            f"{row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}".rstrip()
            for row in rows
        )

    __repr__ = __str__  # a repr of the bytes would show the token

    def _hex(self, part: Range) -> str:
        raw = self._data[part.start : part.end]
        shown = raw[:_HEX_BYTES]
        if part.name in _SECRET and not self._secrets:
            shown = _visible(part.name, raw)[:_HEX_BYTES]
        return shown.hex(" ") + (" …" if len(shown) < len(raw) else "")


def dissect(packet: bytes, *, secrets: bool = False) -> Dissection:
    """Name every byte of one MQTT 3.1.1 packet.

    Never raises: a field that breaks a rule is marked, and what lies behind it is "not read".

    Args:
        secrets: show user name and password in full.  Otherwise a token is cut to its first characters.
    """
    data = bytes(packet)
    cursor = _Recorder(data)
    broken = ""
    try:
        walk(cursor)
    except MalformedPacket as error:
        broken = str(error)
    parts = cursor.parts
    ranges = [
        Range(name=name, start=start, end=end, meaning=_meaning(name, data[start:end], secrets))
        for name, start, end in parts
    ]
    if broken:
        # The rule was broken by the field read last, or by the one that could not be read.
        if cursor.failed is not None:
            ranges.append(
                Range(name=cursor.failed, start=cursor.at, end=len(data), meaning=broken, valid=False)
            )
        else:
            last = ranges.pop()
            ranges.append(Range(name=last.name, start=last.start, end=last.end, meaning=broken, valid=False))
            if last.end < len(data):
                ranges.append(
                    Range(name="not read", start=last.end, end=len(data), meaning=_count(data[last.end :]))
                )
    return Dissection(data, ranges, secrets=secrets)


class _Recorder(Cursor):
    """A cursor that remembers where each field lay."""

    __slots__ = ("failed", "parts")

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.parts: list[tuple[str, int, int]] = []
        self.failed: str | None = None

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

    def _note(self, name: str, read: Callable[[str], _T]) -> _T:
        start = self.at
        try:
            value = read(name)
        except MalformedPacket:
            self.failed = self.failed or name
            raise
        self.parts.append((name, start, self.at))
        return value


_SECRET = ("user name", "password")


def _visible(name: str, raw: bytes) -> bytes:
    """What may be seen of a secret: the start of a token; a user name that is too short to be one."""
    if raw.startswith(b"eyJ"):
        return raw[:_HEX_BYTES]
    return raw if name == "user name" and len(raw) < _SHORTEST_TOKEN else raw[:2]


def _count(raw: bytes) -> str:
    return "1 byte" if len(raw) == 1 else f"{len(raw)} bytes"


def _quoted(raw: bytes) -> str:
    text = raw.decode(errors="replace")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"“{text}”" if len(text) <= _TEXT else f"“{text[:_TEXT]}…” ({_count(raw)})"


def _secret(name: str, raw: bytes, show: bool) -> str:
    if show:
        return f"“{raw.decode(errors='replace')}”"
    shown = _visible(name, raw)
    return _quoted(raw) if shown == raw else f"“{shown.decode(errors='replace')}…” ({_count(raw)})"


def _meaning(name: str, raw: bytes, secrets: bool) -> str:
    if name in _SECRET:
        return _secret(name, raw, secrets)
    if name.endswith(" length") and name not in _MEANINGS:
        return _bytes_follow(int.from_bytes(raw))
    return _MEANINGS.get(name, _quoted)(raw)


def _bytes_follow(count: int) -> str:
    return "1 byte follows" if count == 1 else f"{count} bytes follow"


def _first_byte(raw: bytes) -> str:
    kind, flags = raw[0] >> 4, raw[0] & 0x0F
    known = [member.name for member in PacketType if member == kind]
    text = known[0] if known else f"type {kind}, reserved"
    if kind == PacketType.PUBLISH:
        qos = f"QoS {flags >> 1 & 3}"
        return ", ".join(
            [text, qos, *(["retain"] if flags & 1 else []), *(["duplicate"] if flags & 8 else [])]
        )
    return f"{text}, flags {flags:04b}"


def _connect_flags(raw: bytes) -> str:
    bits = raw[0]
    names = {0x80: "user name", 0x40: "password", 0x20: "will retain", 0x04: "will", 0x02: "clean session"}
    said = [name for bit, name in names.items() if bits & bit]
    if bits & 0x04:
        said.append(f"will QoS {bits >> 3 & 3}")
    return f"{bits:08b}: {', '.join(said) or 'none'}"


def _remaining(raw: bytes) -> str:
    found = remaining_length(raw, 0)
    return _bytes_follow(found[0] if found else 0)


_RETURN_CODES = (
    "accepted",
    "refused: unacceptable protocol version",
    "refused: identifier rejected",
    "refused: server unavailable",
    "refused: bad user name or password",
    "refused: not authorized",
)
_LEVELS = {3: "3 = MQTT 3.1", 4: "4 = MQTT 3.1.1", 5: "5 = MQTT 5"}


def _return_code(raw: bytes) -> str:
    return f"{raw[0]} = {_RETURN_CODES[raw[0]] if raw[0] < len(_RETURN_CODES) else 'reserved'}"


def _granted(raw: bytes) -> str:
    return "0x80 = failure" if raw[0] == 0x80 else f"QoS {raw[0]}"


_MEANINGS: dict[str, Callable[[bytes], str]] = {
    "packet type and flags": _first_byte,
    "remaining length": _remaining,
    "protocol level": lambda raw: _LEVELS.get(raw[0], f"{raw[0]}, unknown"),
    "connect flags": _connect_flags,
    "keep alive": lambda raw: f"{int.from_bytes(raw)} s",
    "session present": lambda raw: "yes" if raw[0] else "no",
    "return code": _return_code,
    "granted QoS": _granted,
    "requested QoS": lambda raw: f"QoS {raw[0]}",
    "packet identifier": lambda raw: str(int.from_bytes(raw)),
    "fields of another version": _count,
}
