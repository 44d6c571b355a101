"""MQTT 3.1.1: our names for every byte agree with amqtt's packets, which are not ours."""

import asyncio
from typing import Any

import pytest
from amqtt.adapters import BufferReader
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket
from hypothesis import given, settings
from hypothesis import strategies as st
from support_wire import binary, covers, damage, filters, ids, one, text, told, topics, two, utf8

from labkit.errors import MalformedPacket
from labkit.wire import dissect, parse
from labkit.wire.packets import PacketType


@st.composite
def _connects(draw: st.DrawFn) -> Any:
    header = ConnectVariableHeader(keep_alive=draw(st.integers(0, 65535)))
    header.clean_session_flag = draw(st.booleans())
    payload = ConnectPayload(client_id=draw(text))
    if draw(st.booleans()):
        header.will_flag, header.will_retain_flag = True, draw(st.booleans())
        header.will_qos = draw(st.integers(0, 2))
        payload.will_topic, payload.will_message = draw(topics), draw(binary)
    if draw(st.booleans()):
        header.username_flag, payload.username = True, draw(text)
        if draw(st.booleans()):
            header.password_flag, payload.password = True, draw(text)
    return ConnectPacket(variable_header=header, payload=payload)


@st.composite
def _publishes(draw: st.DrawFn) -> Any:
    qos = draw(st.integers(0, 2))
    number, dup = (draw(ids), draw(st.booleans())) if qos else (None, False)
    return PublishPacket.build(draw(topics), draw(binary), number, dup, qos, draw(st.booleans()))


qos = st.integers(0, 2)
#: The fourteen types of MQTT 3.1.1.
V4: dict[str, st.SearchStrategy[Any]] = {
    "CONNECT": _connects(),
    "CONNACK": st.builds(ConnackPacket.build, st.integers(0, 1), st.just(0))
    | st.builds(ConnackPacket.build, st.just(0), st.integers(1, 5)),
    "PUBLISH": _publishes(),
    "PUBACK": st.builds(PubackPacket.build, ids),
    "PUBREC": st.builds(PubrecPacket.build, ids),
    "PUBREL": st.builds(PubrelPacket.build, ids),
    "PUBCOMP": st.builds(PubcompPacket.build, ids),
    "SUBSCRIBE": st.builds(
        SubscribePacket.build, st.lists(st.tuples(filters, qos), min_size=1, max_size=3), ids
    ),
    "SUBACK": st.builds(
        SubackPacket.build, ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=3)
    ),
    "UNSUBSCRIBE": st.builds(UnsubscribePacket.build, st.lists(filters, min_size=1, max_size=3), ids),
    "UNSUBACK": st.builds(UnsubackPacket.build, ids),
    "PINGREQ": st.builds(PingReqPacket),
    "PINGRESP": st.builds(PingRespPacket),
    "DISCONNECT": st.builds(DisconnectPacket),
}
packets = st.one_of(*V4.values()).map(lambda packet: packet.to_bytes())


@pytest.mark.parametrize("name", V4)
def test_a_packet_of_each_type_is_named_as_the_other_codec_reads_it(name: str) -> None:
    @settings(max_examples=60)
    @given(V4[name])
    def agree(packet: Any) -> None:
        data = packet.to_bytes()
        assert dissect(data)[0].meaning.startswith(name)
        _agree(packet, data)

    agree()


