"""Enhanced authentication on real sockets: MQTT 5 §4.12, with each method, and with every wrong order."""

import base64
import hashlib
import json
from typing import Any

import jwt.algorithms
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_broker import Site
from support_broker5 import Client5, client5, enter
from support_tokens import private_key, public_jwk

from labkit.broker.methods.oauth2_pop import TYPE
from labkit.tokens.thumbprint import thumbprint
from labkit.wire import v5
from labkit.wire.v5 import Property

NAME, DATA = Property.AUTHENTICATION_METHOD, Property.AUTHENTICATION_DATA
METHODS = ("OAUTH2-JWT", "OAUTHBEARER", "OAUTH2-POP")
KEY = "device key"


def bound(place: Site, client_id: str = "dev-1", **options: Any) -> str:
    """A token for the holder of KEY."""
    return place.token(client_id, cnf={"jkt": thumbprint(public_jwk("ES256", KEY))}, **options)


def first(place: Site, method: str, client_id: str = "dev-1", **options: Any) -> bytes:
    """The first data of a method, with a good token."""
    if method == "OAUTH2-POP":
        return bound(place, client_id, **options).encode()
    token = place.token(client_id, **options)
    return token.encode() if method == "OAUTH2-JWT" else message(token)


def message(token: str, more: str = "", identity: str = "") -> bytes:
    return f"n,{identity},\x01auth=Bearer {token}\x01{more}\x01".encode()


