"""Every rule of MQTT 5 that a single packet can break, and the tables against those of others."""

from typing import Any

import mqtt5
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode as PahoReasonCode

from labkit.errors import MalformedPacket
from labkit.wire import dissect, frame, v5
from labkit.wire.packets import PacketType
from labkit.wire.v5.reasons import SECTIONS


def connect(
    flags: int = 2, rest: bytes = b"\0\1c", *, properties: bytes = b"\0", name: bytes = b"\0\4MQTT"
) -> bytes:
    return frame(0x10, name + bytes((5, flags)) + b"\0\0" + properties + rest)


def with_property(data: bytes) -> bytes:
    """A CONNECT with these properties."""
    return connect(properties=bytes((len(data),)) + data)


def connack(data: bytes) -> bytes:
    return frame(0x20, bytes((0, 0, len(data))) + data)


def publish(data: bytes, topic: bytes = b"\0\1t") -> bytes:
    return frame(0x30, topic + bytes((len(data),)) + data)


def subscribe(topic_filter: bytes, options: int = 0, properties: bytes = b"\0") -> bytes:
    return frame(
        0x82, b"\0\1" + properties + bytes((0, len(topic_filter))) + topic_filter + bytes((options,))
    )


def will(topic: bytes = b"\0\1t", properties: bytes = b"\0") -> bytes:
    return connect(0x06, b"\0\1c" + properties + topic + b"\0\1m")


