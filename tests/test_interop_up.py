"""Clients that nobody here wrote, against ``labkit up --tls --json``, started as anybody would start it.

All that they know is its line of JSON; their tokens come over https from the token endpoint that it names.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support_cli import ended, labkit_up
from support_interop import start
from support_mqttjs import Node, node
from support_paho import inside
from support_tokens import private_key, tampered

TCP = ("mqtt", "mqtts")
SCHEMES = (*TCP, "ws", "wss")
#: Every listener, and every way for a token to get there that these clients share.
WAYS = [(scheme, "password") for scheme in SCHEMES] + [("ws", "header"), ("wss", "header")]


class Outside:
    """What somebody knows who has read the line: where everything is, and the credentials of two devices."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.ca_file: str = facts["ca_file"]
        self.names: list[str] = [device["client_id"] for device in facts["devices"]]
        self.tokens: list[str] = []  # all that were ever fetched
        self._trust = ssl.create_default_context(cafile=self.ca_file)

    @property
    def name(self) -> str:
        """The first device."""
        return self.names[0]

    def url(self, scheme: str) -> str:
        place = self.facts[scheme]
        return str(place.get("url") or f"{scheme}://{place['host']}:{place['port']}")

    def topic(self, *levels: str) -> str:
        """A topic of the first device, below the filter that it may publish and subscribe to."""
        (topics,) = self.facts["devices"][0]["publish"]
        assert self.facts["devices"][0]["subscribe"] == [topics]
        return "/".join([str(topics).removesuffix("/#"), *levels])

    def token(self, number: int = 0, **parameters: str) -> str:
        """A token of a device, by client credentials; ``scope`` asks for less than it may have."""
        device = self.facts["devices"][number]
        answer = httpx.post(
            self.facts["token_endpoint"],
            auth=(device["client_id"], device["client_secret"]),
            data={"grant_type": "client_credentials"} | parameters,
            verify=self._trust,
            trust_env=False,
        )
        self.tokens.append(answer.raise_for_status().json()["access_token"])
        return self.tokens[-1]

    def mosquitto(
        self, program: str, scheme: str, version: str, token: str, *arguments: str
    ) -> tuple[int, str, str]:
        """Run one of Mosquitto's programs as the first device: exit status, output, errors."""
        place = self.facts[scheme]
        trust = ["--cafile", self.ca_file] if scheme == "mqtts" else []
        where = ["-h", place["host"], "-p", str(place["port"]), "-V", version, *trust]
        who = ["-i", self.name, "-u", self.name, "-P", token]
        with start(f"mosquitto_{program}", *where, *who, *arguments) as running:
            return running.end()

    def mqtt_js(self, scheme: str, carrier: str, token: str) -> dict[str, Any]:
        """MQTT.js's options for a connection."""
        options: dict[str, Any] = {}
        if scheme in ("mqtts", "wss"):
            options["ca"] = Path(self.ca_file).read_text(encoding="ascii")
        if carrier == "header":
            options["headers"] = {"Authorization": f"Bearer {token}"}
        login = {"username": self.name, "password": token} if carrier == "password" else {}
        return login | ({"wsOptions": options} if scheme.startswith("ws") else options)


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """``labkit up --tls --json`` in a process of its own, which ends as it should, and has told no token."""
    with labkit_up("--tls") as (facts, server):
        reader = Outside(facts)
        yield reader
        assert Path(reader.ca_file).exists()
        status, output, errors = ended(server)
    assert not any(token in output + errors for token in reader.tokens)
    assert (status, output, errors) == (0, "", "")
    assert not Path(reader.ca_file).exists()


@pytest.fixture(scope="module")
def js() -> Iterator[Node]:
    with node() as running:
        yield running


@pytest.fixture(params=["another device's", "tampered"])
def refused(request: pytest.FixtureRequest, outside: Outside) -> tuple[str, int]:
    """A token that does not open the door for the first device, and the return code of MQTT 3.1.1."""
    if request.param == "tampered":
        return tampered(outside.token()), 4
    return outside.token(1), 5


# Mosquitto.


@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("scheme", TCP)
def test_mosquitto_publishes_and_subscribes(outside: Outside, scheme: str, version: str) -> None:
    """The message is retained: a device has one connection, so one program comes after the other."""
    topic, token = outside.topic("kept", scheme, version), outside.token()
    published = outside.mosquitto(
        "pub", scheme, version, token, "-r", "-q", "1", "-t", topic, "-m", "21.5 °C"
    )
    assert published == (0, "", "")
    read = ["-q", "1", "-t", topic, "-C", "1", "-W", "10", "-F", "%t %q %r %p"]
    assert outside.mosquitto("sub", scheme, version, token, *read) == (0, f"{topic} 1 1 21.5 °C\n", "")


