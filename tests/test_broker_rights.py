"""What a token allows: publishing, subscribing, receiving, retained messages."""

import pytest
from support_broker import Client, Site, site

from labkit.broker import Limits
from labkit.wire import Puback, Pubcomp, Publish, Pubrec, Pubrel, Suback, Subscribe, frame


@pytest.fixture
def watcher(place: Site) -> Client:
    client = place.connect("watcher", publish=("#",), subscribe=("#", "$SYS/#"))
    assert client.subscribe("#", qos=2) == (2,)
    return client


@pytest.mark.conformance("RS-45", "RS-60")
@pytest.mark.parametrize(
    "topic", ["devices/dev-2/x", "devices", "other", "$SYS/x", "$share/g/devices/dev-1/x"]
)
def test_a_publish_without_the_right_is_acknowledged_and_goes_nowhere(
    place: Site, watcher: Client, topic: str
) -> None:
    client = place.connect("dev-1", publish=("devices/dev-1/#", "$SYS/#"))
    client.publish(topic, b"x", qos=1, retain=True)
    client.send(Publish(topic=topic, payload=b"x", qos=2, packet_id=9, retain=True))
    assert client.expect(Pubrec).packet_id == 9
    client.send(Pubrel(packet_id=9))
    assert client.expect(Pubcomp).packet_id == 9
    client.publish(topic, b"x", qos=0, retain=True)
    assert client.silent()  # still connected
    assert watcher.silent()
    assert len(place.record.events("publish.refused", client_id="dev-1", topic=topic)) == 3
    watcher.subscribe("#", "$SYS/#")
    assert watcher.silent()  # nothing is retained


def test_a_publish_with_the_right_arrives(place: Site, watcher: Client) -> None:
    place.connect("dev-1").publish("devices/dev-1/x", b"22.5", qos=1)
    message = watcher.expect(Publish)
    assert (message.topic, message.payload, message.qos, message.retain) == (
        "devices/dev-1/x",
        b"22.5",
        1,
        False,
    )


@pytest.mark.conformance("RS-45", "RS-46", "RS-61")
def test_each_filter_of_a_subscribe_gets_its_own_code(place: Site) -> None:
    client = place.connect("dev-1", subscribe=("devices/dev-1/#", "cmd/+/go"))
    wanted = {
        "devices/dev-1/#": 1,
        "devices/dev-1/+/x": 1,
        "devices/dev-1": 1,
        "cmd/a/go": 1,
        "cmd/+/go": 1,
        "#": 0x80,
        "+": 0x80,
        "devices/#": 0x80,
        "devices/+/x": 0x80,
        "devices/dev-2/x": 0x80,
        "cmd/#": 0x80,
        "cmd/+/+": 0x80,
        "$SYS/#": 0x80,
        "$share/g/devices/dev-1/#": 0x80,
        "$share/g/#": 0x80,
    }
    assert client.subscribe(*wanted) == tuple(wanted.values())
    refused = {event["filter"] for event in place.record.events("subscribe.refused")}
    assert refused == {topic_filter for topic_filter, code in wanted.items() if code == 0x80}


@pytest.mark.conformance("RS-62")
def test_a_leading_wildcard_does_not_reach_dollar_topics(place: Site) -> None:
    client = place.connect("admin", subscribe=("#", "+/#"))
    assert client.subscribe("#", "+/x", "$SYS/#", "$SYS/x") == (1, 1, 0x80, 0x80)
    inner = place.broker._inner
    assert inner is not None

    async def announce() -> None:
        await inner.internal_message_broadcast("$SYS/x", b"secret", 1)

    place.broker.call(announce())
    assert client.silent()


def test_dollar_topics_need_a_right_that_names_them(place: Site) -> None:
    client = place.connect("admin", subscribe=("$SYS/#",))
    assert client.subscribe("$SYS/broker/+", "#") == (1, 0x80)


@pytest.mark.conformance("RS-45")
def test_retained_messages_go_to_who_subscribed_and_only_within_the_rights(place: Site) -> None:
    """Measured on amqtt alone: a client that only connects gets what matches anybody's subscription."""
    boss = place.connect("boss", publish=("#",), subscribe=("#",))
    boss.subscribe("#")
    boss.publish("devices/dev-1/cmd", b"for 1", qos=0, retain=True)
    assert boss.expect(Publish).retain is False  # a live message [MQTT-3.3.1-9]
    other = place.connect("dev-2")
    assert other.silent()
    assert other.subscribe("devices/dev-1/cmd", "devices/dev-2/#") == (0x80, 1)
    assert other.silent()
    own = place.connect("dev-1")
    assert own.silent()
    own.subscribe("devices/dev-1/#")
    message = own.expect(Publish)
    assert (message.payload, message.retain, message.qos) == (b"for 1", True, 0)
    own.subscribe("devices/dev-1/cmd")  # each subscribe asks again
    assert own.expect(Publish).retain
    boss.publish("devices/dev-1/cmd", b"", qos=0, retain=True)  # [MQTT-3.3.1-10]
    assert own.expect(Publish).payload == b""
    own.subscribe("devices/dev-1/#")
    assert own.silent()


