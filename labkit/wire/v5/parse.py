"""The layout of every MQTT 5 packet, and the rules it must keep.

What breaks a rule raises :class:`MalformedPacket` with the section that has it, and with the reason code to
answer.  Rules that need to know more than the packet (who sent it, what CONNECT said, which topic aliases
there are) are for those who know.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from labkit.wire.packets import PacketType
from labkit.wire.parse import walk
from labkit.wire.v5.cursor import Cursor
from labkit.wire.v5.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from labkit.wire.v5.properties import Properties, Property, read_properties
from labkit.wire.v5.reasons import SECTIONS, reason_name
from labkit.wire.v5.rules import forbidden, malformed, shared, topic_filter_fault, topic_name_fault

__all__ = ["READERS", "parse"]

_T = PacketType


def parse(packet: bytes) -> Packet:
    """The one packet of MQTT 5 that ``packet`` holds.

    Raises:
        MalformedPacket: it breaks a rule; the message names it.
    """
    return walk(Cursor(packet), READERS, 5)


def _connect(cursor: Cursor, flags: int) -> Connect:
    if cursor.text("protocol name") != "MQTT":
        raise malformed("the protocol name is not MQTT", "3.1.2.1")
    if cursor.byte("protocol version") != 5:
        raise forbidden("the protocol version is not 5", "3.1.2.2", reason_code=0x84)
    bits = cursor.byte("connect flags")
    if bits & 0x01:
        raise malformed("the reserved connect flag is 1", "3.1.2.3")
    has_will, will_qos = bool(bits & 0x04), bits >> 3 & 0x03
    if will_qos == 3:
        raise malformed("the will has QoS 3", "3.1.2.6")
    if not has_will and bits & 0x38:
        raise malformed("there are will flags but no will", "3.1.2.6")
    # A password without a user name is allowed, other than in 3.1.1: §3.1.2.9.
    keep_alive = cursor.number("keep alive")
    properties = read_properties(cursor, _T.CONNECT)
    if Property.AUTHENTICATION_DATA in properties and Property.AUTHENTICATION_METHOD not in properties:
        cursor.blame("authentication data")
        raise forbidden("there is authentication data without a method", "3.1.2.11.10")
    client_id = cursor.text("client identifier")
    will = _will(cursor, will_qos, bool(bits & 0x20)) if has_will else None
    return Connect(
        client_id=client_id,
        clean_start=bool(bits & 0x02),
        keep_alive=keep_alive,
        properties=properties,
        will=will,
        username=cursor.text("user name") if bits & 0x80 else None,
        password=cursor.binary("password") if bits & 0x40 else None,
    )


def _will(cursor: Cursor, qos: int, retain: bool) -> Will:
    properties = read_properties(cursor, "will")
    topic = cursor.text("will topic")
    fault = topic_name_fault(topic)
    if fault is not None:
        raise malformed(f"the will topic {fault[0]}", fault[1])
    payload = cursor.binary("will payload")
    return Will(topic=topic, payload=payload, qos=qos, retain=retain, properties=properties)


def _connack(cursor: Cursor, flags: int) -> Connack:
    present = cursor.byte("connect acknowledge flags")
    if present > 1:
        raise malformed("reserved connect acknowledge flags are set", "3.2.2.1")
    code = _reason(cursor, _T.CONNACK)
    if present and code:  # [MQTT-3.2.2-6]
        cursor.blame("connect acknowledge flags")
        raise forbidden("a refusal says that a session is present", "3.2.2.1.1")
    properties = read_properties(cursor, _T.CONNACK)
    return Connack(session_present=bool(present), reason_code=code, properties=properties)


def _publish(cursor: Cursor, flags: int) -> Publish:
    qos = flags >> 1 & 0x03
    topic = cursor.text("topic name")
    if "+" in topic or "#" in topic:
        raise malformed("the topic name holds a wildcard", "3.3.2.1")
    packet_id = cursor.packet_id() if qos else 0
    properties = read_properties(cursor, _T.PUBLISH)
    if not topic and Property.TOPIC_ALIAS not in properties:
        cursor.blame("topic name")
        raise forbidden("the topic name is empty, and no topic alias stands for it", "3.3.2.1")
    return Publish(
        topic=topic,
        packet_id=packet_id,
        payload=cursor.rest("payload"),
        qos=qos,
        retain=bool(flags & 0x01),
        dup=bool(flags & 0x08),
        properties=properties,
    )


def _reason(cursor: Cursor, kind: PacketType) -> int:
    code = cursor.byte("reason code")
    if reason_name(kind, code) is None:
        raise forbidden(f"0x{code:02X} is no reason code of {kind.name}", SECTIONS[kind])
    return code


def _outcome(cursor: Cursor, kind: PacketType) -> tuple[int, Properties]:
    """A reason code and properties, both of which may be left out at the end of a packet (§3.4.2.1)."""
    code = _reason(cursor, kind) if cursor.left else 0
    return code, read_properties(cursor, kind) if cursor.left else {}


_Ack = Puback | Pubrec | Pubrel | Pubcomp


def _ack(kind: PacketType, packet: type[_Ack], cursor: Cursor, flags: int) -> _Ack:
    packet_id = cursor.packet_id()
    code, properties = _outcome(cursor, kind)
    return packet(packet_id=packet_id, reason_code=code, properties=properties)


def _filter(cursor: Cursor) -> str:
    topic_filter = cursor.text("topic filter")
    fault = topic_filter_fault(topic_filter)
    if fault is not None:
        raise malformed(f"the topic filter {fault[0]}", fault[1])
    return topic_filter


def _subscribe(cursor: Cursor, flags: int) -> Subscribe:
    packet_id = cursor.packet_id()
    properties = read_properties(cursor, _T.SUBSCRIBE)
    subscriptions: list[Subscription] = []
    while cursor.left or not subscriptions:  # at least one: [MQTT-3.8.3-2]
        subscriptions.append(_subscription(cursor))
    return Subscribe(packet_id=packet_id, subscriptions=tuple(subscriptions), properties=properties)


def _subscription(cursor: Cursor) -> Subscription:
    topic_filter = _filter(cursor)
    options = cursor.byte("subscription options")
    if options & 0xC0:
        raise malformed("reserved subscription options are set", "3.8.3.1")
    if options & 0x03 == 3:
        raise forbidden("the maximum QoS is 3", "3.8.3.1")
    if options & 0x30 == 0x30:
        raise forbidden("the retain handling is 3", "3.8.3.1")
    if options & 0x04 and shared(topic_filter):  # [MQTT-3.8.3-4]
        raise forbidden("no local is set on a shared subscription", "3.8.3.1")
    return Subscription(
        topic_filter=topic_filter,
        qos=options & 0x03,
        no_local=bool(options & 0x04),
        retain_as_published=bool(options & 0x08),
        retain_handling=options >> 4 & 0x03,
    )


def _codes(cursor: Cursor, kind: PacketType) -> tuple[int, ...]:
    codes = [_reason(cursor, kind)]  # at least one: §2.4
    while cursor.left:
        codes.append(_reason(cursor, kind))
    return tuple(codes)


def _suback(cursor: Cursor, flags: int) -> Suback:
    packet_id = cursor.packet_id()
    properties = read_properties(cursor, _T.SUBACK)
    return Suback(packet_id=packet_id, reason_codes=_codes(cursor, _T.SUBACK), properties=properties)


def _unsubscribe(cursor: Cursor, flags: int) -> Unsubscribe:
    packet_id = cursor.packet_id()
    properties = read_properties(cursor, _T.UNSUBSCRIBE)
    filters = [_filter(cursor)]  # at least one: [MQTT-3.10.3-2]
    while cursor.left:
        filters.append(_filter(cursor))
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters), properties=properties)


def _unsuback(cursor: Cursor, flags: int) -> Unsuback:
    packet_id = cursor.packet_id()
    properties = read_properties(cursor, _T.UNSUBACK)
    return Unsuback(packet_id=packet_id, reason_codes=_codes(cursor, _T.UNSUBACK), properties=properties)


def _pingreq(cursor: Cursor, flags: int) -> Pingreq:
    return Pingreq()


def _pingresp(cursor: Cursor, flags: int) -> Pingresp:
    return Pingresp()


def _disconnect(cursor: Cursor, flags: int) -> Disconnect:
    code, properties = _outcome(cursor, _T.DISCONNECT)
    return Disconnect(reason_code=code, properties=properties)


def _auth(cursor: Cursor, flags: int) -> Auth:
    if not cursor.left:
        return Auth()  # success in two bytes: §3.15.2.1
    code = _reason(cursor, _T.AUTH)
    properties = read_properties(cursor, _T.AUTH)
    if Property.AUTHENTICATION_METHOD not in properties:
        cursor.blame("property length")
        raise forbidden("there is no authentication method", "3.15.2.2.2")
    return Auth(reason_code=code, properties=properties)


#: Packet type → what reads its fields.
READERS: Final[Mapping[int, Callable[[Cursor, int], Packet]]] = {
    _T.CONNECT: _connect,
    _T.CONNACK: _connack,
    _T.PUBLISH: _publish,
    _T.PUBACK: partial(_ack, _T.PUBACK, Puback),
    _T.PUBREC: partial(_ack, _T.PUBREC, Pubrec),
    _T.PUBREL: partial(_ack, _T.PUBREL, Pubrel),
    _T.PUBCOMP: partial(_ack, _T.PUBCOMP, Pubcomp),
    _T.SUBSCRIBE: _subscribe,
    _T.SUBACK: _suback,
    _T.UNSUBSCRIBE: _unsubscribe,
    _T.UNSUBACK: _unsuback,
    _T.PINGREQ: _pingreq,
    _T.PINGRESP: _pingresp,
    _T.DISCONNECT: _disconnect,
    _T.AUTH: _auth,
}