@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("scheme", TCP)
def test_mosquitto_receives_at_once(outside: Outside, scheme: str, version: str) -> None:
    topic = outside.topic("echo")
    message = ["-q", "2", "-t", topic, "-e", topic, "-m", "21.5 °C", "-W", "10", "-F", "%r %p"]
    assert outside.mosquitto("rr", scheme, version, outside.token(), *message) == (0, "0 21.5 °C\n", "")


@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("scheme", TCP)
@pytest.mark.parametrize("program", ["pub", "sub"])
def test_mosquitto_ends_with_the_code(
    outside: Outside, refused: tuple[str, int], program: str, scheme: str, version: str
) -> None:
    token, code = refused
    more = ["-m", "x"] if program == "pub" else ["-W", "10"]
    status, output, errors = outside.mosquitto(program, scheme, version, token, "-t", outside.topic(), *more)
    assert (status, output) == (code if version == "311" else code + 0x82, "")
    assert ("not authorised" if code == 5 else "bad user name or password") in errors.lower().replace(
        "z", "s"
    )


# Paho.


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])
@pytest.mark.parametrize(("scheme", "carrier"), WAYS)
def test_paho(outside: Outside, scheme: str, carrier: str, version: int) -> None:
    told = outside.url(scheme), outside.name, version, carrier
    topic = outside.topic("echo")
    with inside(*told, outside.token(), ca_certs=outside.ca_file) as client:
        assert client.answers.get(timeout=10) == 0
        client.paho.subscribe(topic, 2)
        assert client.answers.get(timeout=10) == 2
        for qos in (0, 1, 2):
            client.paho.publish(topic, b"%d" % qos, qos)
            assert client.messages.get(timeout=10) == b"%d" % qos
    with inside(*told, outside.token(1), ca_certs=outside.ca_file) as client:
        assert client.answers.get(timeout=10).getName() == "Not authorized"


# MQTT.js.


@pytest.mark.parametrize(("scheme", "carrier"), WAYS)
def test_mqtt_js(js: Node, outside: Outside, scheme: str, carrier: str) -> None:
    topic = outside.topic("echo")
    options = outside.mqtt_js(scheme, carrier, outside.token())
    with js.client(outside.url(scheme), outside.name, **options) as client:
        assert "error" not in client.entered, client.entered["error"]
        for qos in (0, 1, 2):
            assert client.subscribe(topic, qos)["granted"][0]["qos"] == qos
            assert client.publish(topic, "21.5 °C", qos=qos) == {}
            received = client.receive()
            assert (received["topic"], received["payload"], received["qos"]) == (topic, "21.5 °C", qos)


@pytest.mark.parametrize(("scheme", "carrier"), WAYS)
def test_mqtt_js_is_told_the_code(
    js: Node, outside: Outside, refused: tuple[str, int], scheme: str, carrier: str
) -> None:
    token, code = refused
    options = outside.mqtt_js(scheme, carrier, token)
    with js.client(outside.url(scheme), outside.name, **options) as client:
        assert client.entered["code"] == code + 0x82


METHODS = ("OAUTH2-JWT", "OAUTHBEARER", "OAUTH2-POP")


def enhanced(method: str) -> dict[str, str]:
    """What MQTT.js needs for a method.

    ``labkit up`` registers no device with a key.  OAUTH2-POP has its nonce and its proof here all the same,
    with a token that is bound to none; that it has to be the token's key is in ``test_interop_mqttjs``.
    """
    if method != "OAUTH2-POP":
        return {"method": method}
    key = private_key("ES256", "device key")
    return {
        "method": method,
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }


def first_data(method: str, token: str) -> str:
    """What a client says first (RFC 7628 §3.1)."""
    return f"n,,\x01auth=Bearer {token}\x01\x01" if method == "OAUTHBEARER" else token


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("method", METHODS)
def test_mqtt_js_authenticates_again(js: Node, outside: Outside, scheme: str, method: str) -> None:
    """A new token in an AUTH packet changes the rights of a living connection; another device's ends it."""
    narrow = first_data(method, outside.token(scope="mqtt.connect"))
    wide, strange = (first_data(method, outside.token(number)) for number in (0, 1))
    options = outside.mqtt_js(scheme, "enhanced", "") | enhanced(method)
    topic = outside.topic("up")
    with js.client(outside.url(scheme), outside.name, data=narrow, **options) as client:
        assert client.entered.get("method") == method, client.entered.get("error")
        assert len(client.entered["challenges"]) == (method == "OAUTH2-POP")
        assert client.publish(topic)["code"] == 0x87
        assert client.reauthenticate(wide) == {"code": 0}
        assert client.publish(topic) == {}
        assert client.reauthenticate(strange) == {"error": "disconnected", "code": 0x87}


@pytest.mark.parametrize("method", METHODS)
def test_mqtt_js_is_refused_by_each_method(js: Node, outside: Outside, method: str) -> None:
    options = outside.mqtt_js("mqtts", "enhanced", "") | enhanced(method)
    data = first_data(method, outside.token(1))
    with js.client(outside.url("mqtts"), outside.name, data=data, **options) as client:
        assert client.entered["code"] == 0x87