def proof(challenge: bytes, shown: bytes, owner: str = "dev-1", key: str = KEY, **changes: Any) -> bytes:
    def part(value: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    ath = base64.urlsafe_b64encode(hashlib.sha256(shown).digest()).rstrip(b"=").decode()
    header = {"typ": TYPE, "alg": "ES256", "jwk": public_jwk("ES256", key)} | changes.pop("header", {})
    claims = {"nonce": challenge.decode(), "client_id": owner, "ath": ath} | changes
    signed = part(header) + b"." + part(claims)
    made = jwt.algorithms.get_default_algorithms()["ES256"].sign(signed, private_key("ES256", key))
    return signed + b"." + base64.urlsafe_b64encode(made).rstrip(b"=")


def ask(client: Client5, method: str, data: bytes | None, client_id: str = "dev-1", **options: Any) -> Any:
    """CONNECT by a method, and what comes first."""
    properties: dict[Property, Any] = {NAME: method} | ({} if data is None else {DATA: data})
    client.say(
        v5.Connect(client_id=client_id, properties=properties | options.pop("properties", {}), **options)
    )
    return client.receive()


def auth(method: str, code: int, data: bytes = b"") -> v5.Auth:
    return v5.Auth(reason_code=code, properties={NAME: method} | ({DATA: data} if data else {}))


def finish(client: Client5, answer: Any, method: str, data: bytes, client_id: str = "dev-1") -> Any:
    """Answer the challenge, where there is one."""
    if method != "OAUTH2-POP":
        return answer
    assert isinstance(answer, v5.Auth)
    assert answer.reason_code == 0x18
    assert answer.properties[NAME] == method
    client.say(auth(method, 0x18, proof(answer.properties[DATA], data, client_id)))
    return client.receive()


def inside(place: Site, method: str = "OAUTH2-JWT", client_id: str = "dev-1", **options: Any) -> Client5:
    """A client that came in by a method."""
    client, data = client5(place), first(place, method, client_id)
    answer = finish(client, ask(client, method, data, client_id, **options), method, data, client_id)
    assert isinstance(answer, v5.Connack)
    assert answer.reason_code == 0
    assert answer.properties[NAME] == method  # [MQTT-4.12.0-5]
    return client


def again(client: Client5, place: Site, method: str = "OAUTH2-JWT", **options: Any) -> Any:
    """Re-authenticate with a fresh token, and what comes of it."""
    data = first(place, method, **options)
    client.say(auth(method, 0x19, data))
    return finish(client, client.receive(), method, data)


def ended(client: Client5, code: int) -> None:
    """The broker says why, and closes."""
    last = client.receive()
    assert isinstance(last, v5.Disconnect), last
    assert last.reason_code == code
    assert client.receive() is None


# In, and not in.


@pytest.mark.conformance("RS-53")
@pytest.mark.parametrize("method", METHODS)
def test_a_token_by_each_method(place: Site, method: str) -> None:
    with inside(place, method) as client:
        assert client.tell("devices/dev-1/up") == 0
        (live,) = place.broker.connections
        assert live.carrier == "enhanced"
        assert client.tell("devices/dev-2/up") == 0x87


@pytest.mark.parametrize("method", METHODS)
def test_another_devices_token(place: Site, method: str) -> None:
    with client5(place) as client:
        data = first(place, method, "dev-2")
        answer = finish(client, ask(client, method, data), method, data)
        if method == "OAUTHBEARER":
            assert json.loads(answer.properties[DATA]) == {"status": "invalid_token"}
            client.say(auth(method, 0x18, b"\x01"))
            answer = client.receive()
        assert isinstance(answer, v5.Connack)
        assert answer.reason_code == 0x87
        assert client.receive() is None
    assert not place.broker.connections


@pytest.mark.conformance("RS-64")
def test_an_unknown_method(place: Site) -> None:
    with client5(place) as client:
        assert ask(client, "SCRAM-SHA-1", b"n,,n=user").reason_code == 0x8C
        assert client.receive() is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe", "tökén".encode(), b"a b", b"\x00" * 5000])
def test_data_that_is_no_token(place: Site, method: str, data: bytes | None) -> None:
    with client5(place) as client:
        answer = ask(client, method, data)
        while isinstance(answer, v5.Auth):
            client.say(auth(method, 0x18, b"\x01"))
            answer = client.receive()
        assert isinstance(answer, v5.Connack)
        assert answer.reason_code == 0x87
        assert client.receive() is None


@pytest.mark.conformance("RS-72")
@pytest.mark.parametrize("field", ["password", "username"])
def test_a_second_token_in_a_field(place: Site, field: str) -> None:
    token = place.token()
    with client5(place) as client:
        fields: dict[str, Any] = {"username": token} if field == "username" else {"password": token.encode()}
        assert ask(client, "OAUTH2-JWT", token.encode(), **fields).reason_code == 0x86


@pytest.mark.conformance("RS-53")
@pytest.mark.parametrize(
    ("before", "after", "good"),
    [
        ("n,,\x01auth=Bearer ", "\x01\x01", True),
        ("y,a=dev-1,\x01host=broker\x01port=8883\x01auth=bearer ", "\x01\x01", True),
        ("n,,\x01unknown=\x01auth=BEARER  ", "\x01\x01", True),
        ("n,a=dev-2,\x01auth=Bearer ", "\x01\x01", False),
        ("n,a=de=XXv,\x01auth=Bearer ", "\x01\x01", False),
        ("p=tls-unique,,\x01auth=Bearer ", "\x01\x01", False),
        ("n,,\x01auth=Basic ", "\x01\x01", False),
        ("n,,\x01auth=Bearer ", "\x01", False),
        ("n,,\x01auth=Bearer ", "\x01\x01\x01", False),
        ("n,,auth=Bearer ", "\x01\x01", False),
        ("n,,\x01auth=Bearer x\x01auth=Bearer ", "\x01\x01", False),
        ("auth=Bearer ", "", False),
        ("\x01", "", False),
    ],
)
def test_the_message_of_rfc_7628(place: Site, before: str, after: str, good: bool) -> None:
    token = place.token() if "x\x01auth" not in before else "y"
    with client5(place) as client:
        answer = ask(client, "OAUTHBEARER", f"{before}{token}{after}".encode())
        if not good:
            assert isinstance(answer, v5.Auth)
            client.say(auth("OAUTHBEARER", 0x18, b"\x01"))
            answer = client.receive()
        assert isinstance(answer, v5.Connack)
        assert answer.reason_code == (0 if good else 0x87)


def test_a_missing_scope_has_its_own_word(place: Site) -> None:
    with client5(place) as client:
        answer = ask(client, "OAUTHBEARER", message(place.token(scope="mqtt.publish:a")))
        assert json.loads(answer.properties[DATA]) == {"status": "insufficient_scope"}
        client.say(auth("OAUTHBEARER", 0x18, b"\x01"))
        assert client.receive().reason_code == 0x87


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"client_id": "dev-2"},
        {"ath": "another"},
        {"key": "another key"},
        {"header": {"typ": "JWT"}},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
        {"header": {"alg": "EdDSA"}},
        {"header": {"crit": ["exp"]}},
        {"header": {"jwk": None}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"header": {"jwk": public_jwk("ES256", "another key")}},
    ],
    ids=str,
)
def test_a_proof_that_proves_nothing(place: Site, wrong: dict[str, Any]) -> None:
    with client5(place) as client:
        token = bound(place).encode()
        challenge = ask(client, "OAUTH2-POP", token)
        client.say(auth("OAUTH2-POP", 0x18, proof(challenge.properties[DATA], token, **dict(wrong))))
        assert client.receive().reason_code == 0x87
        assert client.receive() is None


