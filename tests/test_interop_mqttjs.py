"""MQTT.js, unchanged, in Node.js: both versions, and every method of enhanced authentication."""

import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support_broker import Site
from support_interop import interop_lab
from support_mqttjs import Node, node
from support_tokens import private_key, public_jwk, tampered

from labkit import Lab
from labkit.tokens.thumbprint import thumbprint

KEY = "device key"
PEM = private_key("ES256", KEY).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def js() -> Iterator[Node]:
    with node() as running:
        yield running


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with interop_lab() as running:
        yield running


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def url(running: Lab | Site) -> str:
    where = running.mqtt if isinstance(running, Lab) else running.broker.mqtt
    return f"mqtt://{where.host}:{where.port}"


def first(place: Site, method: str, owner: str = "thing", **rights: tuple[str, ...]) -> str:
    """The first data of a method, with a token of ``owner``."""
    match method:
        case "OAUTHBEARER":
            return f"n,,\x01auth=Bearer {place.token(owner, **rights)}\x01\x01"
        case "OAUTH2-POP":
            return place.token(owner, cnf={"jkt": thumbprint(public_jwk("ES256", KEY))}, **rights)
        case _:
            return place.token(owner, **rights)


@pytest.mark.parametrize("carrier", ["password", "username"])
def test_a_message_comes_back(js: Node, lab: Lab, version: int, carrier: str) -> None:
    fields = {"username": "thing"} | {carrier: lab.token("thing")}
    mark = lab.record.mark()
    with js.client(url(lab), "thing", version=version, **fields) as client:
        assert "error" not in client.entered
        assert lab.record.wait("connect.accepted", client_id="thing", since=mark)["carrier"] == carrier
        for qos in (0, 1, 2):
            topic = f"devices/thing/echo/{qos}"
            assert client.subscribe(topic, qos)["granted"][0]["qos"] == qos
            more = {"properties": {"contentType": "text/plain"}} if version == 5 else {}
            assert client.publish(topic, "21.5 °C", qos=qos, **more) == {}
            assert client.receive() == {
                "topic": topic,
                "payload": "21.5 °C",
                "qos": qos,
                "retain": False,
                "type": "text/plain" if version == 5 else None,
            }


@pytest.mark.parametrize("kind", ["another device's", "tampered", "none"])
def test_a_refusal_is_told(js: Node, lab: Lab, version: int, kind: str) -> None:
    password = {"another device's": lab.token("other"), "tampered": tampered(lab.token("thing")), "none": ""}
    with js.client(url(lab), "thing", version=version, username="thing", password=password[kind]) as client:
        code = 5 if kind == "another device's" else 4
        assert client.entered["code"] == (code if version == 4 else code + 0x82)


def test_a_subscription_that_the_token_does_not_allow(js: Node, lab: Lab, version: int) -> None:
    with js.client(url(lab), "thing", version=version, username="x", password=lab.token("thing")) as client:
        assert client.subscribe("devices/other/x")["code"] == (0x80 if version == 4 else 0x87)


def test_a_publish_that_the_token_does_not_allow(js: Node, lab: Lab, version: int) -> None:
    with js.client(url(lab), "thing", version=version, username="x", password=lab.token("thing")) as client:
        answer = client.publish("devices/other/x")
        assert answer == {} if version == 4 else answer["code"] == 0x87


def test_the_end_of_a_token_is_told(js: Node, place: Site, version: int) -> None:
    with js.client(
        url(place), "thing", version=version, username="x", password=place.token("thing")
    ) as client:
        place.clock.advance(seconds=300)
        expected = (
            {"error": "closed", "code": None} if version == 4 else {"error": "disconnected", "code": 0x87}
        )
        assert client.ended() == expected


@pytest.mark.parametrize("method", ["OAUTH2-JWT", "OAUTHBEARER", "OAUTH2-POP"])
def test_a_token_by_each_method(js: Node, place: Site, method: str) -> None:
    key = {"key": PEM} if method == "OAUTH2-POP" else {}
    with js.client(url(place), "thing", method=method, data=first(place, method), **key) as client:
        assert client.entered["method"] == method
        assert len(client.entered["challenges"]) == (method == "OAUTH2-POP")
        assert place.broker.connections[0].carrier == "enhanced"
        assert client.publish("devices/thing/up") == {}


@pytest.mark.parametrize("method", ["OAUTH2-JWT", "OAUTHBEARER", "OAUTH2-POP"])
def test_another_devices_token(js: Node, place: Site, method: str) -> None:
    key = {"key": PEM} if method == "OAUTH2-POP" else {}
    with js.client(url(place), "thing", method=method, data=first(place, method, "other"), **key) as client:
        assert client.entered["code"] == 0x87
        if method == "OAUTHBEARER":  # RFC 7628 §3.2.2
            assert json.loads(client.entered["challenges"][0]) == {"status": "invalid_token"}
    assert not place.broker.connections


def test_an_unknown_method(js: Node, place: Site) -> None:
    with js.client(url(place), "thing", method="SCRAM-SHA-256", data="x") as client:
        assert client.entered["code"] == 0x8C


def test_the_proof_of_another_key(js: Node, place: Site) -> None:
    data = place.token("thing", cnf={"jkt": thumbprint(public_jwk("ES256", "another key"))})
    with js.client(url(place), "thing", method="OAUTH2-POP", data=data, key=PEM) as client:
        assert client.entered["code"] == 0x87


@pytest.mark.parametrize("method", ["OAUTH2-JWT", "OAUTHBEARER", "OAUTH2-POP"])
def test_a_new_token_changes_the_rights_of_a_live_connection(js: Node, place: Site, method: str) -> None:
    key = {"key": PEM} if method == "OAUTH2-POP" else {}
    narrow, wide = (first(place, method, publish=topics) for topics in [(), ("devices/thing/up",)])
    with js.client(url(place), "thing", method=method, data=narrow, **key) as client:
        assert client.publish("devices/thing/up")["code"] == 0x87
        assert client.reauthenticate(wide) == {"code": 0}
        assert client.publish("devices/thing/up") == {}
        assert client.reauthenticate(first(place, method, publish=())) == {"code": 0}
        assert client.publish("devices/thing/up")["code"] == 0x87
        assert client.reauthenticate(first(place, method, "other")) == {"error": "disconnected", "code": 0x87}
