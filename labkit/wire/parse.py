"""The layout of every MQTT 3.1.1 packet, and the rules it must keep.

What breaks a rule raises :class:`MalformedPacket` with the section that has it.  A server then closes the
connection and does nothing else (§4.8).  One function a packet type, found in a table: another version of
MQTT is another table, in :mod:`labkit.wire.v5`.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from labkit.errors import MalformedPacket
from labkit.wire.cursor import Cursor
from labkit.wire.frames import check_first_byte
from labkit.wire.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)

__all__ = ["READERS", "parse", "protocol_level", "walk"]

_C = TypeVar("_C", bound=Cursor)
_P = TypeVar("_P")


def parse(packet: bytes) -> Packet:
    """The one packet that ``packet`` holds.

    Raises:
        MalformedPacket: it breaks a rule; the message names it.
    """
    return walk(Cursor(packet), READERS, 4)


def walk(cursor: _C, readers: Mapping[int, Callable[[_C, int], _P]], version: int) -> _P:
    """Read one packet with ``cursor``, from its first byte to its last.

    Args:
        cursor: stands on the first byte.
        readers: for each packet type, what reads the fields behind the fixed header, given its flags.
        version: 4 for MQTT 3.1.1, 5 for MQTT 5.
    """
    first = cursor.byte("packet type and flags")
    check_first_byte(first, version)
    length = cursor.length("remaining length")
    if length > cursor.left:
        missing = length - cursor.left
        raise MalformedPacket(
            f"the packet is {missing} byte{'s' * (missing != 1)} short of its remaining length",
            spec=cursor.sections["byte"],
        )
    if length < cursor.left:
        raise MalformedPacket("bytes follow the packet", spec=cursor.sections["byte"])
    packet = readers[first >> 4](cursor, first & 0x0F)
    if cursor.left:
        cursor.rest("surplus bytes")
        raise MalformedPacket("bytes follow the last field", spec=cursor.sections["byte"])
    return packet


def protocol_level(packet: bytes) -> int | None:
    """The protocol level of a CONNECT, 4 for MQTT 3.1.1 and 5 for MQTT 5; ``None`` where there is none."""
    cursor = Cursor(packet)
    try:
        if cursor.byte("packet type and flags") >> 4 != PacketType.CONNECT:
            return None
        cursor.length("remaining length")
        cursor.binary("protocol name")
        return cursor.byte("protocol level")
    except MalformedPacket:
        return None


def _connect(cursor: Cursor, flags: int) -> Connect:
    protocol = cursor.text("protocol name")
    level = cursor.byte("protocol level")
    if protocol != "MQTT" and (protocol, level) != ("MQIsdp", 3):  # the name that MQTT 3.1 had
        raise MalformedPacket("the protocol name is not MQTT", spec="MQTT 3.1.1 §3.1.2.1")
    if level != 4:
        cursor.rest("fields of another version")
        return Connect(protocol_name=protocol, protocol_level=level)
    bits = cursor.byte("connect flags")
    if bits & 0x01:
        raise MalformedPacket("the reserved connect flag is 1", spec="MQTT 3.1.1 §3.1.2.3")
    has_will, will_qos = bool(bits & 0x04), bits >> 3 & 0x03
    if will_qos == 3:
        raise MalformedPacket("the will has QoS 3", spec="MQTT 3.1.1 §3.1.2.6")
    if not has_will and bits & 0x38:
        raise MalformedPacket("there are will flags but no will", spec="MQTT 3.1.1 §3.1.2.6")
    if bits & 0xC0 == 0x40:
        raise MalformedPacket("there is a password without a user name", spec="MQTT 3.1.1 §3.1.2.9")
    keep_alive = cursor.number("keep alive")
    client_id = cursor.text("client identifier")
    will = None
    if has_will:
        topic = cursor.text("will topic")
        payload = cursor.binary("will message")
        will = Will(topic=topic, payload=payload, qos=will_qos, retain=bool(bits & 0x20))
    return Connect(
        client_id=client_id,
        clean_session=bool(bits & 0x02),
        keep_alive=keep_alive,
        will=will,
        username=cursor.text("user name") if bits & 0x80 else None,
        password=cursor.binary("password") if bits & 0x40 else None,
    )


def _connack(cursor: Cursor, flags: int) -> Connack:
    present = cursor.byte("session present")
    if present > 1:
        raise MalformedPacket("reserved CONNACK flags are set", spec="MQTT 3.1.1 §3.2.2.1")
    code = cursor.byte("return code")
    if present and code:  # [MQTT-3.2.2-4]
        cursor.blame("session present")
        raise MalformedPacket("a refusal says that a session is present", spec="MQTT 3.1.1 §3.2.2.2")
    return Connack(session_present=bool(present), return_code=code)


def _publish(cursor: Cursor, flags: int) -> Publish:
    qos = flags >> 1 & 0x03
    topic = cursor.text("topic name")
    if not topic:
        raise MalformedPacket("the topic name is empty", spec="MQTT 3.1.1 §4.7.3")
    if "+" in topic or "#" in topic:
        raise MalformedPacket("the topic name holds a wildcard", spec="MQTT 3.1.1 §3.3.2.1")
    return Publish(
        topic=topic,
        packet_id=cursor.packet_id() if qos else 0,
        payload=cursor.rest("payload"),
        qos=qos,
        retain=bool(flags & 0x01),
        dup=bool(flags & 0x08),
    )


def _puback(cursor: Cursor, flags: int) -> Puback:
    return Puback(packet_id=cursor.packet_id())


def _pubrec(cursor: Cursor, flags: int) -> Pubrec:
    return Pubrec(packet_id=cursor.packet_id())


def _pubrel(cursor: Cursor, flags: int) -> Pubrel:
    return Pubrel(packet_id=cursor.packet_id())


def _pubcomp(cursor: Cursor, flags: int) -> Pubcomp:
    return Pubcomp(packet_id=cursor.packet_id())


def _filter(cursor: Cursor) -> str:
    topic_filter = cursor.text("topic filter")
    if not topic_filter:
        raise MalformedPacket("a topic filter is empty", spec="MQTT 3.1.1 §4.7.3")
    return topic_filter


def _subscribe(cursor: Cursor, flags: int) -> Subscribe:
    packet_id = cursor.packet_id()
    filters: list[tuple[str, int]] = []
    while cursor.left or not filters:  # at least one: [MQTT-3.8.3-3]
        topic_filter = _filter(cursor)
        qos = cursor.byte("requested QoS")
        if qos > 2:
            raise MalformedPacket("the requested QoS is above 2", spec="MQTT 3.1.1 §3.8.3.1")
        filters.append((topic_filter, qos))
    return Subscribe(packet_id=packet_id, filters=tuple(filters))


def _suback(cursor: Cursor, flags: int) -> Suback:
    packet_id = cursor.packet_id()
    codes: list[int] = []
    while cursor.left or not codes:
        codes.append(cursor.byte("granted QoS"))
        if codes[-1] not in (0, 1, 2, 0x80):
            raise MalformedPacket("a return code is reserved", spec="MQTT 3.1.1 §3.9.3")
    return Suback(packet_id=packet_id, return_codes=tuple(codes))


def _unsubscribe(cursor: Cursor, flags: int) -> Unsubscribe:
    packet_id = cursor.packet_id()
    filters = [_filter(cursor)]  # at least one: [MQTT-3.10.3-2]
    while cursor.left:
        filters.append(_filter(cursor))
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters))


def _unsuback(cursor: Cursor, flags: int) -> Unsuback:
    return Unsuback(packet_id=cursor.packet_id())


def _pingreq(cursor: Cursor, flags: int) -> Pingreq:
    return Pingreq()


def _pingresp(cursor: Cursor, flags: int) -> Pingresp:
    return Pingresp()


def _disconnect(cursor: Cursor, flags: int) -> Disconnect:
    return Disconnect()


#: Packet type → what reads its fields.
READERS: Mapping[int, Callable[[Cursor, int], Packet]] = {
    1: _connect,
    2: _connack,
    3: _publish,
    4: _puback,
    5: _pubrec,
    6: _pubrel,
    7: _pubcomp,
    8: _subscribe,
    9: _suback,
    10: _unsubscribe,
    11: _unsuback,
    12: _pingreq,
    13: _pingresp,
    14: _disconnect,
}
