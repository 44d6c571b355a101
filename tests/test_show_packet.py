"""The picture of a packet: bytes, names, flags bit by bit, and the token in it."""

import re
from typing import Any

import mqtt5
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_show import survives
from support_tokens import NOW, private_key, token
from support_wire import V5, damage

from labkit import show
from labkit.wire import Connack, Connect, Publish, Subscribe, Tapped, encode, frame

TOKEN = token()


def connect(**fields: Any) -> bytes:
    return encode(Connect(client_id="dev-1", keep_alive=60, **fields))


def words(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_a_subscribe_in_full() -> None:
    wanted = mqtt5.TopicFilter("a/#", max_qos=mqtt5.QoS.AT_LEAST_ONCE, retain_as_published=False)
    data = mqtt5.SubscribePacket(7, [wanted], subscription_id=300).write()
    assert show.packet(data, 5).text.splitlines() == [
        "SUBSCRIBE of MQTT 5, 14 bytes",
        "",
        "    0  82 0c 00 07 03 0b ac 02 00 03 61 2f 23 01  ..........a/#.",
        "",
        "bytes  hex        field                    meaning",
        "    0  82         packet type and flags    SUBSCRIBE, flags 0010",
        "       1000 ....    packet type            8 = SUBSCRIBE",
        "       .... 0010    reserved               0010",
        "    1  0c         remaining length         12 bytes follow",
        "  2-3  00 07      packet identifier        7",
        "    4  03         property length          3 bytes follow",
        "    5  0b         property identifier      0x0B = subscription identifier",
        "  6-7  ac 02      subscription identifier  300",
        "  8-9  00 03      topic filter length      3 bytes follow",
        "10-12  61 2f 23   topic filter             “a/#”",
        "   13  01         subscription options     00000001",
        "       00.. ....    reserved               00",
        "       ..00 ....    retain handling        0: send retained messages",
        "       .... 0...    retain as published    no",
        "       .... .0..    no local               no",
        "       .... ..01    maximum QoS            1",
    ]


def test_the_flags_of_connect_bit_by_bit() -> None:
    lines = [words(line) for line in show.packet(connect(username="u", password=b"p")).text.splitlines()]
    at = lines.index(["8", "04", "protocol level", "4 = MQTT 3.1.1"]) + 1
    assert lines[at : at + 8] == [
        ["9", "c2", "connect flags", "11000010"],
        ["1... ....", "user name", "yes"],
        [".1.. ....", "password", "yes"],
        ["..0. ....", "will retain", "no"],
        ["...0 0...", "will QoS", "0"],
        [".... .0..", "will", "no"],
        [".... ..1.", "clean session", "yes"],
        [".... ...0", "reserved", "0"],
    ]


def _auth(data: bytes) -> bytes:
    return mqtt5.AuthPacket(authentication_method="OAUTHBEARER", authentication_data=data).write()


CARRIERS = {
    "password": connect(username="dev-1", password=TOKEN.encode()),
    "user name": connect(username=TOKEN),
    "authentication data": _auth(TOKEN.encode()),
    "authentication data, OAUTHBEARER": _auth(
        b"n,,\x01port=41883\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    ),
    "user property value": mqtt5.AuthPacket(
        authentication_method="M", user_properties=[("token", TOKEN)]
    ).write(),
    "payload": encode(Publish(topic="t", payload=b'{"access_token": "' + TOKEN.encode() + b'"}')),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_token_is_decoded_below_the_field_that_carries_it(carrier: str) -> None:
    data = CARRIERS[carrier]
    shown = show.packet(data, None if carrier == "payload" else 5)
    lines = [words(line) for line in shown.text.splitlines()]
    field = next(n for n, line in enumerate(lines) if len(line) == 4 and line[2] == carrier.split(",")[0])
    first = lines.index(["header", "typ", "at+jwt", "kind of token"])
    assert 0 < first - field <= 3  # behind what the field itself says, which may take some lines
    below = lines[first : lines.index(["signature", "64 bytes, not checked here"])]
    assert ["claims", "iss", "http://127.0.0.1:PORT", "issuer: who made it"] in below
    assert ["exp", "300 s after issue", "expires"] in below
    assert ["jti", "… (4 characters)", "its own number"] in below
    survives(shown)
    for shape in (shown.text, shown.html or ""):
        assert not any(TOKEN[at : at + 6] in shape for at in range(8, len(TOKEN) - 6))
        assert TOKEN[8:12].encode().hex(" ") not in shape
        assert "41883" not in shape
        assert b"41883".hex(" ") not in shape


def test_two_runs_give_the_same_picture() -> None:
    """Another signature, another key and number, another port, a later moment: what differs is not shown."""

    def run(port: int, later: int, key: str) -> bytes:
        moments = {"iat": NOW + later, "exp": NOW + later + 300}
        issuer = f"http://127.0.0.1:{port}"
        made = token(key=private_key("ES256", key), iss=issuer, jti="j" + key * 3, **moments).encode()
        data = b"n,,\x01host=localhost\x01port=%d\x01auth=Bearer %s\x01\x01" % (port, made)
        return mqtt5.ConnectPacket(
            "dev-1",
            password=made,
            authentication_method="OAUTHBEARER",
            authentication_data=data,
            user_properties=[("issuer", issuer)],
        ).write()

    one, other = (show.packet(run(*each)) for each in ((40001, 0, "a"), (50002, 77, "b")))
    assert one.text == other.text
    assert one.html == other.html


def test_a_tapped_packet_tells_its_sender_and_its_version() -> None:
    tapped = Tapped(connection=1, sender="server", data=b"\xe0\x02\x8e\x00", version=5)
    text = show.packet(tapped).text
    assert text.startswith("DISCONNECT of MQTT 5, 4 bytes, from the server\n")
    assert "0x8E = session taken over" in text
    cut = Tapped(connection=1, sender="client", data=frame(0x30, b"\0\1t" + bytes(99))[:50], cut=54)
    assert "from the client, of which 54 bytes at its end are not kept" in show.packet(cut).text


def test_a_broken_rule_is_told_above_and_marked_below() -> None:
    data = bytearray(connect(username="u"))
    data[9] |= 1
    shown = show.packet(bytes(data))
    fault = "the reserved connect flag is 1 [MQTT 3.1.1 §3.1.2.3]"
    assert shown.text.splitlines()[1] == f"✗ connect flags: {fault}"
    assert "✗ connect flags" in shown.text.split("meaning")[1]
    assert fault in (shown.html or "").split("<table")[0]
    assert ["10-21", "00 3c …", "not read", "12 bytes"] in [words(line) for line in shown.text.splitlines()]
    survives(shown)


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (encode(Connack()), "CONNACK of MQTT 3.1.1, 4 bytes"),
        (frame(0x10, b"\0\6MQIsdp\3rest"), "CONNECT of MQTT 3.1, 15 bytes"),
        (frame(0x10, b"\0\4MQTT\x09rest"), "CONNECT of an unknown version, 13 bytes"),
        (b"\xf0\x00", "no packet of MQTT 3.1.1, 2 bytes"),
        (b"", "no packet of MQTT 3.1.1, 0 bytes"),
        (b"\xc0", "PINGREQ of MQTT 3.1.1, 1 byte"),
    ],
)
def test_the_title_says_what_it_is(data: bytes, title: str) -> None:
    assert show.packet(data).text.splitlines()[0] == title


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("CONNECT",), "no bytes: a str"),
        ((None,), "no bytes: a NoneType"),
        (([16, 2],), "no bytes: a list"),
        ((b"\xc0\0", 3), "MQTT has version 4, which is called 3.1.1, and version 5"),
        ((b"\xc0\0", "5"), "MQTT has version 4, which is called 3.1.1, and version 5"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(arguments: tuple[Any, ...], sentence: str) -> None:
    assert str(show.packet(*arguments)) == sentence


def test_a_packet_may_be_any_kind_of_bytes() -> None:
    for same in (bytearray(b"\xc0\0"), memoryview(b"\xc0\0"), memoryview(b"\xc0.\0.")[::2]):
        assert show.packet(same).text == show.packet(b"\xc0\0").text  # type: ignore[arg-type]


def test_markup_and_control_characters_are_shown_as_text() -> None:
    evil = "<script>alert(1)</script>\x1b[2J\u202e&amp;"
    shown = show.packet(encode(Publish(topic=evil, payload=b"<b>\x1b[31m")))
    survives(shown)
    assert "<script>" not in (shown.html or "")
    assert not any(c in shown.text for c in "\x1b\u202e")
    assert "“<b>\\x1b[31m”" in shown.text


def test_a_picture_stays_small_however_long_the_packet() -> None:
    many = encode(Subscribe(packet_id=1, filters=tuple((f"t/{n}", 0) for n in range(5000))))
    shown = show.packet(many)
    assert "… and 14939 fields more" in shown.text
    survives(shown)
    long = show.packet(encode(Publish(topic="t" * 60_000, payload=bytes(1_000_000))))
    assert "… 999904 bytes more of the payload" in long.text
    survives(long)
    assert len(shown.html or "") < 130_000
    assert len(long.html or "") < 60_000


def test_usual_packets_fit_in_88_columns() -> None:
    for data in CARRIERS.values():
        assert max(map(len, show.packet(data, 5).text.splitlines())) <= 88


packets = st.one_of(*V5.values()).map(lambda packet: packet.write())


@settings(max_examples=150, deadline=None)
@given(packets | damage(packets) | st.binary(max_size=60), st.sampled_from([None, 4, 5]))
@example(b"", None)
def test_any_packet_has_a_picture_that_says_no_more_than_its_text(data: bytes, version: int | None) -> None:
    survives(show.packet(data, version))
