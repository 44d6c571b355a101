"""Bytes that are made of flags, taken apart bit by bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from labkit.wire.packets import PacketType

__all__ = ["Bits", "bits_of", "type_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Some neighbouring bits of a byte: ``pattern`` is like ``"1... ...."``, the high bit first."""

    pattern: str
    name: str
    meaning: str


#: Which bits, what they are called, and what their value says.
_Row: TypeAlias = tuple[int, str, Callable[[int], str]]


def type_name(value: int, version: int) -> str | None:
    """The name of a packet type, or ``None`` for a reserved one.  AUTH came with MQTT 5."""
    if value in PacketType.__members__.values() and (version == 5 or value != PacketType.AUTH):
        return PacketType(value).name
    return None


def _yes(value: int) -> str:
    return "yes" if value else "no"


def _qos(value: int) -> str:
    return str(value) if value < 3 else "3, which does not exist"


def _reserved(wanted: str) -> Callable[[int], str]:
    return lambda value: wanted if value == int(wanted, 2) else f"must be {wanted}"


def _retain_handling(value: int) -> str:
    sent = "send retained messages", "send them for a new subscription only", "send none"
    return f"{value}: {sent[value]}" if value < 3 else "3, which does not exist"


def _type(value: int, version: int) -> str:
    name = type_name(value, version)
    return f"{value} = {name}" if name else f"{value}, reserved"


def _first_byte(byte: int, version: int) -> Sequence[_Row]:
    """Spec: MQTT 3.1.1 §2.2.1, §2.2.2, §3.3.1; MQTT 5 §2.1.2, §2.1.3, §3.3.1."""
    top: _Row = (0xF0, "packet type", lambda value: _type(value, version))
    kind = byte >> 4
    if kind == PacketType.PUBLISH:
        return (top, (0x08, "duplicate", _yes), (0x06, "QoS", _qos), (0x01, "retain", _yes))
    wanted = "0010" if kind in (PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE) else "0000"
    return (top, (0x0F, "reserved", _reserved(wanted)))


def _connect_flags(byte: int, version: int) -> Sequence[_Row]:
    """Spec: MQTT 3.1.1 §3.1.2.3, MQTT 5 §3.1.2.3."""
    return (
        (0x80, "user name", _yes),
        (0x40, "password", _yes),
        (0x20, "will retain", _yes),
        (0x18, "will QoS", _qos),
        (0x04, "will", _yes),
        (0x02, "clean start" if version == 5 else "clean session", _yes),
        (0x01, "reserved", _reserved("0")),
    )


def _acknowledge_flags(byte: int, version: int) -> Sequence[_Row]:
    """Spec: MQTT 3.1.1 §3.2.2.1, MQTT 5 §3.2.2.1."""
    return ((0xFE, "reserved", _reserved("0000000")), (0x01, "session present", _yes))


def _requested_qos(byte: int, version: int) -> Sequence[_Row]:
    """Spec: MQTT 3.1.1 §3.8.3.1."""
    return ((0xFC, "reserved", _reserved("000000")), (0x03, "QoS", _qos))


def _options(byte: int, version: int) -> Sequence[_Row]:
    """Spec: MQTT 5 §3.8.3.1."""
    return (
        (0xC0, "reserved", _reserved("00")),
        (0x30, "retain handling", _retain_handling),
        (0x08, "retain as published", _yes),
        (0x04, "no local", _yes),
        (0x03, "maximum QoS", _qos),
    )


_FIELDS: Final = {
    "packet type and flags": _first_byte,
    "connect flags": _connect_flags,
    "session present": _acknowledge_flags,
    "connect acknowledge flags": _acknowledge_flags,
    "requested QoS": _requested_qos,
    "subscription options": _options,
}


def bits_of(name: str, raw: bytes, version: int) -> tuple[Bits, ...]:
    """The bits of a field, or nothing for a field that is not made of flags."""
    if name not in _FIELDS or len(raw) != 1:
        return ()
    byte = raw[0]
    return tuple(
        Bits(pattern=_pattern(byte, mask), name=label, meaning=said((byte & mask) // (mask & -mask)))
        for mask, label, said in _FIELDS[name](byte, version)
    )


def _pattern(byte: int, mask: int) -> str:
    digits = "".join(str(byte >> place & 1) if mask >> place & 1 else "." for place in range(7, -1, -1))
    return f"{digits[:4]} {digits[4:]}"
