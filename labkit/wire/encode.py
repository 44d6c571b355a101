"""Packets as bytes: the other direction of ``parse``.

Nothing is checked beyond what the format itself cannot hold, so tests can write what no client would send.
"""

from struct import pack

from labkit.wire.packets import (
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
    Unsuback,
    Unsubscribe,
)

__all__ = ["encode", "frame"]


def encode(packet: Packet) -> bytes:
    """``packet`` as it goes over the wire.

    Raises:
        ValueError: a field is longer than its length prefix can say (65,535 bytes).
    """
    match packet:
        case Publish():
            return _publish(packet)
        case Puback() | Pubrec() | Pubcomp() | Unsuback():
            return pack("!BBH", _ACKS[type(packet)], 2, packet.packet_id)
        case Pubrel():
            return pack("!BBH", 0x62, 2, packet.packet_id)
        case Connack():
            return bytes((0x20, 2, packet.session_present, packet.return_code))
        case Suback():
            return frame(0x90, pack("!H", packet.packet_id) + bytes(packet.return_codes))
        case Pingresp():
            return b"\xd0\0"
        case Pingreq():
            return b"\xc0\0"
        case Disconnect():
            return b"\xe0\0"
        case Subscribe():
            filters = b"".join(_field(name) + bytes((qos,)) for name, qos in packet.filters)
            return frame(0x82, pack("!H", packet.packet_id) + filters)
        case Unsubscribe():
            return frame(0xA2, pack("!H", packet.packet_id) + b"".join(map(_field, packet.filters)))
        case Connect():
            return _connect(packet)


def frame(first_byte: int, body: bytes) -> bytes:
    """A packet from its first byte and everything behind its remaining length.  Spec: MQTT 3.1.1 §2.2.3."""
    length = len(body)
    header = bytearray((first_byte,))
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + body


_ACKS: dict[type[Packet], int] = {Puback: 0x40, Pubrec: 0x50, Pubcomp: 0x70, Unsuback: 0xB0}


def _field(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    if len(data) > 0xFFFF:
        raise ValueError("a field of an MQTT packet holds at most 65,535 bytes")
    return pack("!H", len(data)) + data


def _publish(packet: Publish) -> bytes:
    first = 0x30 | packet.dup << 3 | packet.qos << 1 | packet.retain
    head = _field(packet.topic) + (pack("!H", packet.packet_id) if packet.qos else b"")
    return frame(first, head + packet.payload)


def _connect(packet: Connect) -> bytes:
    will = packet.will
    bits = packet.clean_session << 1
    body = _field(packet.client_id)
    if will is not None:
        bits |= 0x04 | will.qos << 3 | will.retain << 5
        body += _field(will.topic) + _field(will.payload)
    if packet.username is not None:
        bits |= 0x80
        body += _field(packet.username)
    if packet.password is not None:
        bits |= 0x40
        body += _field(packet.password)
    head = _field(packet.protocol_name) + pack("!BBH", packet.protocol_level, bits, packet.keep_alive)
    return frame(0x10, head + body)