#: Section and rule → bytes that break it, which field is marked, and the reason code to answer.
BROKEN = {
    "§2.1.2 type 0": (b"\x00\x00", "packet type and flags", 0x81),
    "§2.1.3 AUTH flags": (b"\xf1\x00", "packet type and flags", 0x81),
    "§2.1.3 PUBREL flags": (b"\x60\x02\x00\x01", "packet type and flags", 0x81),
    "§3.3.1.2 QoS 3": (frame(0x36, b"\0\1t\0\1\0"), "packet type and flags", 0x81),
    "§3.3.1.1 DUP at QoS 0": (frame(0x38, b"\0\1t\0"), "packet type and flags", 0x81),
    "§1.5.5 remaining length not the shortest": (b"\xc0\x80\x00", "remaining length", 0x81),
    "§2.1.4 shorter than it says": (b"\x30\x05\x00\x01t", "remaining length", 0x81),
    "§2.1.4 longer than it says": (b"\xc0\x00\x00", "remaining length", 0x81),
    "§2.1.4 surplus": (b"\xc0\x01\x00", "surplus bytes", 0x81),
    "§3.1.2.1 protocol name": (connect(name=b"\0\4mqtt"), "protocol name", 0x81),
    "§3.1.2.3 reserved flag": (connect(3), "connect flags", 0x81),
    "§3.1.2.6 will QoS without will": (connect(0x0A), "connect flags", 0x81),
    "§3.1.2.6 will retain without will": (connect(0x22), "connect flags", 0x81),
    "§3.1.2.6 will QoS 3": (connect(0x1E), "connect flags", 0x81),
    "§1.5.4 client identifier": (connect(rest=b"\0\1\xff"), "client identifier", 0x81),
    "§1.5.4 U+0000": (connect(rest=b"\0\1\0"), "client identifier", 0x81),
    "§1.5.4 surrogate": (connect(rest=b"\0\3\xed\xa0\x80"), "client identifier", 0x81),
    "§1.5.6 no client identifier": (connect(rest=b"\0\5c"), "client identifier", 0x81),
    "§1.5.5 no properties": (frame(0x10, b"\0\4MQTT\5\2\0\0"), "property length", 0x81),
    "§1.5.5 property length not the shortest": (connect(properties=b"\x80\0"), "property length", 0x81),
    "§2.2.2.1 property length beyond the packet": (connect(properties=b"\x7f"), "property length", 0x81),
    "§2.2.2.1 property beyond the length": (
        connect(properties=b"\x03\x11\0\0\0\1"),
        "session expiry interval",
        0x81,
    ),
    "§2.2.2.2 unknown property": (with_property(b"\x04"), "property identifier", 0x81),
    "§2.2.2.2 an identifier in two bytes": (with_property(b"\x91\x01"), "property identifier", 0x81),
    "§2.2.2.2 a property of another packet": (with_property(b"\x24\1"), "property identifier", 0x81),
    "§2.2.2.2 a message's property in CONNECT": (with_property(b"\x01\1"), "property identifier", 0x81),
    "§2.2.2.2 CONNECT's property in a will": (
        will(properties=b"\5\x11\0\0\0\1"),
        "will property identifier",
        0x81,
    ),
    "§3.1.2.11.2 twice": (with_property(b"\x11\0\0\0\1\x11\0\0\0\1"), "property identifier", 0x82),
    "§3.1.2.11.3 receive maximum 0": (with_property(b"\x21\0\0"), "receive maximum", 0x82),
    "§3.1.2.11.4 packet size 0": (with_property(b"\x27\0\0\0\0"), "maximum packet size", 0x82),
    "§3.1.2.11.6 neither 0 nor 1": (with_property(b"\x19\2"), "request response information", 0x82),
    "§3.1.2.11.7 neither 0 nor 1": (with_property(b"\x17\2"), "request problem information", 0x82),
    "§3.1.2.11.10 data without method": (with_property(b"\x16\0\1x\x21\0\1"), "authentication data", 0x82),
    "§1.5.4 user property": (with_property(b"\x26\0\1a\0\1\0"), "user property value", 0x81),
    "§3.1.3.2.3 payload format": (will(properties=b"\2\1\2"), "will payload format indicator", 0x82),
    "§3.1.3.2.6 response topic": (will(properties=b"\4\x08\0\1#"), "will response topic", 0x82),
    "§4.7.1 will topic": (will(b"\0\1#"), "will topic", 0x81),
    "§4.7.3 will topic": (will(b"\0\0"), "will topic", 0x81),
    "§3.2.2.1 CONNACK reserved": (b"\x20\x03\x02\0\0", "connect acknowledge flags", 0x81),
    "§3.2.2.1.1 refused with a session": (b"\x20\x03\x01\x87\0", "connect acknowledge flags", 0x82),
    "§3.2.2.2 a code of 3.1.1": (b"\x20\x03\0\x05\0", "reason code", 0x82),
    "§3.2.2.3.4 maximum QoS 2": (connack(b"\x24\2"), "maximum QoS", 0x82),
    "§3.2.2.3.5 retain available": (connack(b"\x25\2"), "retain available", 0x82),
    "§3.2.2.3.11 wildcards": (connack(b"\x28\2"), "wildcard subscription available", 0x82),
    "§3.2.2.3.12 identifiers": (connack(b"\x29\2"), "subscription identifier available", 0x82),
    "§3.2.2.3.13 shared": (connack(b"\x2a\2"), "shared subscription available", 0x82),
    "§3.3.2.1 wildcard": (publish(b"", b"\0\1+"), "topic name", 0x81),
    "§3.3.2.1 no topic and no alias": (publish(b"\x01\1", b"\0\0"), "topic name", 0x82),
    "§3.3.2.3.4 topic alias 0": (publish(b"\x23\0\0"), "topic alias", 0x94),
    "§3.3.2.3.8 subscription identifier 0": (publish(b"\x0b\0"), "subscription identifier", 0x82),
    "§1.5.5 subscription identifier not the shortest": (
        publish(b"\x0b\x81\0"),
        "subscription identifier",
        0x81,
    ),
    "§2.2.1 identifier 0": (frame(0x32, b"\0\1t\0\0\0"), "packet identifier", 0x81),
    "§3.4.2.1 a code of another packet": (b"\x40\x03\0\1\x11", "reason code", 0x82),
    "§3.6.2.1 a code of another packet": (b"\x62\x03\0\1\x10", "reason code", 0x82),
    "§3.4.2.2.2 reason twice": (frame(0x40, b"\0\1\0\x08\x1f\0\1a\x1f\0\1b"), "property identifier", 0x82),
    "§3.8.3.1 QoS 3": (subscribe(b"t", 3), "subscription options", 0x82),
    "§3.8.3.1 retain handling 3": (subscribe(b"t", 0x30), "subscription options", 0x82),
    "§3.8.3.1 reserved": (subscribe(b"t", 0x40), "subscription options", 0x81),
    "§3.8.3.1 no local on a shared one": (subscribe(b"$share/g/t", 4), "subscription options", 0x82),
    "§3.8.2.1.2 identifier twice": (
        subscribe(b"t", properties=b"\4\x0b\1\x0b\2"),
        "property identifier",
        0x82,
    ),
    "§3.8.2.1.2 identifier 0": (subscribe(b"t", properties=b"\2\x0b\0"), "subscription identifier", 0x82),
    "§1.5.2 no filter": (frame(0x82, b"\0\1\0"), "topic filter length", 0x81),
    "§4.7.3 empty filter": (subscribe(b""), "topic filter", 0x81),
    "§4.7.1.2 # in a level": (subscribe(b"a#"), "topic filter", 0x81),
    "§4.7.1.2 # before the end": (subscribe(b"#/a"), "topic filter", 0x81),
    "§4.7.1.3 + in a level": (subscribe(b"a/b+/c"), "topic filter", 0x81),
    "§4.8.2 no group": (subscribe(b"$share//t"), "topic filter", 0x81),
    "§4.8.2 no filter": (subscribe(b"$share/g"), "topic filter", 0x81),
    "§4.8.2 an empty filter": (subscribe(b"$share/g/"), "topic filter", 0x81),
    "§4.8.2 wildcard in the group": (subscribe(b"$share/+/t"), "topic filter", 0x81),
    "§2.1.4 SUBACK without codes": (frame(0x90, b"\0\1\0"), "reason code", 0x81),
    "§3.9.3 a code of another packet": (frame(0x90, b"\0\1\0\x11"), "reason code", 0x82),
    "§1.5.2 UNSUBSCRIBE without filters": (frame(0xA2, b"\0\1\0"), "topic filter length", 0x81),
    "§3.11.3 a code of another packet": (frame(0xB0, b"\0\1\0\1"), "reason code", 0x82),
    "§3.14.2.1 a code of another packet": (b"\xe0\x01\x86", "reason code", 0x82),
    "§3.15.2.1 a code of another packet": (b"\xf0\x02\x87\0", "reason code", 0x82),
    "§3.15.2.2.2 no method": (b"\xf0\x02\x18\0", "property length", 0x82),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_malformed_and_its_field_is_marked(rule: str) -> None:
    data, field, code = BROKEN[rule]
    with pytest.raises(MalformedPacket) as caught:
        v5.parse(data)
    assert caught.value.spec == f"MQTT 5 {rule.split()[0]}"
    assert caught.value.reason_code == code
    assert [part.name for part in dissect(data, 5) if not part.valid] == [field]


def test_the_version_of_a_connect_is_its_own() -> None:
    with pytest.raises(MalformedPacket) as caught:
        v5.parse(frame(0x10, b"\0\4MQTT\4\2\0\0\0\1c"))
    assert (caught.value.spec, caught.value.reason_code) == ("MQTT 5 §3.1.2.2", 0x84)


def test_what_may_repeat_does() -> None:
    parsed = v5.parse(publish(b"\x0b\1\x0b\2\x26\0\1a\0\1b\x26\0\1a\0\1c"))
    assert parsed.properties == {  # type: ignore[union-attr]
        v5.Property.SUBSCRIPTION_IDENTIFIER: (1, 2),
        v5.Property.USER_PROPERTY: (("a", "b"), ("a", "c")),
    }


def test_a_password_needs_no_user_name() -> None:
    """§3.1.2.9: other than in 3.1.1."""
    assert v5.parse(connect(0x42, b"\0\1c\0\1p")) == v5.Connect(client_id="c", password=b"p")


def test_an_alias_stands_for_a_topic() -> None:
    parsed = v5.parse(publish(b"\x23\0\7", b"\0\0"))
    assert parsed == v5.Publish(topic="", properties={v5.Property.TOPIC_ALIAS: 7})


@pytest.mark.parametrize("size", [2, 3, 4])
def test_an_acknowledgement_may_leave_out_its_end(size: int) -> None:
    """§3.4.2.1, §3.4.2.2.1."""
    assert v5.parse(frame(0x40, b"\0\7\x00\x00"[:size])) == v5.Puback(packet_id=7)


def test_secrets_do_not_show() -> None:
    token = {v5.Property.AUTHENTICATION_DATA: b"eyJdata", v5.Property.USER_PROPERTY: (("t", "eyJuser"),)}
    farewell = v5.Will(topic="t", payload=b"eyJwill", properties=token)  # type: ignore[arg-type]
    for packet in (
        v5.Connect(username="eyJu", password=b"eyJp", will=farewell, properties=token),  # type: ignore[arg-type]
        v5.Auth(properties=token),  # type: ignore[arg-type]
    ):
        assert "eyJ" not in repr(packet)


# The tables.


def test_the_table_of_properties_is_that_of_another_library() -> None:
    theirs = PahoProperties(PacketTypes.CONNECT)
    types = ["byte", "number", "four", "length", "binary", "text", "pair"]
    assert {theirs.names[name]: theirs.properties[theirs.names[name]] for name in theirs.names} == {
        number: (types.index(rule.type), _paho(rule.sections)) for number, rule in v5.PROPERTIES.items()
    }
    assert {name.lower() for name in theirs.names} == {
        property.name.lower().replace("_", " ") for property in v5.Property
    }


def _paho(holders: Any) -> list[int]:
    order = [*PacketType, "will"]
    return [PacketTypes.WILLMESSAGE if h == "will" else int(h) for h in sorted(holders, key=order.index)]


def test_the_table_of_reason_codes_is_that_of_another_library() -> None:
    """But for the names, which differ in a word here and there, and for 0x99 in CONNACK, which it has not."""
    theirs = {
        (int(packet), code)
        for code, names in PahoReasonCode.names.items()
        for packets in names.values()
        for packet in packets
    }
    assert {(int(packet), row.code) for row in v5.REASONS for packet in row.packets} == theirs | {(2, 0x99)}


_ENUMS = {
    PacketType.CONNACK: mqtt5.ConnAckReasonCode,
    PacketType.PUBACK: mqtt5.PubAckReasonCode,
    PacketType.PUBREC: mqtt5.PubRecReasonCode,
    PacketType.PUBREL: mqtt5.PubRelReasonCode,
    PacketType.PUBCOMP: mqtt5.PubCompReasonCode,
    PacketType.SUBACK: mqtt5.SubAckReasonCode,
    PacketType.UNSUBACK: mqtt5.UnsubAckReasonCode,
    PacketType.DISCONNECT: mqtt5.DisconnectReasonCode,
    PacketType.AUTH: mqtt5.AuthReasonCode,
}


@pytest.mark.parametrize("packet", SECTIONS, ids=lambda packet: packet.name)
def test_the_reason_codes_of_each_packet_are_those_of_the_codec(packet: PacketType) -> None:
    theirs = {int(getattr(_ENUMS[packet], name)) for name in dir(_ENUMS[packet]) if name.isupper()}
    ours = {row.code for row in v5.REASONS if packet in row.packets}
    assert ours - theirs <= ({0x8C} if packet is PacketType.DISCONNECT else set())  # in table 2-6 only
    assert theirs <= ours
    assert all(v5.reason_name(packet, code) for code in ours)


def test_sections_of_properties_lie_in_the_chapter_of_their_packet() -> None:
    chapters = {packet: f"3.{packet.value}." for packet in PacketType} | {"will": "3.1.3.2."}
    for rule in v5.PROPERTIES.values():
        for holder, section in rule.sections.items():
            assert section.startswith(chapters[holder]), (rule.property, holder)
        assert rule.repeats <= set(rule.sections)
