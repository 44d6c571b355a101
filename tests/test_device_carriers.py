"""The device in MQTT 5, with every carrier, over every listener; and re-authentication in time."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support_tokens import private_key, public_jwk

from labkit import Lab
from labkit.broker import Limits
from labkit.device import Device, Token
from labkit.errors import ConnectionFailed

KEY = private_key("ES256", "device key")
TOPIC = "devices/lamp-1/x"


@pytest.fixture(scope="module")
def secure() -> Iterator[Lab]:
    with Lab(tls=True) as lab:
        lab.register("lamp-1")
        lab.register("bound-1", certificate_bound=True)
        lab.register("proof-1", proof_key=public_jwk("ES256", "device key"))
        yield lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as running:
        running.register("lamp-1", lifetime=300)
        running.register("lamp-2")
        yield running


def echoed(device: Device, topic: str) -> None:
    """A message comes back at each QoS."""
    device.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        device.publish(topic, b"%d" % qos, qos=qos)
        assert device.receive().payload == b"%d" % qos


WAYS: list[dict[str, Any]] = [
    {"carrier": "password"},
    {"carrier": "username"},
    {"carrier": "password", "transport": "websockets"},
    {"carrier": "username", "transport": "websockets"},
    {"carrier": "header", "transport": "websockets"},
]
ENHANCED: list[dict[str, Any]] = [
    {"carrier": "enhanced", "method": method, "transport": transport}
    for method in ("OAUTH2-JWT", "OAUTHBEARER")
    for transport in ("tcp", "websockets")
]
ALL = [{"version": version, **way} for version in (4, 5) for way in WAYS]
ALL += [{"version": 5, **way} for way in ENHANCED]


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("way", ALL, ids=lambda way: "-".join(map(str, way.values())))
def test_every_way_leads_in_and_gets_another_token(secure: Lab, way: dict[str, Any], tls: bool) -> None:
    mark = secure.record.mark()
    with secure.device("lamp-1", tls=tls, **way) as device:
        assert secure.broker.connections[0].carrier == way["carrier"]
        echoed(device, TOPIC)
        before = secure.broker.connections[0].jti
        device.refresh()
        assert secure.broker.connections[0].jti != before
        echoed(device, TOPIC)
    connects = len(secure.record.events("connect.accepted", since=mark))
    assert connects == (1 if way["carrier"] == "enhanced" else 2)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_a_bound_token_with_its_certificate(secure: Lab, version: int, transport: str) -> None:
    with secure.device("bound-1", version=version, transport=transport) as device:
        echoed(device, "devices/bound-1/x")
        device.refresh()
    token = secure.token("bound-1")
    with pytest.raises(ConnectionFailed, match="does not believe the token"):
        secure.device(
            "bound-1", version=version, transport=transport, certificate=None, tokens=_Given(token)
        ).connect()


class _Given:
    """A source of one token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> Token:
        return Token(access_token=self._token)

    fetch = current

    def discard(self) -> None:
        """There is no other."""


def test_a_bound_key_with_its_proof(secure: Lab) -> None:
    more: dict[str, Any] = {"version": 5, "carrier": "enhanced", "method": "OAUTH2-POP"}
    with secure.device("proof-1", proof_key=KEY, **more) as device:
        before = secure.broker.connections[0].jti
        device.refresh()
        assert secure.broker.connections[0].jti != before
    with pytest.raises(ConnectionFailed, match="0x87"):
        secure.device("proof-1", proof_key=private_key("ES256", "another"), **more).connect()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"version": 3}, "version is 4"),
        ({"transport": "udp"}, "transport is"),
        ({"carrier": "pigeon"}, "carrier is"),
        ({"carrier": "header"}, "needs transport='websockets'"),
        ({"carrier": "enhanced"}, "needs version=5"),
        ({"carrier": "enhanced", "version": 5, "method": "GS2-KRB5"}, "method is one of"),
        ({"carrier": "enhanced", "version": 5, "method": "OAUTH2-POP"}, "private key of P-256"),
    ],
)
def test_options_that_do_not_fit_get_a_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Device("lamp-1", "s", token_endpoint="http://127.0.0.1:1/token", host="127.0.0.1", port=1, **options)


def enhanced(lab: Lab, **options: Any) -> Device:
    return lab.device("lamp-1", version=5, carrier="enhanced", **options)


