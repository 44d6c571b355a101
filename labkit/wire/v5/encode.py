"""MQTT 5 packets as bytes: the other direction of ``parse``.

Nothing is checked beyond what the format itself cannot hold, so tests can write what no client would send.
A reason code of success and empty properties are left out where they may be (§3.4.2.1, §3.14.2.1).
"""

from collections.abc import Callable, Mapping
from struct import pack
from typing import Any, Final

from labkit.wire.encode import frame
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
)
from labkit.wire.v5.properties import PROPERTIES, Properties

__all__ = ["encode", "encode_properties", "encode_publish"]


def encode(packet: Packet) -> bytes:
    """``packet`` as it goes over the wire.

    Raises:
        ValueError: a field is longer than its length prefix can say (65,535 bytes).
    """
    return _WRITERS[type(packet)](packet)


def encode_properties(properties: Properties) -> bytes:
    """Each as identifier and value, without the length that stands before them all.  Spec: §2.2.2.2."""
    return b"".join(
        bytes((name,)) + _VALUES[PROPERTIES[name].type](each)
        for name, value in properties.items()
        for each in _each(value)
    )


def encode_publish(packet: Publish, properties: bytes) -> bytes:
    """``packet`` with properties that :func:`encode_properties` has written, in place of its own."""
    first = 0x30 | packet.dup << 3 | packet.qos << 1 | packet.retain
    packet_id = pack("!H", packet.packet_id) if packet.qos else b""
    return frame(first, _text(packet.topic) + packet_id + _measured(properties) + packet.payload)


def _publish(packet: Publish) -> bytes:
    return encode_publish(packet, encode_properties(packet.properties))


def _connect(packet: Connect) -> bytes:
    flags = packet.clean_start << 1 | (packet.password is not None) << 6 | (packet.username is not None) << 7
    fields = _text(packet.client_id)
    will = packet.will
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        fields += _properties(will.properties) + _text(will.topic) + _binary(will.payload)
    if packet.username is not None:
        fields += _text(packet.username)
    if packet.password is not None:
        fields += _binary(packet.password)
    head = _text("MQTT") + bytes((5, flags)) + pack("!H", packet.keep_alive)
    return frame(0x10, head + _properties(packet.properties) + fields)


def _connack(packet: Connack) -> bytes:
    return frame(0x20, bytes((packet.session_present, packet.reason_code)) + _properties(packet.properties))


def _ack(first: int) -> Callable[[Any], bytes]:
    def write(packet: Puback | Pubrec | Pubrel | Pubcomp) -> bytes:
        return frame(first, pack("!H", packet.packet_id) + _outcome(packet))

    return write


def _outcome(packet: Any) -> bytes:
    """Reason code and properties at the end of a packet, as short as they can be."""
    if packet.properties:
        return bytes((packet.reason_code,)) + _properties(packet.properties)
    return bytes((packet.reason_code,)) if packet.reason_code else b""


def _subscribe(packet: Subscribe) -> bytes:
    filters = b"".join(map(_subscription, packet.subscriptions))
    return frame(0x82, pack("!H", packet.packet_id) + _properties(packet.properties) + filters)


def _subscription(wish: Subscription) -> bytes:
    options = wish.qos | wish.no_local << 2 | wish.retain_as_published << 3 | wish.retain_handling << 4
    return _text(wish.topic_filter) + bytes((options,))


def _unsubscribe(packet: Unsubscribe) -> bytes:
    filters = b"".join(map(_text, packet.filters))
    return frame(0xA2, pack("!H", packet.packet_id) + _properties(packet.properties) + filters)


def _codes(first: int) -> Callable[[Any], bytes]:
    def write(packet: Suback | Unsuback) -> bytes:
        head = pack("!H", packet.packet_id) + _properties(packet.properties)
        return frame(first, head + bytes(packet.reason_codes))

    return write


def _auth(packet: Auth) -> bytes:
    if not packet.reason_code and not packet.properties:
        return frame(0xF0, b"")
    return frame(0xF0, bytes((packet.reason_code,)) + _properties(packet.properties))


#: Packet → what writes it.
_WRITERS: Final[Mapping[type, Callable[[Any], bytes]]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: _ack(0x40),
    Pubrec: _ack(0x50),
    Pubrel: _ack(0x62),
    Pubcomp: _ack(0x70),
    Subscribe: _subscribe,
    Suback: _codes(0x90),
    Unsubscribe: _unsubscribe,
    Unsuback: _codes(0xB0),
    Pingreq: lambda packet: b"\xc0\0",
    Pingresp: lambda packet: b"\xd0\0",
    Disconnect: lambda packet: frame(0xE0, _outcome(packet)),
    Auth: _auth,
}


def _properties(properties: Properties) -> bytes:
    """Their length, then each as identifier and value.  Spec: §2.2.2."""
    return _measured(encode_properties(properties))


def _measured(properties: bytes) -> bytes:
    return _length(len(properties)) + properties


def _each(value: Any) -> tuple[Any, ...]:
    """The values of a property: a tuple of them, unless it is one pair of strings."""
    pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)
    return value if isinstance(value, tuple) and not pair else (value,)


def _length(number: int) -> bytes:
    """A Variable Byte Integer.  Spec: §1.5.5."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def _text(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise ValueError("a field of MQTT holds at most 65,535 bytes")
    return pack("!H", len(data)) + data


def _pair(pair: tuple[str, str]) -> bytes:
    return _text(pair[0]) + _text(pair[1])


#: Data type → what writes a value of it.
_VALUES: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "byte": lambda value: bytes((value,)),
    "number": lambda value: pack("!H", value),
    "four": lambda value: pack("!I", value),
    "length": _length,
    "text": _text,
    "binary": _binary,
    "pair": _pair,
}
