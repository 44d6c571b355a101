"""CONNECT at the gate: what is answered, what is only closed, and what nothing of the broker hears about."""

from typing import Any

import paho.mqtt.client as paho
import pytest
from support_broker import Site, site
from test_wire_parse import MALFORMED

from labkit.errors import Undecided
from labkit.wire import Connack, Connect, Disconnect, Pingreq, Publish, Subscribe, Will, encode, frame, v5


def refusal(place: Site, *args: Any, **options: Any) -> tuple[int, str]:
    """Connect; the return code and the reason on record.  The connection must be closed after it."""
    mark = place.record.mark()
    with place.client() as client:
        connack = client.connect(*args, **options)
        assert client.ended()
    assert not connack.session_present  # [MQTT-3.2.2-4]
    event = place.record.wait("connect.refused", since=mark)
    assert event["return_code"] == connack.return_code
    assert place.broker.connections == []
    return connack.return_code, str(event["reason"])


# Carriers.


def test_a_token_is_taken_as_password(place: Site) -> None:
    place.connect("dev-1")
    assert place.record.wait("connect.accepted")["carrier"] == "password"


@pytest.mark.parametrize("password", [None, "", "x", "not-a-token"])
def test_a_token_is_taken_as_user_name(place: Site, password: str | None) -> None:
    token = place.token()
    assert place.client().connect("dev-1", password, username=token).return_code == 0
    assert place.record.wait("connect.accepted")["carrier"] == "username"


@pytest.mark.parametrize("label", ["dev-1", "", "any label", "sensor.floor1.lab", "ünï"])
def test_next_to_a_token_in_the_password_the_user_name_is_a_label(place: Site, label: str) -> None:
    client = place.client()
    client.send(Connect(client_id="dev-1", username=label, password=place.token().encode()))
    assert client.expect(Connack).return_code == 0


@pytest.mark.conformance("RS-72")
def test_two_tokens_are_refused_even_when_equal(place: Site) -> None:
    token = place.token()
    assert refusal(place, "dev-1", token, username=token) == (4, "ambiguous")
    assert refusal(place, "dev-1", place.token(), username=token) == (4, "ambiguous")
    assert refusal(place, "dev-1", "eyJbroken", username=token) == (4, "ambiguous")


def test_no_token_is_refused(place: Site) -> None:
    assert refusal(place, "dev-1", None, username=None) == (4, "no-token")
    with place.client() as client:
        client.send(Connect(client_id="dev-1", username="", password=b""))
        assert client.expect(Connack).return_code == 4


def test_an_opaque_token_reaches_the_validator_from_either_field() -> None:
    seen: list[str] = []

    class Opaque:
        def ready_for(self, token: str) -> bool:
            return True

        def validate(self, token: str, client_id: str | None = None) -> Any:
            seen.append(token)
            raise Undecided("unreachable")

    with site(validator=Opaque()) as place:
        refusal(place, "dev-1", "opaque-1", username="dev-1")
        refusal(place, "dev-1", None, username="opaque-2")
    assert seen == ["opaque-1", "opaque-2"]


@pytest.mark.parametrize("password", [b"\xff\xfe", "tökén".encode(), b"\0"])
def test_a_password_that_is_no_text_is_a_bad_token(place: Site, password: bytes) -> None:
    assert refusal(place, "dev-1", password)[0] == 4


# Verdicts.


@pytest.mark.conformance("RS-37")
def test_bad_tokens_get_code_4_and_good_ones_without_the_right_code_5(place: Site) -> None:
    assert refusal(place, "dev-1", place.issuer.tampered("dev-1")) == (4, "forged")
    assert refusal(place, "dev-1", place.token(lifetime=-1)) == (4, "expired")
    assert refusal(place, "dev-1", place.token(aud="https://elsewhere.test"))[0] == 4
    assert refusal(place, "dev-1", place.token(connect=False))[0] == 5


@pytest.mark.conformance("RS-40")
def test_the_client_identifier_is_that_of_the_token_code_point_by_code_point(place: Site) -> None:
    for other in ("dev-2", "Dev-1", "dev-1 ", "dev-1\u200b", "ｄev-1"):
        assert refusal(place, other, place.token("dev-1"))[0] == 5
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert refusal(place, decomposed, place.token(composed, publish=(), subscribe=()))[0] == 5
    assert place.connect(composed, publish=(), subscribe=()).connack.return_code == 0