@pytest.mark.conformance("RS-45")
def test_a_resumed_session_receives_no_more_than_its_new_token_allows(place: Site) -> None:
    boss = place.connect("boss", publish=("#",))
    device = place.connect("dev-1", clean=False, subscribe=("a/#", "b/#"))
    device.subscribe("a/#", "b/#")
    device.close()
    place.record.wait("connection.closed", client_id="dev-1")
    boss.publish("a/1", b"queued under the old token")
    boss.publish("b/1", b"allowed")
    narrow = place.connect("dev-1", clean=False, subscribe=("b/#",))
    assert narrow.connack.session_present
    boss.publish("a/2", b"live")
    assert narrow.expect(Publish).topic == "b/1"
    assert narrow.silent()


@pytest.mark.parametrize(("published", "subscribed"), [(p, s) for p in range(3) for s in range(3)])
def test_a_message_comes_at_the_lower_of_both_qos(place: Site, published: int, subscribed: int) -> None:
    device = place.connect("dev-1")
    device.subscribe("devices/dev-1/#", qos=subscribed)
    boss = place.connect("boss", publish=("#",))
    boss.send(Publish(topic="devices/dev-1/x", qos=published, packet_id=5 if published else 0))
    assert device.expect(Publish).qos == min(published, subscribed)


def test_overlapping_subscriptions_give_one_message_at_the_best_qos(place: Site) -> None:
    device = place.connect("dev-1")
    device.subscribe("devices/dev-1/x", qos=0)
    device.subscribe("devices/dev-1/#", qos=2)
    device.subscribe("devices/+/x", qos=1)
    place.connect("boss", publish=("#",)).publish("devices/dev-1/x", qos=2 - 1)
    assert device.expect(Publish).qos == 1
    assert device.silent()


def test_a_second_subscribe_replaces_the_first_and_unsubscribe_ends_both(place: Site) -> None:
    device = place.connect("dev-1")
    device.subscribe("devices/dev-1/#", qos=0)
    assert device.subscribe("devices/dev-1/#", qos=1) == (1,)
    device.publish("devices/dev-1/x", b"1", qos=0)
    device.expect(Publish)
    assert device.silent()
    device.send(frame(0xA2, b"\0\x07\0\x0fdevices/dev-1/#"))
    assert device.receive().packet_id == 7  # type: ignore[union-attr]
    device.publish("devices/dev-1/x", b"2", qos=0)
    assert device.silent()
    assert place.broker._inner is not None
    assert place.broker._inner._subscriptions == {}


@pytest.mark.parametrize("topic_filter", ["a/#/b", "a#", "a/b+", "+a", "##", "#/"])
@pytest.mark.parametrize("first", [0x82, 0xA2])
def test_an_ill_formed_filter_closes(place: Site, first: int, topic_filter: str) -> None:
    client = place.connect("dev-1", subscribe=("#",))
    tail = b"\0" if first == 0x82 else b""
    client.send(frame(first, b"\0\1" + len(topic_filter).to_bytes(2, "big") + topic_filter.encode() + tail))
    assert client.ended()


def test_a_wildcard_publish_closes_and_its_payload_is_not_read_as_packets(place: Site) -> None:
    """Measured on amqtt alone: the payload is taken for the next packets."""
    smuggled = frame(0x82, b"\0\x09\0\x0fdevices/dev-1/#\0")
    client = place.connect("dev-1")
    client.send(frame(0x30, b"\0\3a/#" + smuggled))
    assert client.ended()
    place.record.wait("connection.closed", client_id="dev-1", reason="protocol-error")
    assert place.broker.connections == []


def test_an_empty_topic_closes_and_leaves_no_zombie(place: Site) -> None:
    client = place.connect("dev-1")
    client.send(frame(0x30, b"\0\0x"))
    assert client.ended()
    assert place.connect("dev-1").silent()


def test_subscriptions_of_one_session_are_bounded() -> None:
    with site(limits=Limits(max_subscriptions=2)) as place:
        client = place.connect("dev-1")
        own = [f"devices/dev-1/{n}" for n in range(4)]
        assert client.subscribe(*own) == (1, 1, 0x80, 0x80)
        assert client.subscribe(own[0], own[3]) == (1, 0x80)


def test_retained_messages_are_bounded() -> None:
    with site(limits=Limits(max_retained=2)) as place:
        client = place.connect("dev-1")
        for number in (1, 2, 3, 2):
            client.publish(f"devices/dev-1/{number}", b"x", retain=True)
        client.subscribe("devices/dev-1/#")
        assert {client.expect(Publish).topic for _ in range(2)} == {"devices/dev-1/1", "devices/dev-1/2"}
        assert place.record.wait("retain.refused")["topic"] == "devices/dev-1/3"


def test_a_subscribe_with_many_filters_is_answered_in_order(place: Site) -> None:
    client = place.connect("dev-1")
    client.send(Subscribe(packet_id=77, filters=(("devices/dev-1/a", 2), ("no", 0), ("devices/dev-1/b", 0))))
    assert client.receive() == Suback(packet_id=77, return_codes=(2, 0x80, 0))


def test_a_puback_for_nothing_is_harmless(place: Site) -> None:
    client = place.connect("dev-1")
    client.send(Puback(packet_id=1), Pubcomp(packet_id=2), Pubrec(packet_id=3))
    assert client.expect(Pubrel).packet_id == 3
    assert client.silent()