def test_a_new_token_in_time_and_no_new_connection(lab: Lab) -> None:
    with enhanced(lab) as device:
        for _ in range(3):
            mark = lab.record.mark()
            lab.clock.advance(seconds=280)
            lab.record.wait("reauthenticated", client_id="lamp-1", since=mark)
            lab.record.wait("reauth.accepted", client_id="lamp-1", since=mark)
        lab.clock.advance(seconds=20)
        assert device.connected
        assert len(lab.record.events("connect.accepted")) == 1
        assert not lab.record.events("token.expired")


def test_a_refused_token_is_followed_by_a_new_connection(lab: Lab) -> None:
    with enhanced(lab) as device:
        good, fetch = lab.token("lamp-2"), device.tokens.fetch
        tokens = iter([_Given(good).current()])
        device.tokens.fetch = lambda: next(tokens, None) or fetch()  # type: ignore[method-assign]
        device.refresh()
        assert lab.record.events("reauth.refused")
        assert lab.record.events("reauth.failed")
        assert lab.record.wait("disconnected", source="device", client_id="lamp-1")["reason_code"] == 0x87
        assert device.connected
        echoed(device, TOPIC)
        assert len(lab.record.events("connect.accepted")) == 2


def test_traffic_during_the_swap(lab: Lab) -> None:
    """Nothing is lost, nothing comes twice, and the order stays."""
    lab.register("reader", subscribe=["devices/#"])
    with lab.device("reader", version=5) as reader, enhanced(lab) as device:
        reader.subscribe("devices/#", qos=1)
        done = threading.Event()

        def swap() -> None:
            while not done.is_set():
                device.refresh()

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for n in range(200):
                device.publish(TOPIC, str(n), qos=1 + n % 2)
        finally:
            done.set()
            thread.join()
        assert [int(reader.receive().payload) for _ in range(200)] == list(range(200))
        assert len(lab.record.events("connect.accepted", client_id="lamp-1")) == 1


def test_rights_follow_the_token(lab: Lab) -> None:
    lab.register("lamp-1", publish=["a", "b"])
    narrow = {"grant_type": "client_credentials", "scope": "mqtt.connect mqtt.publish:a"}
    with enhanced(lab) as device:
        whole, device.tokens.grant = device.tokens.grant, narrow
        device.publish("b", "1")
        device.refresh()
        for qos in (1, 2):
            with pytest.raises(PermissionError, match="0x87"):
                device.publish("b", "1", qos=qos)
        assert len(lab.record.events("publish.refused", source="device")) == 2
        device.tokens.grant = whole
        device.refresh()
        device.publish("b", "1")
        assert len(lab.record.events("connect.accepted")) == 1


def test_a_message_that_is_too_long() -> None:
    with Lab(limits=Limits(max_packet=4000)) as lab:
        lab.register("lamp-1")
        with enhanced(lab) as device:
            with pytest.raises(ValueError, match="the broker takes 4000"):
                device.publish(TOPIC, bytes(5000))
            device.publish(TOPIC, b"short")


@pytest.mark.parametrize("kind", ["disconnect", "revoke", "restart"])
def test_the_broker_says_why_it_closes(lab: Lab, kind: str) -> None:
    with enhanced(lab):
        match kind:
            case "disconnect":
                lab.broker.disconnect("lamp-1")
            case "revoke":
                lab.revoke("lamp-1")
            case "restart":
                lab.broker.restart()
        code = lab.record.wait("disconnected", source="device", client_id="lamp-1")["reason_code"]
        assert code == {"disconnect": 0x98, "revoke": 0x87, "restart": 0x8B}[kind]


def test_a_token_that_no_header_can_carry(lab: Lab) -> None:
    tokens: Any = _Given("a\r\nX: b")
    device = lab.device("lamp-1", carrier="header", transport="websockets", tokens=tokens)
    with pytest.raises(ConnectionFailed, match="no header can carry it"):
        device.connect()


def test_a_wrong_path_is_told(lab: Lab) -> None:
    device = lab.device("lamp-1", transport="websockets", websocket_path="/elsewhere")
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        device.connect()


def test_no_thread_is_left(lab: Lab) -> None:
    for way in ENHANCED:
        with lab.device("lamp-1", version=5, **way) as device:
            device.refresh()
    assert not [thread.name for thread in threading.enumerate() if thread.name.endswith("lamp-1")]
