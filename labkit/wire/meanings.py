"""What the fields of a packet say, for people."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from labkit.wire.bits import type_name
from labkit.wire.frames import remaining_length
from labkit.wire.packets import PacketType
from labkit.wire.secrecy import Span
from labkit.wire.v5.properties import PROPERTIES, Property, Rule, label
from labkit.wire.v5.reasons import reason_name

__all__ = ["count", "meaning"]

_TEXT = 48  # how many characters of a text are shown

#: Says what the bytes of a field mean in a version of MQTT.
_Said: TypeAlias = Callable[[bytes, int], str]


def meaning(
    name: str, raw: bytes, *, first: int, version: int, hidden: Iterable[Span] = (), cut: bool = True
) -> str:
    """What the field ``name`` says.

    Args:
        name: as the parser calls it.
        raw: its bytes.
        first: the first byte of its packet, on which the meaning of a reason code hangs.
        version: 4 for MQTT 3.1.1, 5 for MQTT 5.
        hidden: the spans of ``raw`` that must not be shown.
        cut: whether a long text may be cut.
    """
    if name == "reason code":
        return f"0x{raw[0]:02X} = {reason_name(first >> 4, raw[0])}"
    if name in _SAID:
        return _SAID[name](raw, version)
    if name.endswith(" length"):
        return _follow(int.from_bytes(raw))
    return _quoted(raw, hidden, _TEXT if cut else len(raw))


def count(raw: bytes) -> str:
    """How many bytes there are."""
    return "1 byte" if len(raw) == 1 else f"{len(raw)} bytes"


def _quoted(raw: bytes, hidden: Iterable[Span], limit: int) -> str:
    """``raw`` as text, safe to print, without what is hidden; with its size where something is left out."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return f"{count(raw)}, no text"
    pieces, at = [], 0
    for start, end in hidden:
        pieces.append(_printable(raw[at:start]) + "…")
        at = end
    text = "".join([*pieces, _printable(raw[at:])])
    if len(text) > limit:
        return f"“{text[:limit].rstrip('…')}…” ({count(raw)})"
    return f"“{text}” ({count(raw)})" if pieces else f"“{text}”"


def _printable(raw: bytes) -> str:
    text = raw.decode(errors="ignore")  # what is hidden may begin within a character
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _follow(number: int) -> str:
    return "1 byte follows" if number == 1 else f"{number} bytes follow"


def _first_byte(raw: bytes, version: int) -> str:
    kind, flags = raw[0] >> 4, raw[0] & 0x0F
    text = type_name(kind, version) or f"type {kind}, reserved"
    if kind != PacketType.PUBLISH:
        return f"{text}, flags {flags:04b}"
    said = [text, f"QoS {flags >> 1 & 3}", *(["retain"] * (flags & 1)), *(["duplicate"] * (flags >> 3))]
    return ", ".join(said)


def _varying(raw: bytes) -> int:
    found = remaining_length(raw, 0)
    return found[0] if found else 0


def _connect_flags(raw: bytes, version: int) -> str:
    clean = "clean start" if version == 5 else "clean session"
    names = {0x80: "user name", 0x40: "password", 0x20: "will retain", 0x04: "will", 0x02: clean}
    said = [name for bit, name in names.items() if raw[0] & bit]
    if raw[0] & 0x04:
        said.append(f"will QoS {raw[0] >> 3 & 3}")
    return f"{raw[0]:08b}: {', '.join(said) or 'none'}"


def _options(raw: bytes, version: int) -> str:
    names = {0x04: "no local", 0x08: "retain as published"}
    said = [f"QoS {raw[0] & 3}", *(name for bit, name in names.items() if raw[0] & bit)]
    return ", ".join([*said, f"retain handling {raw[0] >> 4 & 3}"])


_RETURN_CODES = (
    "accepted",
    "refused: unacceptable protocol version",
    "refused: identifier rejected",
    "refused: server unavailable",
    "refused: bad user name or password",
    "refused: not authorized",
)
_LEVELS = {3: "3 = MQTT 3.1", 4: "4 = MQTT 3.1.1", 5: "5 = MQTT 5"}


def _level(raw: bytes, version: int) -> str:
    return _LEVELS.get(raw[0], f"{raw[0]}, unknown")


def _return_code(raw: bytes, version: int) -> str:
    return f"{raw[0]} = {_RETURN_CODES[raw[0]] if raw[0] < len(_RETURN_CODES) else 'reserved'}"


def _granted(raw: bytes, version: int) -> str:
    return "0x80 = failure" if raw[0] == 0x80 else f"QoS {raw[0]}"


def _acknowledge_flags(raw: bytes, version: int) -> str:
    return f"{raw[0]:08b}: {'session present' if raw[0] & 1 else 'none'}"


def _property(raw: bytes, version: int) -> str:
    number = _varying(raw)
    name = label(Property(number), PacketType.CONNECT) if number in PROPERTIES else "unknown"
    return f"0x{number:02X} = {name}"


def _seconds(raw: bytes, version: int) -> str:
    return f"{int.from_bytes(raw)} s"


def _session_expiry(raw: bytes, version: int) -> str:
    return "never" if raw == b"\xff\xff\xff\xff" else _seconds(raw, version)


def _number(raw: bytes, version: int) -> str:
    return str(int.from_bytes(raw))


def _yes(raw: bytes, version: int) -> str:
    return "yes" if raw[0] else "no"


_UNITS: Final[Mapping[Property, _Said]] = {
    Property.PAYLOAD_FORMAT_INDICATOR: lambda raw, version: "UTF-8 text" if raw[0] else "any bytes",
    Property.MESSAGE_EXPIRY_INTERVAL: _seconds,
    Property.SESSION_EXPIRY_INTERVAL: _session_expiry,
    Property.WILL_DELAY_INTERVAL: _seconds,
    Property.SERVER_KEEP_ALIVE: _seconds,
    Property.MAXIMUM_PACKET_SIZE: lambda raw, version: f"{int.from_bytes(raw)} bytes",
    Property.MAXIMUM_QOS: lambda raw, version: f"QoS {raw[0]}",
    Property.SUBSCRIPTION_IDENTIFIER: lambda raw, version: str(_varying(raw)),
}


def _of_property(rule: Rule) -> _Said | None:
    if rule.property in _UNITS:
        return _UNITS[rule.property]
    return {"byte": _yes, "number": _number, "four": _number}.get(rule.type)


_SAID: Final[Mapping[str, _Said]] = {
    "packet type and flags": _first_byte,
    "remaining length": lambda raw, version: _follow(_varying(raw)),
    "protocol level": _level,
    "protocol version": _level,
    "connect flags": _connect_flags,
    "keep alive": _seconds,
    "connect acknowledge flags": _acknowledge_flags,
    "session present": _yes,
    "return code": _return_code,
    "granted QoS": _granted,
    "requested QoS": lambda raw, version: f"QoS {raw[0]}",
    "subscription options": _options,
    "packet identifier": _number,
    "fields of another version": lambda raw, version: count(raw),
    "not read": lambda raw, version: count(raw),
    **{
        f"{what}property {part}": said
        for what in ("", "will ")
        for part, said in (
            ("length", lambda raw, version: _follow(_varying(raw))),
            ("identifier", _property),
        )
    },
    **{
        label(rule.property, holder): said
        for rule in PROPERTIES.values()
        for holder in rule.sections
        if (said := _of_property(rule)) is not None
    },
}
