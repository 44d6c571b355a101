"""MQTT 5: what travels with a message, subscription options, and what the client takes."""

from collections.abc import Iterator
from typing import Any

import pytest
from support_broker import Site
from support_broker5 import Client5, enter

from labkit.broker import Limits
from labkit.broker.message import Message
from labkit.broker.outbox import Outbox
from labkit.wire import Publish, v5
from labkit.wire.v5 import Property, Subscription

P = Property
TOPIC = "devices/dev-1/x"
EVERYTHING = {
    P.PAYLOAD_FORMAT_INDICATOR: 1,
    P.CONTENT_TYPE: "text/plain",
    P.RESPONSE_TOPIC: "devices/dev-1/answers",
    P.CORRELATION_DATA: b"\0\1",
    P.USER_PROPERTY: (("b", "2"), ("a", "1"), ("b", "2")),
}


@pytest.fixture
def client(place: Site) -> Iterator[Client5]:
    with enter(place, token=place.token(lifetime=100_000)) as inside:
        yield inside


def wish(topic_filter: str = "devices/dev-1/#", qos: int = 1, **options: Any) -> Subscription:
    return Subscription(topic_filter=topic_filter, qos=qos, **options)


def next_message(client: Client5) -> v5.Publish:
    """The next PUBLISH; acknowledged, if it asks for it."""
    while not isinstance(packet := client.receive(), v5.Publish):
        assert isinstance(packet, v5.Puback), packet
    if packet.qos == 1:
        client.say(v5.Puback(packet_id=packet.packet_id))
    return packet


@pytest.mark.parametrize("retain", [False, True])
def test_the_properties_of_a_message_travel_with_it(client: Client5, retain: bool) -> None:
    """Spec: [MQTT-3.3.2-4, -15, -16, -17, -18, -20]."""
    if not retain:
        client.ask(wish())
    client.say(v5.Publish(topic=TOPIC, payload=b"1", retain=retain, properties=EVERYTHING))
    if retain:
        client.ask(wish())
    message = next_message(client)
    assert message.properties == EVERYTHING
    assert message.retain is retain


def test_messages_cross_the_versions(place: Site, client: Client5) -> None:
    client.ask(wish())
    with place.connect("dev-2", subscribe=("devices/dev-1/#",), publish=("devices/dev-1/#",)) as old:
        old.subscribe("devices/dev-1/#")
        client.say(v5.Publish(topic=TOPIC, payload=b"new", properties=EVERYTHING))
        assert old.expect(Publish) == Publish(topic=TOPIC, payload=b"new")
        assert next_message(client).payload == b"new"
        old.publish(TOPIC, b"old", qos=0)
        assert next_message(client) == v5.Publish(topic=TOPIC, payload=b"old")


def test_a_message_expires_and_says_how_long_it_has(place: Site, client: Client5) -> None:
    """Spec: [MQTT-3.3.2-5], [MQTT-3.3.2-6]."""
    client.tell(TOPIC, b"1", retain=True, properties={P.MESSAGE_EXPIRY_INTERVAL: 100})
    place.clock.advance(seconds=40)
    client.ask(wish())
    assert next_message(client).properties == {P.MESSAGE_EXPIRY_INTERVAL: 60}
    place.clock.advance(seconds=60)
    client.ask(wish("devices/dev-1/+"))
    assert client.silent()


def test_a_message_that_waited_too_long_is_not_sent(place: Site, client: Client5) -> None:
    kept = {P.SESSION_EXPIRY_INTERVAL: 1000}
    rights = {"subscribe": ("devices/dev-1/#",), "lifetime": 1000}
    with enter(place, "dev-2", token=place.token("dev-2", **rights), properties=kept) as away:
        away.ask(wish())
    place.record.wait("connection.closed", client_id="dev-2")
    client.tell(TOPIC, b"short", properties={P.MESSAGE_EXPIRY_INTERVAL: 5})
    client.tell(TOPIC, b"long", properties={P.MESSAGE_EXPIRY_INTERVAL: 50})
    place.clock.advance(seconds=5)
    token = place.token("dev-2", **rights)
    with enter(place, "dev-2", token=token, properties=kept, clean_start=False) as back:
        message = next_message(back)
        assert (message.payload, message.properties) == (b"long", {P.MESSAGE_EXPIRY_INTERVAL: 45})
        assert back.silent()


def test_no_local_keeps_own_messages_away(client: Client5) -> None:
    """Spec: [MQTT-3.8.3-3]."""
    client.ask(wish(no_local=True))
    client.tell(TOPIC, b"1")
    assert client.silent()


def test_retain_as_published(client: Client5) -> None:
    """Spec: [MQTT-3.3.1-12], [MQTT-3.3.1-13]."""
    client.ask(wish("devices/dev-1/a", retain_as_published=True), wish("devices/dev-1/b"))
    for topic, retained in (("devices/dev-1/a", True), ("devices/dev-1/b", False)):
        client.say(v5.Publish(topic=topic, payload=b"1", retain=True))
        assert next_message(client).retain is retained


