"""MQTT 5: our names for every byte agree with a codec that is not ours."""

from typing import Any

import mqtt5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_wire import PROPERTIES, V5, covers, damage, one, told, two, utf8, varying

from labkit.errors import MalformedPacket
from labkit.wire import dissect, v5
from labkit.wire.packets import PacketType

packets = st.one_of(*V5.values()).map(lambda packet: packet.write())


@pytest.mark.parametrize("name", V5)
def test_a_packet_of_each_type_is_named_as_the_other_codec_reads_it(name: str) -> None:
    @settings(max_examples=60)
    @given(V5[name])
    def agree(packet: Any) -> None:
        data = packet.write()
        assert dissect(data, 5)[0].meaning.startswith(name)
        _agree(packet, data)

    agree()


def _agree(packet: Any, data: bytes) -> None:
    """The dissection and the parser say of ``data`` what ``packet`` says, and nothing else."""
    seen = told(data, 5)
    kind = PacketType(data[0] >> 4)
    assert _names(packet, kind) >= {name for name in seen if not name.endswith(" length")}
    assert seen["packet type and flags"] == [data[:1]]
    _agree_on_fields(packet, kind, seen, data)
    _agree_on_properties(packet, seen, "")
    if kind is PacketType.CONNECT and packet.will is not None:
        _agree_on_properties(packet.will, seen, "will ")
    _agree_with_parser(packet, v5.parse(data))


def _names(packet: Any, kind: PacketType) -> set[str]:
    names = {"packet type and flags", "property identifier", "packet identifier", "reason code"}
    names |= {name for name, (attribute, _, _) in PROPERTIES.items() if hasattr(packet, attribute)}
    names |= {"user property name", "user property value"}
    if kind is PacketType.CONNECT:
        names |= {"protocol name", "protocol version", "connect flags", "keep alive", "client identifier"}
        names |= {"user name", "password", "will topic", "will payload", "will property identifier"}
        names |= {name if name.startswith("will ") else "will " + name for name in PROPERTIES}
        names |= {"will user property name", "will user property value"}
    if kind is PacketType.CONNACK:
        names |= {"connect acknowledge flags"}
    if kind is PacketType.PUBLISH:
        names |= {"topic name", "payload", "subscription identifier"}
    if kind is PacketType.SUBSCRIBE:
        names |= {"topic filter", "subscription options", "subscription identifier"}
    if kind is PacketType.UNSUBSCRIBE:
        names |= {"topic filter"}
    return names


def _agree_on_fields(packet: Any, kind: PacketType, seen: dict[str, list[bytes]], data: bytes) -> None:
    one_of = {name: values[0] for name, values in seen.items()}
    if getattr(packet, "packet_id", None) is not None:
        assert one_of["packet identifier"] == two(packet.packet_id)
    if hasattr(packet, "reason_code"):
        assert one_of.get("reason code", b"\0") == one(packet.reason_code)
    if hasattr(packet, "reason_codes"):
        assert seen["reason code"] == [one(code) for code in packet.reason_codes]
    if kind is PacketType.CONNECT:
        will = packet.will
        assert one_of["client identifier"] == utf8(packet.client_id)
        assert one_of["keep alive"] == two(packet.keep_alive)
        assert one_of.get("user name") == (None if packet.username is None else utf8(packet.username))
        assert one_of.get("password") == packet.password
        bits = {bit.name: bit.meaning for part in dissect(data)[:7] for bit in part.bits}
        assert bits["clean start"] == _yes(packet.clean_start)
        assert bits["user name"] == _yes(packet.username is not None)
        assert bits["password"] == _yes(packet.password is not None)
        assert bits["will"] == _yes(will is not None)
        if will is not None:
            assert one_of["will topic"] == utf8(will.topic)
            assert one_of["will payload"] == (will.payload or b"")
            assert bits["will QoS"] == str(int(will.qos))
            assert bits["will retain"] == _yes(will.retain)
    if kind is PacketType.CONNACK:
        assert one_of["connect acknowledge flags"] == one(packet.session_present)
    if kind is PacketType.PUBLISH:
        bits = {bit.name: bit.meaning for bit in dissect(data, 5)[0].bits}
        assert one_of["topic name"] == utf8(packet.topic)
        assert one_of["payload"] == packet.payload
        assert bits["QoS"] == str(int(packet.qos))
        assert bits["retain"] == _yes(packet.retain)
        assert bits["duplicate"] == _yes(packet.duplicate)
        assert seen.get("subscription identifier", []) == [varying(n) for n in packet.subscription_ids]
    if kind is PacketType.SUBSCRIBE:
        assert seen["topic filter"] == [utf8(wanted.pattern) for wanted in packet.topic_filters]
        options = [part.bits for part in dissect(data, 5) if part.name == "subscription options"]
        said = [{bit.name: bit.meaning for bit in bits} for bits in options]
        for wanted, names in zip(packet.topic_filters, said, strict=True):
            assert names["maximum QoS"] == str(int(wanted.max_qos))
            assert names["no local"] == _yes(wanted.no_local)
            assert names["retain as published"] == _yes(wanted.retain_as_published)
            assert names["retain handling"].startswith(str(int(wanted.retain_handling)))
        number = packet.subscription_id
        assert seen.get("subscription identifier", []) == ([] if number is None else [varying(number)])
    if kind is PacketType.UNSUBSCRIBE:
        assert seen["topic filter"] == [utf8(pattern) for pattern in packet.patterns]