def test_a_bound_token_without_a_proof(place: Site) -> None:
    with client5(place) as client:
        assert ask(client, "OAUTH2-JWT", bound(place).encode()).reason_code == 0x87
    with client5(place) as client:
        assert client.enter("dev-1", bound(place)).reason_code == 0x86


def test_every_nonce_is_another(place: Site) -> None:
    nonces = set()
    for _ in range(3):
        with client5(place) as client:
            nonces.add(ask(client, "OAUTH2-POP", b"x").properties[DATA])
    assert len(nonces) == 3
    assert all(len(nonce) == 43 for nonce in nonces)


# What may come when.


def test_auth_before_connect(place: Site) -> None:
    with client5(place) as client:
        client.say(auth("OAUTH2-JWT", 0x18, b"x"))
        assert client.receive() is None


@pytest.mark.parametrize(
    "packet",
    [
        auth("OAUTH2-JWT", 0x18, b"x"),
        auth("OAUTH2-POP", 0x19, b"x"),
        auth("OAUTH2-POP", 0x00),
        v5.Pingreq(),
        v5.Publish(topic="devices/dev-1/up"),
        v5.Connect(client_id="dev-1"),
        b"\xf0\x00",
        b"\xf0\x02\x18\x00",
        b"\xf0\x02\x99\x00",
        b"\xf0\x08\x18\x06\x15\x00\x01a\x15\x00",
    ],
    ids=lambda packet: packet.hex() if isinstance(packet, bytes) else type(packet).__name__,
)
def test_what_is_no_answer_to_a_challenge(place: Site, packet: Any) -> None:
    with client5(place) as client:
        ask(client, "OAUTH2-POP", bound(place).encode())
        client.say(packet)
        answer = client.receive()
        assert isinstance(answer, v5.Connack)
        assert answer.reason_code in (0x81, 0x82)
        assert client.receive() is None


def test_leaving_in_the_middle(place: Site) -> None:
    with client5(place) as client:
        ask(client, "OAUTH2-POP", b"x")
        client.say(v5.Disconnect())
        assert client.receive() is None


@pytest.mark.conformance("RS-64")
@pytest.mark.parametrize("code", [0x00, 0x18, 0x19])
def test_auth_where_connect_named_no_method(place: Site, code: int) -> None:
    with enter(place) as client:
        client.say(auth("OAUTH2-JWT", code, place.token().encode()))
        ended(client, 0x82)


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (auth("OAUTH2-JWT", 0x18, b"x"), 0x82),
        (auth("OAUTH2-JWT", 0x00), 0x82),
        (auth("OAUTHBEARER", 0x19, b"x"), 0x82),
        (b"\xf0\x00", 0x82),
        (b"\xf0\x02\x19\x00", 0x82),
        (b"\xf0\x02\x42\x00", 0x81),
        (b"\xf1\x00", 0x81),
    ],
)
def test_what_is_no_reauthentication(place: Site, packet: Any, code: int) -> None:
    with inside(place) as client:
        client.say(packet)
        last = client.receive()
        assert isinstance(last, v5.Disconnect)
        assert last.reason_code in (code, 0x81, 0x82)
        assert client.receive() is None


# Re-authentication.


@pytest.mark.conformance("RS-49", "RS-65")
@pytest.mark.parametrize("method", METHODS)
def test_a_new_token_for_the_same_connection(place: Site, method: str) -> None:
    with inside(place, method) as client:
        (before,) = place.broker.connections
        place.clock.advance(seconds=200)
        answer = again(client, place, method)
        assert answer == auth(method, 0x00)
        (after,) = place.broker.connections
        assert after.jti != before.jti
        assert after.expires_at == before.expires_at + 200
        place.clock.advance(seconds=200)  # past the end of the first
        assert client.tell("devices/dev-1/up") == 0
        place.clock.advance(seconds=100)  # and of the second
        ended(client, 0x87)