@pytest.mark.parametrize(("handling", "first", "again"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
def test_retain_handling(client: Client5, handling: int, first: int, again: int) -> None:
    """Spec: [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]."""
    client.tell(TOPIC, b"kept", retain=True)
    for expected in (first, again):
        client.ask(wish(qos=0, retain_handling=handling))
        for _ in range(expected):
            assert next_message(client).retain
        assert client.silent()


def test_subscription_identifiers_come_back(client: Client5) -> None:
    """Spec: [MQTT-3.3.4-3], [MQTT-3.3.4-4]."""
    client.ask(wish("devices/dev-1/#", 0), identifier=300)
    client.ask(wish("devices/dev-1/+", 0), identifier=7)
    client.say(v5.Publish(topic=TOPIC, payload=b"1"))
    found = next_message(client).properties[P.SUBSCRIPTION_IDENTIFIER]
    assert isinstance(found, tuple)
    assert sorted(found) == [7, 300]  # type: ignore[type-var]
    client.ask(wish("devices/dev-1/+", 0))  # replaced by one without
    client.say(v5.Publish(topic=TOPIC, payload=b"2"))
    assert next_message(client).properties[P.SUBSCRIPTION_IDENTIFIER] == (300,)


def test_no_more_is_sent_than_the_client_takes_at_a_time(place: Site) -> None:
    """Spec: [MQTT-3.3.4-9]."""
    with enter(place, properties={P.RECEIVE_MAXIMUM: 2}) as client:
        client.ask(wish())
        for number in range(4):
            client.say(v5.Publish(topic=TOPIC, payload=b"%d" % number, qos=1, packet_id=number + 1))
        got = [client.receive() for _ in range(6)]
        sent = [packet for packet in got if isinstance(packet, v5.Publish)]
        assert [message.payload for message in sent] == [b"0", b"1"]
        assert client.silent()
        client.say(v5.Puback(packet_id=sent[0].packet_id))
        assert client.expect(v5.Publish).payload == b"2"
        assert client.silent()


class Line:
    """A connection that keeps what is sent."""

    writable = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def end(self, reason: str) -> None:
        raise AssertionError(reason)


def test_what_was_in_flight_comes_again_within_the_receive_maximum() -> None:
    from labkit.broker.dialect5 import Dialect5

    outbox = Outbox(Limits())
    outbox.attach(Line(), lambda topic: True)
    for number in range(5):
        outbox.offer(Message("t", b"%d" % number, 2))
    outbox.detach()
    line = Line()
    outbox.attach(line, lambda topic: True, None, Dialect5({P.RECEIVE_MAXIMUM: 2}, lambda: 0.0))
    outbox.offer(Message("t", b"new", 2))
    for step in range(1, 6):
        outbox.pubrec(step)
        outbox.pubcomp(step)
    seen = [v5.parse(data) for data in line.sent]
    published = [packet for packet in seen if isinstance(packet, v5.Publish)]
    assert [packet.payload for packet in published] == [b"0", b"1", b"2", b"3", b"4", b"new"]
    assert [packet.dup for packet in published] == [True] * 5 + [False]
    assert [packet.packet_id for packet in published] == [1, 2, 3, 4, 5, 6]
    assert seen[:2] == published[:2]
    assert isinstance(seen[2], v5.Pubrel)


def test_what_is_too_long_for_the_client_is_not_sent_and_written_down(place: Site) -> None:
    """Spec: [MQTT-3.1.2-24], [MQTT-3.1.2-25]."""
    with enter(place, properties={P.MAXIMUM_PACKET_SIZE: 60}) as client:
        client.ask(wish())
        for qos in (0, 1):
            client.say(v5.Publish(topic=TOPIC, payload=bytes(100), qos=qos, packet_id=qos))
        client.say(v5.Publish(topic=TOPIC, payload=b"short"))
        assert client.receive() == v5.Puback(packet_id=1)
        assert next_message(client).payload == b"short"
        assert place.record.events("message.dropped")


def test_an_answer_that_is_too_long_leaves_its_reason_out(place: Site) -> None:
    """Spec: [MQTT-3.2.2-19], [MQTT-3.14.2-3]."""
    with enter(place, properties={P.MAXIMUM_PACKET_SIZE: 20}) as client:
        place.broker.disconnect("dev-1")
        assert client.expect(v5.Disconnect) == v5.Disconnect(
            reason_code=0x98, properties={P.REASON_STRING: "disconnected"}
        )
    with enter(place, keep_alive=60, properties={P.MAXIMUM_PACKET_SIZE: 15}) as client:
        place.broker.disconnect("dev-1")
        assert client.expect(v5.Disconnect) == v5.Disconnect(reason_code=0x98)