def _agree_on_properties(packet: Any, seen: dict[str, list[bytes]], what: str) -> None:
    for name, (attribute, write, absent) in PROPERTIES.items():
        if not hasattr(packet, attribute):
            continue
        shown = name if name.startswith("will ") else what + name
        value = getattr(packet, attribute)
        if shown in seen:
            assert seen[shown] == [write(value)], shown
        elif (attribute, value) != ("session_expiry_interval", 0):  # what its absence means in CONNECT
            assert value == absent, shown
    pairs = zip(
        seen.get(what + "user property name", []), seen.get(what + "user property value", []), strict=True
    )
    expected = getattr(packet, "user_properties", [])
    assert [(name.decode(), value.decode()) for name, value in pairs] == expected


def _agree_with_parser(packet: Any, parsed: Any) -> None:
    """The packet that the parser makes has the same values."""
    same = {
        "client_id": "client_id",
        "username": "username",
        "password": "password",
        "clean_start": "clean_start",
        "keep_alive": "keep_alive",
        "session_present": "session_present",
        "reason_code": "reason_code",
        "topic": "topic",
        "payload": "payload",
        "qos": "qos",
        "retain": "retain",
        "duplicate": "dup",
    }
    for theirs, ours in same.items():
        if hasattr(packet, theirs):
            assert getattr(parsed, ours) == getattr(packet, theirs), ours
    if hasattr(packet, "packet_id"):
        assert parsed.packet_id == (packet.packet_id or 0)
    if hasattr(packet, "reason_codes"):
        assert list(parsed.reason_codes) == packet.reason_codes
    if hasattr(packet, "user_properties"):
        assert list(parsed.properties.get(v5.Property.USER_PROPERTY, ())) == packet.user_properties
    if getattr(packet, "authentication_data", None) is not None:
        assert parsed.properties[v5.Property.AUTHENTICATION_DATA] == packet.authentication_data


def _yes(value: object) -> str:
    return "yes" if value else "no"


@settings(max_examples=300)
@given(damage(packets))
def test_a_damaged_packet_is_marked_or_means_what_the_other_codec_reads(data: bytes) -> None:
    parts = dissect(data, 5)
    covers(parts, data)
    try:
        parsed = v5.parse(data)
    except MalformedPacket as error:
        rule = str(error)
    else:
        rule = ""
    if rule:  # but a CONNECT of another version is read as what it says it is
        assert parts.version != 5 or (not parts.valid and rule in str(parts))
        return
    assert parts.valid
    if not _unknown_to_the_other_codec(parsed):
        packet, size = mqtt5.read(memoryview(data))
        assert size == len(data)
        _agree(packet, data)


def _unknown_to_the_other_codec(packet: Any) -> bool:
    """What the standard allows and the codec refuses: the shortest AUTH (§3.15.2.1), and a reason that table
    2-6 has for DISCONNECT.
    """
    return packet == v5.Auth() or (isinstance(packet, v5.Disconnect) and packet.reason_code == 0x8C)


@pytest.mark.parametrize("data", [b"\xf0\x00", b"\xe0\x01\x8c"])
def test_what_the_other_codec_does_not_know_is_still_so(data: bytes) -> None:
    """Else the exception above could go."""
    assert dissect(data, 5).valid
    with pytest.raises(ValueError):
        mqtt5.read(memoryview(data))


@given(st.binary(max_size=80), st.sampled_from([None, 4, 5]))
def test_any_bytes_can_be_dissected(data: bytes, version: int | None) -> None:
    parts = dissect(data, version)
    covers(parts, data)
    assert str(parts)
    assert repr(parts)