@pytest.mark.conformance("RS-65")
def test_a_reauthentication_that_fails_ends_the_connection(place: Site) -> None:
    with inside(place) as client:
        assert again(client, place, client_id="dev-2").reason_code == 0x87
        assert client.receive() is None
    with inside(place) as client:
        old = place.token()
        place.clock.advance(seconds=290)
        assert again(client, place).reason_code == 0
        place.clock.advance(seconds=20)
        client.say(auth("OAUTH2-JWT", 0x19, old.encode()))
        ended(client, 0x87)
    with inside(place, "OAUTHBEARER") as client:
        client.say(auth("OAUTHBEARER", 0x19, message("no.such.token")))
        ended(client, 0x87)  # at once, without JSON


def test_a_narrower_scope_holds_at_once(place: Site) -> None:
    with inside(place) as client, inside(place, client_id="dev-2") as other:
        wide = "mqtt.connect mqtt.subscribe:devices/dev-1/# mqtt.publish:devices/dev-1/#"
        assert again(client, place, scope=wide).reason_code == 0
        assert client.ask("devices/dev-1/#") == (2,)
        assert again(client, place, scope="mqtt.connect").reason_code == 0
        assert client.tell("devices/dev-1/up") == 0x87
        assert client.ask("devices/dev-1/a") == (0x87,)
        wider = "mqtt.connect mqtt.publish:devices/dev-1/#"
        assert again(other, place, client_id="dev-2", scope=wider).reason_code == 0
        assert other.tell("devices/dev-1/down") == 0
        assert client.silent()  # its subscription is there, and its right is not
        assert again(client, place, scope=wide).reason_code == 0
        assert other.tell("devices/dev-1/down", qos=0) == 0
        assert client.receive().topic == "devices/dev-1/down"


def test_in_the_middle_of_qos_2(place: Site) -> None:
    with inside(place) as client:
        client.say(v5.Publish(topic="devices/dev-1/up", qos=2, packet_id=7))
        assert client.receive() == v5.Pubrec(packet_id=7)
        assert again(client, place).reason_code == 0
        client.say(v5.Pubrel(packet_id=7))
        assert client.receive() == v5.Pubcomp(packet_id=7)


def test_revocation_follows_the_token(place: Site) -> None:
    with inside(place) as client:
        (before,) = place.broker.connections
        again(client, place)
        (after,) = place.broker.connections
        place.broker.revoked(before.jti, "dev-1")
        assert client.tell("devices/dev-1/up") == 0
        place.broker.revoked(after.jti, "dev-1")
        ended(client, 0x87)


def test_two_at_a_time(place: Site) -> None:
    with inside(place, "OAUTH2-POP") as client:
        client.say(auth("OAUTH2-POP", 0x19, bound(place).encode()))
        assert client.receive().reason_code == 0x18
        assert client.tell("devices/dev-1/up") == 0  # other traffic flows
        client.say(auth("OAUTH2-POP", 0x19, bound(place).encode()))
        ended(client, 0x82)


def test_at_the_moment_of_expiry(place: Site) -> None:
    with inside(place, "OAUTH2-POP") as client:
        token = bound(place).encode()
        client.say(auth("OAUTH2-POP", 0x19, token))
        nonce = client.receive().properties[DATA]
        place.clock.advance(seconds=300)  # under way when the old one ends: fail closed
        client.say(auth("OAUTH2-POP", 0x18, proof(nonce, token)))
        ended(client, 0x87)
    assert not place.broker.connections


_packets = st.one_of(
    st.builds(
        auth,
        st.sampled_from([*METHODS, "", "x"]),
        st.sampled_from([0x00, 0x18, 0x19]),
        st.binary(max_size=40),
    ).map(v5.encode),
    st.binary(max_size=20).map(lambda body: bytes((0xF0, len(body))) + body),
    st.sampled_from([v5.encode(v5.Pingreq()), v5.encode(v5.Publish(topic="devices/dev-1/x"))]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), admitted=st.booleans(), packets=st.lists(_packets, max_size=5))
def test_no_sequence_hangs(place: Site, method: str, admitted: bool, packets: list[bytes]) -> None:
    client = inside(place, method) if admitted else client5(place)
    with client:
        if not admitted:
            ask(client, method, b"x") if method != "OAUTH2-JWT" else None
        client.say(*packets, v5.Disconnect())
        while (packet := client.receive()) is not None:
            assert isinstance(packet, v5.Auth | v5.Connack | v5.Disconnect | v5.Pingresp)