def _agree(packet: Any, data: bytes) -> None:
    """The dissection and the parser say of ``data`` what ``packet`` says, and nothing else."""
    seen = told(data, 4)
    bits = {bit.name: bit.meaning for part in dissect(data) for bit in part.bits}
    parsed: Any = parse(data)
    expected = {"packet type and flags": [data[:1]]}
    variable = packet.variable_header
    if getattr(variable, "packet_id", None) is not None:
        assert parsed.packet_id == variable.packet_id
        expected["packet identifier"] = [two(variable.packet_id)]
    match PacketType(data[0] >> 4):
        case PacketType.CONNECT:
            payload = packet.payload
            client_id = "" if payload.client_id_is_random else payload.client_id
            will = payload.will_topic is not None
            expected |= {
                "protocol name": [b"MQTT"],
                "protocol level": [b"\4"],
                "connect flags": [one(variable.flags)],
                "keep alive": [two(variable.keep_alive)],
                "client identifier": [utf8(client_id)],
            }
            expected |= {"will topic": [utf8(payload.will_topic)]} if will else {}
            expected |= {"will message": [bytes(payload.will_message)]} if will else {}
            expected |= {} if payload.username is None else {"user name": [utf8(payload.username)]}
            expected |= {} if payload.password is None else {"password": [utf8(payload.password)]}
            assert (parsed.client_id, parsed.keep_alive) == (client_id, variable.keep_alive)
            assert (parsed.username, parsed.will is not None) == (payload.username, will)
            assert bits["clean session"] == _yes(variable.clean_session_flag)
            assert bits["will"] == _yes(variable.will_flag)
            assert bits["will retain"] == _yes(variable.will_retain_flag)
            assert bits["will QoS"] == str(variable.will_qos)
            assert bits["user name"] == _yes(variable.username_flag)
            assert bits["password"] == _yes(variable.password_flag)
        case PacketType.CONNACK:
            expected |= {"session present": [one(packet.session_parent)]}
            expected |= {"return code": [one(packet.return_code)]}
        case PacketType.PUBLISH:
            expected |= {"topic name": [utf8(packet.topic_name)], "payload": [bytes(packet.data)]}
            assert (bits["QoS"], parsed.qos) == (str(packet.qos), packet.qos)
            assert (bits["retain"], parsed.retain) == (_yes(packet.retain_flag), packet.retain_flag)
            assert (bits["duplicate"], parsed.dup) == (_yes(packet.dup_flag), packet.dup_flag)
        case PacketType.SUBSCRIBE:
            expected["topic filter"] = [utf8(name) for name, _ in packet.payload.topics]
            expected["requested QoS"] = [one(wanted) for _, wanted in packet.payload.topics]
            assert list(parsed.filters) == packet.payload.topics
        case PacketType.SUBACK:
            expected["granted QoS"] = [one(code) for code in packet.payload.return_codes]
        case PacketType.UNSUBSCRIBE:
            expected["topic filter"] = [utf8(name) for name in packet.payload.topics]
    assert {name: value for name, value in seen.items() if not name.endswith(" length")} == expected


def _yes(value: object) -> str:
    return "yes" if value else "no"


@settings(max_examples=300)
@given(damage(packets))
def test_a_damaged_packet_is_marked_or_means_what_the_other_codec_reads(data: bytes) -> None:
    parts = dissect(data)
    covers(parts, data)
    try:
        parsed: Any = parse(data)
    except MalformedPacket as error:
        rule = str(error)
    else:
        rule = ""
    if rule:  # but a CONNECT of another version is read as what it says it is
        assert parts.version != 4 or (not parts.valid and rule in str(parts))
        return
    if getattr(parsed, "protocol_level", 4) == 4 and _is_text(getattr(parsed, "password", None) or b""):
        assert parts.valid
        _agree(_read(data), data)


def _is_text(password: bytes) -> bool:
    """amqtt reads a password as text, where the standard has binary data (§3.1.3.5)."""
    try:
        password.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(data: bytes) -> Any:
    async def read() -> Any:
        reader = BufferReader(data)
        header = await MQTTFixedHeader.from_stream(reader)
        return await packet_class(header).from_stream(reader, fixed_header=header)

    return asyncio.run(read())


def test_the_fifteenth_type_came_with_version_5() -> None:
    [first, *_] = dissect(b"\xf0\x02\x18\x00", 4)
    assert not first.valid
    assert "type 15 is reserved [MQTT 3.1.1 §2.2.1]" in first.meaning
    assert first.bits[0].meaning == "15, reserved"
