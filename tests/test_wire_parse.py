"""Every packet reads back as it was written, and every broken rule is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import LabkitError, MalformedPacket
from labkit.wire import (
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
    Will,
    dissect,
    encode,
    frame,
    parse,
)

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
topic = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=20)
ids = st.integers(1, 65535)
qos = st.integers(0, 2)
wills = st.builds(Will, topic=text, payload=st.binary(max_size=20), qos=qos, retain=st.booleans())


def _connects() -> st.SearchStrategy[Connect]:
    common = {
        "client_id": text,
        "clean_session": st.booleans(),
        "keep_alive": st.integers(0, 65535),
        "will": st.none() | wills,
    }
    return st.builds(Connect, **common, username=st.none() | text) | st.builds(
        Connect, **common, username=text, password=st.binary(max_size=20)
    )


def _publishes() -> st.SearchStrategy[Publish]:
    common = {"topic": topic, "payload": st.binary(max_size=200), "retain": st.booleans()}
    return st.builds(Publish, **common) | st.builds(
        Publish, **common, qos=st.integers(1, 2), dup=st.booleans(), packet_id=ids
    )


packets: st.SearchStrategy[Packet] = st.one_of(
    _connects(),
    _publishes(),
    st.builds(Connack, session_present=st.booleans()),
    st.builds(Connack, return_code=st.integers(0, 255)),
    *(st.builds(kind, packet_id=ids) for kind in (Puback, Pubrec, Pubrel, Pubcomp, Unsuback)),
    st.builds(Subscribe, packet_id=ids, filters=st.lists(st.tuples(topic, qos), min_size=1).map(tuple)),
    st.builds(
        Suback, packet_id=ids, return_codes=st.lists(st.sampled_from([0, 1, 2, 128]), min_size=1).map(tuple)
    ),
    st.builds(Unsubscribe, packet_id=ids, filters=st.lists(topic, min_size=1).map(tuple)),
    st.sampled_from([Pingreq(), Pingresp(), Disconnect()]),
)


@given(packets)
def test_what_is_encoded_parses_to_the_same(packet: Packet) -> None:
    assert parse(encode(packet)) == packet


@given(packets)
def test_a_dissection_covers_every_byte_of_a_packet_once(packet: Packet) -> None:
    data = encode(packet)
    parts = dissect(data)
    assert parts.valid
    assert [part.start for part in parts] == [0, *(part.end for part in parts)][:-1]
    assert parts[-1].end == len(data)


@given(
    st.binary(max_size=60) | st.tuples(st.integers(0, 255), st.binary(max_size=60)).map(lambda p: frame(*p))
)
def test_any_bytes_parse_or_are_malformed_and_can_be_dissected(data: bytes) -> None:
    try:
        parse(data)
    except MalformedPacket:
        assert not dissect(data).valid
    else:
        assert dissect(data).valid
    assert str(dissect(data))


@given(packets, st.data())
def test_a_packet_with_one_damaged_byte_raises_nothing_else(packet: Packet, data: st.DataObject) -> None:
    raw = bytearray(encode(packet))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(raw))
    except LabkitError as error:
        assert isinstance(error, MalformedPacket)  # noqa: PT017  (most damage is harmless)


def connect(
    flags: int, fields: bytes = b"\0\1c", *, name: bytes = b"\0\4MQTT", level: int = 4, first: int = 0x10
) -> bytes:
    return frame(first, name + bytes((level, flags)) + b"\0\0" + fields)


#: rule -> bytes that break it.
MALFORMED = {
    "§2.2.1 type 0": b"\x00\x00",
    "§2.2.1 type 15": b"\xf0\x00",
    "§2.2.2 CONNECT flags": connect(2, first=0x11),
    "§3.1.2.1 protocol name": connect(2, name=b"\0\4mqtt"),
    "§3.1.2.1 MQTT 3.1's name with another level": connect(2, name=b"\0\6MQIsdp"),
    "§3.1.2.3 reserved flag": connect(0x03),
    "§3.1.2.6 will QoS without will": connect(0x0A),
    "§3.1.2.7 will retain without will": connect(0x22),
    "§3.1.2.6 will QoS 3": connect(0x1E, b"\0\1c\0\1t\0\1m"),
    "§3.1.2.9 password without user name": connect(0x42, b"\0\1c\0\1p"),
    "§3.1.3 will flag without will": connect(0x06),
    "§3.1.3 user name flag without user name": connect(0x82),
    "§3.1.3 password flag without password": connect(0xC2, b"\0\1c\0\1u"),
    "§3.1.3 bytes behind the last field": connect(0x02, b"\0\1c\0"),
    "§3.1.3 no client identifier": connect(0x02, b""),
    "§1.5.3 length runs out of the packet": connect(0x02, b"\0\5c"),
    "§1.5.3 U+0000": connect(0x02, b"\0\1\0"),
    "§1.5.3 surrogate": connect(0x02, b"\0\3\xed\xa0\x80"),
    "§1.5.3 overlong": connect(0x02, b"\0\2\xc0\x80"),
    "§1.5.3 cut sequence": connect(0x02, b"\0\1\xc3"),
    "§1.5.3 above U+10FFFF": connect(0x02, b"\0\4\xf4\x90\x80\x80"),
    "§1.5.3 user name": connect(0x82, b"\0\1c\0\1\xff"),
    "§1.5.3 will topic": connect(0x06, b"\0\1c\0\1\xff\0\0"),
    "§3.2.2.1 CONNACK reserved": b"\x20\x02\x02\x00",
    "§3.2.2.2 CONNACK refuses with a session": b"\x20\x02\x01\x05",
    "§3.3.1.1 DUP at QoS 0": frame(0x38, b"\0\1t"),
    "§3.3.1.2 QoS 3": frame(0x36, b"\0\1t\0\1"),
    "§3.3.2.1 wildcard +": frame(0x30, b"\0\3a/+"),
    "§3.3.2.1 wildcard #": frame(0x30, b"\0\1#"),
    "§4.7.3 empty topic": frame(0x30, b"\0\0"),
    "§1.5.3 topic": frame(0x30, b"\0\1\xff"),
    "§2.3.1 PUBLISH with identifier 0": frame(0x32, b"\0\1t\0\0"),
    "§3.3.2.2 PUBLISH without identifier": frame(0x32, b"\0\1t"),
    "§2.3.1 PUBACK with identifier 0": b"\x40\x02\x00\x00",
    "§3.4 PUBACK too short": b"\x40\x01\x00",
    "§3.4 PUBACK too long": b"\x40\x03\x00\x01\x00",
    "§2.2.2 PUBACK flags": b"\x42\x02\x00\x01",
    "§2.2.2 PUBREL flags": b"\x60\x02\x00\x01",
    "§2.2.2 PUBREC flags": b"\x52\x02\x00\x01",
    "§2.2.2 SUBSCRIBE flags": frame(0x80, b"\0\1\0\1t\0"),
    "§2.3.1 SUBSCRIBE with identifier 0": frame(0x82, b"\0\0\0\1t\0"),
    "§3.8.3 no filter": frame(0x82, b"\0\1"),
    "§3.8.3 filter without QoS": frame(0x82, b"\0\1\0\1t"),
    "§3.8.3.1 QoS 3": frame(0x82, b"\0\1\0\1t\3"),
    "§3.8.3.1 reserved bits": frame(0x82, b"\0\1\0\1t\4"),
    "§4.7.3 empty filter": frame(0x82, b"\0\1\0\0\0"),
    "§1.5.3 filter": frame(0x82, b"\0\1\0\1\xff\0"),
    "§3.9.3 reserved return code": frame(0x90, b"\0\1\3"),
    "§2.2.2 UNSUBSCRIBE flags": frame(0xA0, b"\0\1\0\1t"),
    "§3.10.3 no filter": frame(0xA2, b"\0\1"),
    "§4.7.3 empty filter to unsubscribe": frame(0xA2, b"\0\1\0\0"),
    "§3.12 PINGREQ with a body": b"\xc0\x01\x00",
    "§2.2.2 PINGREQ flags": b"\xc1\x00",
    "§3.14 DISCONNECT with a body": b"\xe0\x01\x00",
    "§2.2.3 shorter than it says": b"\x30\x05\x00\x01t",
    "§2.2.3 longer than it says": b"\xc0\x00\x00",
    "no bytes": b"",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=list(MALFORMED))
def test_a_broken_rule_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacket) as caught:
        parse(data)
    assert caught.value.spec.startswith("MQTT 3.1.1 §")
    assert not dissect(data).valid


def test_the_layout_of_another_version_is_not_guessed() -> None:
    data = frame(0x10, b"\0\4MQTT\5\2\0\0\5\x11\0\0\0\0\0\0")
    assert parse(data) == Connect(protocol_level=5)
    assert parse(frame(0x10, b"\0\6MQIsdp\3anything")).protocol_level == 3  # type: ignore[union-attr]


def test_a_field_that_does_not_fit_its_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="65,535"):
        encode(Connect(username="u", password=b"x" * 65_536))


def test_secrets_do_not_show() -> None:
    packet = Connect(
        client_id="c", username="eyJuser", password=b"eyJpass", will=Will(topic="t", payload=b"eyJ")
    )
    assert "eyJ" not in repr(packet)