@pytest.mark.conformance("RS-40", "RS-56")
@pytest.mark.parametrize("clean", [False, True])
def test_an_empty_client_identifier_is_refused(place: Site, clean: bool) -> None:
    assert refusal(place, "", place.token(), clean=clean, username="x") == (2, "client-id-empty")


@pytest.mark.conformance("RS-46")
@pytest.mark.parametrize("client_id", ["#", "+", "a/b", "a+b", "dev#1", "dev\n1", "dev\x7f", "dev\x85"])
def test_a_client_identifier_that_could_not_be_part_of_a_filter_is_refused(
    place: Site, client_id: str
) -> None:
    assert refusal(place, client_id, place.token(client_id), username="x") == (2, "client-id-characters")


@pytest.mark.parametrize(("name", "level"), [("MQTT", 3), ("MQTT", 0), ("MQIsdp", 3)])
def test_an_older_version_is_answered_with_code_1(place: Site, name: str, level: int) -> None:
    with place.client() as client:
        client.send(Connect(client_id="c", protocol_name=name, protocol_level=level))
        assert client.expect(Connack) == Connack(return_code=1)
        assert client.ended()


@pytest.mark.parametrize("level", [6, 0x84, 0xFF])
def test_a_newer_version_is_answered_in_mqtt_5(place: Site, level: int) -> None:
    """Spec: MQTT 5 §3.1.2.2."""
    with place.client() as client:
        client.send(Connect(client_id="c", protocol_level=level))
        assert client.expect(v5.Connack).reason_code == 0x84
        assert client.ended()


def test_paho_speaking_mqtt_5_is_let_in(place: Site) -> None:
    codes: list[str] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "dev-1", protocol=paho.MQTTv5)
    client.on_connect = lambda *args: codes.append(str(args[3]))
    client.username_pw_set("dev-1", place.token())
    client.connect("127.0.0.1", place.broker.mqtt.port)
    while not codes:
        client.loop(0.1)
    assert codes == ["Success"]
    client.disconnect()


