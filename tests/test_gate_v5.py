"""MQTT 5 at the gate: CONNECT and its answers, last words, rights."""

from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support_broker import Site, site
from support_broker5 import Client5, client5, enter

from labkit import show
from labkit.broker import Limits
from labkit.broker.dialect5 import RECEIVE_MAXIMUM
from labkit.broker.reasons import GOODBYES, REASONS
from labkit.wire import v5
from labkit.wire.v5 import Property, Subscription, reason_name

P = Property


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as running:
        yield running


def test_connack_announces_what_the_broker_can_do(place: Site) -> None:
    """Spec: MQTT 5 §3.2.2.3; what is absent has its default."""
    with client5(place) as client:
        connack = client.enter("dev-1", place.token(), keep_alive=60)
        assert connack.reason_code == 0
        assert not connack.session_present
        assert connack.properties == {
            P.RECEIVE_MAXIMUM: RECEIVE_MAXIMUM,
            P.MAXIMUM_PACKET_SIZE: Limits().max_packet,
            P.SHARED_SUBSCRIPTION_AVAILABLE: 0,
        }


def test_every_code_of_ours_may_stand_where_it_is_sent() -> None:
    assert all(reason_name(2, reason.reason_code) for reason in REASONS.values())
    assert all(reason_name(14, code) for code in GOODBYES.values())


@pytest.mark.parametrize(
    ("client_id", "make", "code", "reason"),
    [
        ("dev-1", lambda place: place.issuer.tampered("dev-1"), 0x86, "forged"),
        ("dev-1", lambda place: place.token("dev-2"), 0x87, "wrong-client"),
        ("dev-1", lambda place: place.token(connect=False), 0x87, "missing-scope"),
        ("", lambda place: place.token(), 0x85, "client-id-empty"),
        ("a/b", lambda place: place.token("a/b"), 0x85, "client-id-characters"),
        ("dev-1", lambda place: None, 0x86, "malformed"),
    ],
)
def test_a_refusal_has_the_code_of_the_table_and_says_why(
    place: Site, client_id: str, make: object, code: int, reason: str
) -> None:
    token = make(place)  # type: ignore[operator]
    mark = place.record.mark()
    with client5(place) as client:
        connack = client.enter(client_id, token)
        assert connack.reason_code == code
        hint = connack.properties[P.REASON_STRING]
        assert isinstance(hint, str)
        assert token is None or token not in hint
        assert client.ended()
    event = place.record.wait("connect.refused", since=mark)
    assert (event["reason"], event["return_code"]) == (reason, code)


def test_a_password_needs_no_user_name(place: Site) -> None:
    """Spec: MQTT 5 §3.1.2.9."""
    with enter(place, username=None) as client:
        assert client.silent()


def test_an_authentication_method_that_is_not_known_is_refused(place: Site) -> None:
    with client5(place) as client:
        connack = client.enter(
            "dev-1", None, username=None, properties={P.AUTHENTICATION_METHOD: "SCRAM-SHA-1"}
        )
        assert connack.reason_code == 0x8C
        assert client.ended()


@pytest.mark.conformance("RS-72")
def test_enhanced_authentication_and_a_password_are_ambiguous(place: Site) -> None:
    with client5(place) as client:
        connack = client.enter("dev-1", place.token(), properties={P.AUTHENTICATION_METHOD: "OAUTH2-JWT"})
        assert connack.reason_code == 0x86
    assert place.record.events("connect.refused")[-1]["reason"] == "ambiguous"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (bytes.fromhex("100d 0004 4d515454 05 03 0000 00 0000"), 0x81),  # the reserved flag
        (bytes.fromhex("1010 0004 4d515454 05 02 0000 03 210000 0000"), 0x82),  # Receive Maximum 0
    ],
)
def test_a_connect_that_breaks_a_rule_is_answered(place: Site, raw: bytes, code: int) -> None:
    """Spec: [MQTT-3.1.4-1], §4.13.1."""
    with client5(place) as client:
        client.say(raw)
        assert client.expect(v5.Connack).reason_code == code
        assert client.ended()


@pytest.mark.parametrize(
    ("packets", "code"),
    [
        ([v5.Connect(client_id="dev-1")], 0x82),
        ([v5.Suback(packet_id=1, reason_codes=(0,))], 0x82),
        ([v5.Auth(reason_code=0x19, properties={P.AUTHENTICATION_METHOD: "x"})], 0x82),
        ([b"\xc1\0"], 0x81),
        ([v5.Publish(topic="a", properties={P.TOPIC_ALIAS: 1})], 0x94),
        ([v5.Publish(topic="a", properties={P.SUBSCRIPTION_IDENTIFIER: (1,)})], 0x82),
        ([v5.Disconnect(properties={P.SESSION_EXPIRY_INTERVAL: 5})], 0x82),
        ([v5.Publish(topic="a", payload=bytes(Limits().max_packet))], 0x95),
        (
            [
                v5.Publish(topic="devices/dev-1/x", qos=2, packet_id=number + 1)
                for number in range(RECEIVE_MAXIMUM + 1)
            ],
            0x93,
        ),
    ],
)
def test_a_broken_rule_ends_with_its_code(place: Site, packets: list[v5.Packet | bytes], code: int) -> None:
    with enter(place) as client:
        client.say(*packets)
        while isinstance(answer := client.receive(), v5.Pubrec):
            pass
        assert isinstance(answer, v5.Disconnect)
        assert answer.reason_code == code
        assert client.ended()


def _expire(place: Site, client: Client5) -> None:
    place.clock.advance(seconds=301)


def _revoke(place: Site, client: Client5) -> None:
    place.broker.revoked(None, "dev-1")


