"""A dissection shows no more of a secret than its first letters, also when the packet is damaged."""

import base64
import json
import random
from collections.abc import Callable

import mqtt5
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_wire import V5, damage

from labkit.wire import Connect, Dissection, Publish, Will, dissect, encode, frame

PASSWORD = b"hunter2-and-more"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _token() -> str:
    claims = {"iss": "https://issuer.test", "jti": random.Random(7).randbytes(16).hex()}
    signature = random.Random(8).randbytes(64)
    return ".".join([_part(b'{"alg":"ES256"}'), _part(json.dumps(claims).encode()), _part(signature)])


TOKEN = _token()
MESSAGE = b"n,a=dev-1,\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


def _in_auth(data: bytes) -> bytes:
    return mqtt5.AuthPacket(authentication_method="M", authentication_data=data).write()


#: Where a token may stand.
CARRIERS: dict[str, Callable[[], bytes]] = {
    "password": lambda: encode(Connect(client_id="dev-1", username="dev-1", password=TOKEN.encode())),
    "user name": lambda: encode(Connect(client_id="dev-1", username=TOKEN)),
    "will message": lambda: encode(Connect(client_id="c", will=Will(topic="t", payload=TOKEN.encode()))),
    "client identifier": lambda: encode(Connect(client_id=TOKEN)),
    "payload": lambda: encode(Publish(topic="t", payload=json.dumps({"t": TOKEN, "n": 1}).encode())),
    "topic name": lambda: encode(Publish(topic="t/" + TOKEN)),
    "password in 5": lambda: mqtt5.ConnectPacket("dev-1", password=TOKEN.encode()).write(),
    "user property": lambda: mqtt5.ConnectPacket("c", user_properties=[("token", TOKEN)]).write(),
    "authentication data": lambda: _in_auth(TOKEN.encode()),
    "OAUTHBEARER message": lambda: _in_auth(MESSAGE),
    "reason string": lambda: mqtt5.DisconnectPacket(reason_str="no: " + TOKEN).write(),
    "MQTT 3.1": lambda: frame(0x10, b"\0\6MQIsdp\3\xc2\0\0\0\1c\0\1u" + TOKEN.encode()),
}


def visible(parts: Dissection, data: bytes) -> bytes:
    """The bytes that are not hidden, with a gap for those that are."""
    shown = bytearray(data)
    for start, end in parts.hidden:
        shown[start:end] = bytes(end - start)
    return bytes(shown)


def shows(text: str | bytes, secret: str | bytes, length: int) -> bool:
    """Whether a piece of that length of ``secret`` can be read in ``text``."""
    return any(secret[at : at + length] in text for at in range(len(secret) - length + 1))  # type: ignore[operator]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_of_a_token_the_first_eight_letters_are_seen_wherever_it_stands(carrier: str) -> None:
    data = CARRIERS[carrier]()
    version = 4 if carrier in ("payload", "topic name") else 5
    parts = dissect(data, version)
    assert parts.valid
    assert not shows(visible(parts, data), TOKEN[8:].encode(), 6)
    for text in (str(parts), repr(parts)):
        assert not shows(text, TOKEN[8:], 6)
    for part in parts:
        assert not shows(parts.hex(part, 1000), TOKEN[8:].encode().hex(" "), 3 * 6)
    assert carrier == "MQTT 3.1" or "eyJhbGci…" in str(parts)
    assert dissect(data, version, secrets=True).hidden == ()


def test_what_stands_around_a_token_can_be_read() -> None:
    data = CARRIERS["payload"]()
    assert f'“{{"t": "eyJhbGci…", "n": 1}}” ({len(data) - 6} bytes)' in str(dissect(data))


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (encode(Connect(username="dev-1", password=PASSWORD)), "password"),
        (encode(Connect(username=PASSWORD.decode() * 2)), "user name"),
        (_in_auth(PASSWORD), "authentication data"),
        (_in_auth(b"n,,\x01auth=Bearer " + PASSWORD + b"\x01\x01"), "authentication data"),
        (frame(0x10, b"\0\6MQIsdp\3\xc2\0\0\0\1c\0\1u\0\x10" + PASSWORD), "fields of another version"),
    ],
)
def test_of_any_other_secret_two_letters_are_seen(packet: bytes, name: str) -> None:
    parts = dissect(packet)
    assert parts.version == 4 or parts.valid
    parts = dissect(packet, 5)
    [part] = [part for part in parts if part.name == name]
    assert not shows(visible(parts, packet), PASSWORD[2:], 3)
    assert not shows(part.meaning, PASSWORD.decode()[2:], 3)


carriers = st.sampled_from([make() for make in CARRIERS.values()])


@settings(max_examples=400)
@given(damage(carriers), st.sampled_from([4, 5]))
@example(frame(0x10, b"\0\4MQTT\4\xc2\0\0\0\5dev-1\0\5dev-1\0\xff" + TOKEN.encode()), 4)
def test_of_a_token_in_a_damaged_packet_no_long_piece_is_seen(data: bytes, version: int) -> None:
    """Damage inside a token may make two of it, and of the second nobody knows what it is."""
    parts = dissect(data, version)
    assert not shows(visible(parts, data), TOKEN[8:].encode(), 72)
    assert not shows(str(parts), TOKEN[8:], 72)


@settings(max_examples=400)
@given(damage(st.just(encode(Connect(client_id="dev-1", username="dev-1", password=PASSWORD)))))
def test_a_password_in_a_broken_connect_is_not_seen_under_another_name(data: bytes) -> None:
    parts = dissect(data)
    if not parts.valid and data[:1] == b"\x10":
        assert not shows(visible(parts, data), PASSWORD[2:], 5)


@settings(max_examples=100)
@given(st.one_of(*V5.values()).map(lambda packet: packet.write()))
def test_nothing_but_secrets_is_hidden_in_a_packet_that_keeps_the_rules(data: bytes) -> None:
    parts = dissect(data, 5)
    secret = [part for part in parts if part.name in ("user name", "password", "authentication data")]
    assert all(any(part.start <= start and end <= part.end for part in secret) for start, end in parts.hidden)