def test_a_validator_that_breaks_keeps_the_door_shut(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def ready_for(self, token: str) -> bool:
            raise KeyError(token)

        def validate(self, token: str, client_id: str | None = None) -> Any:
            raise ZeroDivisionError(token)

    with site(validator=Broken()) as place:
        assert refusal(place, "dev-1", place.token()) == (3, "validator-failed")
    assert not caplog.records


# Malformed, and out of order.


@pytest.mark.conformance("RS-55", "RS-63")
@pytest.mark.parametrize(
    "data", [data for rule, data in MALFORMED.items() if data[:1] == b"\x10" and "§2.2.3" not in rule]
)
def test_a_malformed_connect_is_closed_without_a_word(place: Site, data: bytes) -> None:
    with place.client() as client:
        client.send(data)
        assert client.ended()
    assert place.record.wait("protocol.error")["reason"]


@pytest.mark.conformance("RS-54")
@pytest.mark.parametrize(
    "packet",
    [Pingreq(), Disconnect(), Publish(topic="a"), Subscribe(packet_id=1, filters=(("a", 0),)), b"\xf0\0"],
)
def test_the_first_packet_is_connect(place: Site, packet: Any) -> None:
    with place.client() as client:
        client.send(packet)
        assert client.ended()
    assert "first packet" in str(place.record.wait("protocol.error")["reason"])


@pytest.mark.conformance("RS-54")
def test_a_second_connect_closes(place: Site) -> None:
    client = place.connect("dev-1")
    client.send(Connect(client_id="dev-1", username="dev-1", password=place.token().encode()))
    assert client.ended()
    place.record.wait("connection.closed", reason="protocol-error")


@pytest.mark.conformance("RS-58")
def test_nothing_behind_a_refused_connect_is_processed(place: Site) -> None:
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#")
    with place.client() as client:
        client.send(
            Connect(client_id="dev-1", username="dev-1", password=place.issuer.tampered("dev-1").encode()),
            Publish(topic="devices/dev-1/x", payload=b"smuggled", retain=True),
            Connect(client_id="dev-1", username="dev-1", password=place.token().encode()),
        )
        assert client.expect(Connack).return_code == 4
        assert client.ended()
    assert watcher.silent()
    assert watcher.subscribe("devices/+/x") == (1,)
    assert watcher.silent()  # and nothing is retained
    assert not place.record.events("connect.accepted", client_id="dev-1")


def test_packets_behind_an_accepted_connect_are_processed(place: Site) -> None:
    with place.client() as client:
        client.send(
            Connect(client_id="dev-1", username="dev-1", password=place.token().encode()),
            Pingreq(),
        )
        assert client.expect(Connack).return_code == 0
        assert encode(client.receive()) == b"\xd0\0"  # type: ignore[arg-type]


def test_a_connect_may_come_byte_by_byte(place: Site) -> None:
    data = encode(Connect(client_id="dev-1", username="dev-1", password=place.token().encode()))
    client = place.client()
    for start in range(0, len(data), 40):
        client.send(data[start : start + 40])
    assert client.expect(Connack).return_code == 0


def test_an_auth_packet_before_and_after_connect_closes(place: Site) -> None:
    for client in (place.client(), place.connect("dev-1")):
        client.send(frame(0xF0, b""))
        assert client.ended()


# Nothing is touched before the verdict.


@pytest.mark.conformance("RS-41", "RS-57")
@pytest.mark.parametrize("clean", [False, True])
def test_a_bad_token_touches_nothing_of_the_client_it_names(place: Site, clean: bool) -> None:
    """Measured on amqtt alone: the session is deleted or the client is kicked, and its will is replaced."""
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#")
    victim = place.connect(
        "dev-1", clean=False, will=Will(topic="devices/dev-1/will", payload=b"mine"), subscribe=("cmd/#",)
    )
    victim.subscribe("cmd/#")
    poison = Will(topic="devices/dev-1/door", payload=b"open", retain=True)
    for token in (place.issuer.tampered("dev-1"), place.token("mallory"), "junk"):
        assert place.client().connect("dev-1", token, clean=clean, will=poison).return_code in (4, 5)
    assert victim.silent()  # still connected
    place.connect("boss", publish=("cmd/#",)).publish("cmd/1", b"hello", qos=1)
    assert victim.expect(Publish).payload == b"hello"  # still subscribed
    assert watcher.silent()  # no will was published
    victim.cut()
    assert watcher.expect(Publish).payload == b"mine"  # its own will is in place
    assert watcher.silent()
    again = place.connect("dev-1", clean=False)
    assert again.connack.session_present  # and the session


def test_refused_clients_leave_no_session(place: Site) -> None:
    for number in range(20):
        refusal(place, f"random-{number}", place.token("dev-1"))
    assert place.broker._inner is not None
    assert place.broker._inner._sessions == {}


# Will.


@pytest.mark.conformance("RS-45")
@pytest.mark.parametrize(
    "topic", ["devices/dev-2/x", "cmd/door", "devices/dev-1/#", "devices/+/x", "$SYS/x", "", "#"]
)
def test_a_will_outside_the_rights_is_refused_with_code_5(place: Site, topic: str) -> None:
    token = place.token("dev-1", publish=("devices/dev-1/#", "$SYS/#"))
    will = Will(topic=topic, payload=b"x", retain=True)
    assert refusal(place, "dev-1", token, will=will) == (5, "will-topic")


# The record.


@pytest.mark.conformance("RS-35")
def test_the_record_never_holds_a_token(place: Site) -> None:
    token = place.token()
    refusal(place, token, token)  # as client identifier, too
    refusal(place, "dev-2", token)
    place.connect("dev-1", token=token)
    assert token[:40] not in str(place.record)
    assert place.record.wait("connect.accepted", client_id="dev-1", jti="jti-1")["expires_in"] == 300


def test_a_hostile_client_identifier_is_escaped_and_cut_in_the_record(place: Site) -> None:
    refusal(place, "\x1b[31m" + "x" * 60_000, place.token(), username="x")
    shown = str(place.record.wait("connect.refused")["client_id"])
    assert shown.isprintable()
    assert len(shown) < 200