def _replace(place: Site, client: Client5) -> None:
    enter(place).close()


def _dismiss(place: Site, client: Client5) -> None:
    assert place.broker.disconnect("dev-1")


def _stop(place: Site, client: Client5) -> None:
    place.broker.stop()


@pytest.mark.conformance("RS-42", "RS-49")
@pytest.mark.parametrize(
    ("act", "code"), [(_expire, 0x87), (_revoke, 0x87), (_replace, 0x8E), (_dismiss, 0x98), (_stop, 0x8B)]
)
def test_the_broker_says_why_it_ends_a_connection(act: object, code: int) -> None:
    with site() as place, enter(place) as client:
        act(place, client)  # type: ignore[operator]
        assert client.expect(v5.Disconnect).reason_code == code
        assert client.ended()


def test_the_record_and_the_picture_of_a_conversation_have_the_code() -> None:
    with site() as place, enter(place) as client:
        place.clock.advance(seconds=301)
        assert client.expect(v5.Disconnect).reason_code == 0x87
        event = place.record.wait("connection.closed")
        assert (event["reason"], event["reason_code"]) == ("expired", 0x87)
        assert "DISCONNECT 0x87: expired" in str(show.conversation(place.record))


def test_keep_alive_ends_with_0x8d(place: Site) -> None:
    with enter(place, keep_alive=1) as client:
        assert client.expect(v5.Disconnect).reason_code == 0x8D
        assert client.ended()


def test_rights_are_answered_with_reason_codes(place: Site) -> None:
    with enter(place) as client:
        assert client.tell("devices/dev-1/x", qos=1) == 0
        assert client.tell("devices/dev-2/x", qos=1) == 0x87
        assert client.tell("devices/dev-2/x", qos=2) == 0x87
        assert client.tell("$SYS/x", qos=1) == 0x87
        assert client.ask("devices/dev-1/#", "devices/+/x") == (2, 0x87)
        assert client.silent()
        number = client.packet_id()
        client.say(v5.Unsubscribe(packet_id=number, filters=("devices/dev-1/#", "never")))
        assert client.expect(v5.Unsuback).reason_codes == (0, 0x11)


@pytest.mark.parametrize("wanted", [0, 1])
def test_a_refused_publish_says_why_only_if_the_client_wants_to_know(place: Site, wanted: int) -> None:
    """Spec: MQTT 5 [MQTT-3.1.2-29]."""
    with enter(place, properties={P.REQUEST_PROBLEM_INFORMATION: wanted}) as client:
        client.say(v5.Publish(topic="devices/dev-2/x", qos=1, packet_id=1))
        answer = client.expect(v5.Puback)
        assert answer.reason_code == 0x87
        assert (P.REASON_STRING in answer.properties) is bool(wanted)


def test_a_shared_subscription_is_refused_as_such(place: Site) -> None:
    """CONNACK has said that there are none, so it is a protocol error: MQTT 5 §3.2.2.3.13."""
    with enter(place) as client:
        shared = Subscription(topic_filter="$share/g/devices/dev-1/x", qos=1)
        client.say(v5.Subscribe(packet_id=1, subscriptions=(shared,)))
        assert client.expect(v5.Disconnect).reason_code == 0x9E
        assert client.ended()


def test_too_many_subscriptions_are_over_the_quota() -> None:
    with site(limits=Limits(max_subscriptions=1)) as place, enter(place) as client:
        assert client.ask("devices/dev-1/a", "devices/dev-1/b") == (2, 0x97)


def test_qos_2_in_both_directions(place: Site) -> None:
    with enter(place) as client:
        client.ask("devices/dev-1/#")
        client.say(v5.Publish(topic="devices/dev-1/x", payload=b"1", qos=2, packet_id=9))
        came = {type(packet): packet for packet in (client.receive(), client.receive())}
        assert came[v5.Pubrec] == v5.Pubrec(packet_id=9)
        number = came[v5.Publish].packet_id
        client.say(v5.Pubrel(packet_id=9), v5.Pubrec(packet_id=number))
        assert client.receive() == v5.Pubcomp(packet_id=9)
        assert client.receive() == v5.Pubrel(packet_id=number)
        client.say(v5.Pubcomp(packet_id=number), v5.Pubrel(packet_id=9))
        assert client.receive() == v5.Pubcomp(packet_id=9, reason_code=0x92)
        client.say(v5.Pubrec(packet_id=77))
        assert client.receive() == v5.Pubrel(packet_id=77, reason_code=0x92)
        assert client.silent()


def test_paho_sees_codes_and_properties(place: Site) -> None:
    codes: list[str] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "dev-1", protocol=paho.MQTTv5)
    client.on_connect = lambda *args: codes.append(str(args[3]))
    client.on_subscribe = lambda *args: codes.extend(map(str, args[3]))
    client.on_publish = lambda *args: codes.append(str(args[3]))
    client.on_message = lambda *args: codes.append(args[2].properties.ContentType)
    client.on_disconnect = lambda *args: codes.append(str(args[3]))
    client.username_pw_set("dev-1", place.token())
    client.connect("127.0.0.1", place.broker.mqtt.port)

    def until(number: int) -> None:
        while len(codes) < number:
            client.loop(0.1)

    until(1)
    client.subscribe("devices/dev-1/#", 1)
    until(2)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "text/plain"
    client.publish("devices/dev-1/x", b"1", 1, properties=properties)
    until(4)
    client.publish("devices/dev-2/x", b"1", 1)
    until(5)
    place.broker.disconnect("dev-1")
    until(6)
    assert codes[:2] == ["Success", "Granted QoS 1"]
    assert sorted(codes[2:4]) == ["Success", "text/plain"]
    assert codes[4:] == ["Not authorized", "Administrative action"]
