"""The reason codes of MQTT 5: code, name, and the packets that may carry it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from labkit.wire.packets import PacketType

__all__ = ["REASONS", "SECTIONS", "Reason", "reason_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One row: a code below 0x80 tells of success.  Spec: MQTT 5 §2.4, table 2-6."""

    code: int
    name: str
    packets: frozenset[PacketType]


#: Packet type → the section with its own table of reason codes.
SECTIONS: Final[Mapping[PacketType, str]] = {
    PacketType.CONNACK: "3.2.2.2",
    PacketType.PUBACK: "3.4.2.1",
    PacketType.PUBREC: "3.5.2.1",
    PacketType.PUBREL: "3.6.2.1",
    PacketType.PUBCOMP: "3.7.2.1",
    PacketType.SUBACK: "3.9.3",
    PacketType.UNSUBACK: "3.11.3",
    PacketType.DISCONNECT: "3.14.2.1",
    PacketType.AUTH: "3.15.2.1",
}

_CONNACK = (PacketType.CONNACK,)
_DISCONNECT = (PacketType.DISCONNECT,)
_ENDS = _CONNACK + _DISCONNECT
_SUBACK = (PacketType.SUBACK,)
_UNSUBACK = (PacketType.UNSUBACK,)
_AUTH = (PacketType.AUTH,)
_ARRIVED = (PacketType.PUBACK, PacketType.PUBREC)
_RELEASED = (PacketType.PUBREL, PacketType.PUBCOMP)
_LISTS = _SUBACK + _UNSUBACK


def _row(code: int, name: str, packets: Iterable[PacketType]) -> Reason:
    return Reason(code=code, name=name, packets=frozenset(packets))


#: In the order of table 2-6.
REASONS: Final = (
    _row(0x00, "success", _CONNACK + _ARRIVED + _RELEASED + _UNSUBACK + _AUTH),
    _row(0x00, "normal disconnection", _DISCONNECT),
    _row(0x00, "granted QoS 0", _SUBACK),
    _row(0x01, "granted QoS 1", _SUBACK),
    _row(0x02, "granted QoS 2", _SUBACK),
    _row(0x04, "disconnect with will message", _DISCONNECT),
    _row(0x10, "no matching subscribers", _ARRIVED),
    _row(0x11, "no subscription existed", _UNSUBACK),
    _row(0x18, "continue authentication", _AUTH),
    _row(0x19, "re-authenticate", _AUTH),
    _row(0x80, "unspecified error", _ENDS + _ARRIVED + _LISTS),
    _row(0x81, "malformed packet", _ENDS),
    _row(0x82, "protocol error", _ENDS),
    _row(0x83, "implementation specific error", _ENDS + _ARRIVED + _LISTS),
    _row(0x84, "unsupported protocol version", _CONNACK),
    _row(0x85, "client identifier not valid", _CONNACK),
    _row(0x86, "bad user name or password", _CONNACK),
    _row(0x87, "not authorized", _ENDS + _ARRIVED + _LISTS),
    _row(0x88, "server unavailable", _CONNACK),
    _row(0x89, "server busy", _ENDS),
    _row(0x8A, "banned", _CONNACK),
    _row(0x8B, "server shutting down", _DISCONNECT),
    # Table 2-6 has it for DISCONNECT too, table 3-10 has not: a re-authentication may need it.
    _row(0x8C, "bad authentication method", _ENDS),
    _row(0x8D, "keep alive timeout", _DISCONNECT),
    _row(0x8E, "session taken over", _DISCONNECT),
    _row(0x8F, "topic filter invalid", _LISTS + _DISCONNECT),
    _row(0x90, "topic name invalid", _ENDS + _ARRIVED),
    _row(0x91, "packet identifier in use", _ARRIVED + _LISTS),
    _row(0x92, "packet identifier not found", _RELEASED),
    _row(0x93, "receive maximum exceeded", _DISCONNECT),
    _row(0x94, "topic alias invalid", _DISCONNECT),
    _row(0x95, "packet too large", _ENDS),
    _row(0x96, "message rate too high", _DISCONNECT),
    _row(0x97, "quota exceeded", _ENDS + _ARRIVED + _SUBACK),
    _row(0x98, "administrative action", _DISCONNECT),
    _row(0x99, "payload format invalid", _ENDS + _ARRIVED),
    _row(0x9A, "retain not supported", _ENDS),
    _row(0x9B, "QoS not supported", _ENDS),
    _row(0x9C, "use another server", _ENDS),
    _row(0x9D, "server moved", _ENDS),
    _row(0x9E, "shared subscriptions not supported", _SUBACK + _DISCONNECT),
    _row(0x9F, "connection rate exceeded", _ENDS),
    _row(0xA0, "maximum connect time", _DISCONNECT),
    _row(0xA1, "subscription identifiers not supported", _SUBACK + _DISCONNECT),
    _row(0xA2, "wildcard subscriptions not supported", _SUBACK + _DISCONNECT),
)
_NAMES: Final = {(packet, row.code): row.name for row in REASONS for packet in row.packets}


def reason_name(packet: int, code: int) -> str | None:
    """What ``code`` says in a packet of that type, or ``None`` when it must not stand there."""
    return _NAMES.get((PacketType(packet), code)) if packet in SECTIONS else None
