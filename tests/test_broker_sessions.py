"""Sessions: take-over, what outlives a connection, and the flows of QoS 1 and 2."""

import pytest
from support_broker import Client, Site, site

from labkit.broker import Limits
from labkit.wire import Connack, Connect, Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel, Will, encode


def gone(place: Site, client: Client, client_id: str = "dev-1") -> None:
    """Close the client's socket and wait until the broker has noticed."""
    mark = place.record.mark()
    client.close()
    place.record.wait("connection.closed", since=mark, client_id=client_id)


@pytest.mark.conformance("RS-57")
@pytest.mark.parametrize("clean", [False, True])
def test_the_newer_connection_takes_over_and_the_older_is_closed(place: Site, clean: bool) -> None:
    """Measured on amqtt alone: after a clean take-over the older socket stays open and can publish."""
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#")
    older = place.connect("dev-1", clean=clean, will=Will(topic="devices/dev-1/will", payload=b"older"))
    newer = place.connect("dev-1", clean=clean)
    assert older.ended()
    assert watcher.expect(Publish).payload == b"older"  # §3.1.2.5: closed without a DISCONNECT
    assert newer.connack.session_present is not clean
    newer.publish("devices/dev-1/x", b"newer")
    assert watcher.expect(Publish).payload == b"newer"
    assert [(c.client_id, c.jti) for c in place.broker.connections] == [
        ("watcher", "jti-1"),
        ("dev-1", "jti-3"),
    ]
    kinds = [event.kind for event in place.record.events(client_id="dev-1")]
    assert kinds == [
        *("connect.accepted", "connect.accepted", "taken-over", "will.published", "connection.closed"),
        "publish.accepted",
    ]


def test_many_take_overs_at_once_leave_exactly_one(place: Site) -> None:
    clients = [place.client() for _ in range(20)]
    tokens = [place.token() for _ in clients]
    for client, token in zip(clients, tokens, strict=True):
        client.socket.setblocking(False)
        client.send(_connect(token))
    place.record.wait("connect.accepted", jti="jti-20")
    for client in clients:
        client.socket.settimeout(5)
    alive = [client for client in clients if _survives(client)]
    assert len(alive) == 1
    assert [c.client_id for c in place.broker.connections] == ["dev-1"]
    assert len(place.record.events("taken-over")) == 19


def _connect(token: str) -> bytes:
    return encode(Connect(client_id="dev-1", username="dev-1", password=token.encode()))


def _survives(client: Client) -> bool:
    """Whether the client is in: it got its CONNACK, and an answer to a ping."""
    first = client.receive()
    if first is None:
        return False
    assert isinstance(first, Connack)
    try:
        client.send(b"\xc0\0")
        return client.receive() is not None
    except OSError:
        return False


def test_a_clean_session_is_gone_with_its_connection(place: Site) -> None:
    client = place.connect("dev-1")
    client.subscribe("devices/dev-1/#")
    gone(place, client)
    assert place.broker._inner is not None
    assert place.broker._inner._sessions == {}
    assert place.broker._inner._subscriptions == {}
    assert not place.connect("dev-1", clean=False).connack.session_present


def test_clean_session_1_discards_what_was_kept(place: Site) -> None:
    client = place.connect("dev-1", clean=False)
    client.subscribe("devices/dev-1/#")
    gone(place, client)
    assert not place.connect("dev-1", clean=True).connack.session_present
    client = place.connect("dev-1", clean=False)
    assert not client.connack.session_present
    client.publish("devices/dev-1/x", b"1", qos=0)
    assert client.silent()


def test_messages_wait_for_a_client_that_is_away(place: Site) -> None:
    client = place.connect("dev-1", clean=False)
    client.subscribe("devices/dev-1/#", qos=2)
    gone(place, client)
    boss = place.connect("boss", publish=("#",))
    for number in range(3):
        boss.publish("devices/dev-1/x", b"%d" % number, qos=1)
    boss.publish("devices/dev-1/x", b"qos 0 does not wait", qos=0)
    assert boss.silent()
    client = place.connect("dev-1", clean=False)
    assert [client.expect(Publish).payload for _ in range(3)] == [b"0", b"1", b"2"]
    assert client.silent()


def test_what_was_not_acknowledged_comes_again_as_a_duplicate(place: Site) -> None:
    client = place.connect("dev-1", clean=False)
    client.subscribe("devices/dev-1/#", qos=2)
    boss = place.connect("boss", publish=("#",))
    boss.publish("devices/dev-1/1", b"one", qos=1)
    boss.send(Publish(topic="devices/dev-1/2", payload=b"two", qos=2, packet_id=50))
    boss.expect(Pubrec)
    boss.publish("devices/dev-1/3", b"three", qos=1)
    first = [client.expect(Publish) for _ in range(3)]
    assert [message.dup for message in first] == [False] * 3
    client.send(Puback(packet_id=first[0].packet_id))
    assert client.silent()
    client.cut()
    place.record.wait("connection.closed", client_id="dev-1")
    client = place.connect("dev-1", clean=False)
    again = [client.expect(Publish) for _ in range(2)]
    assert [(m.payload, m.dup, m.packet_id) for m in again] == [
        (b"two", True, first[1].packet_id),
        (b"three", True, first[2].packet_id),
    ]
    client.send(Pubrec(packet_id=again[0].packet_id))
    assert client.expect(Pubrel).packet_id == again[0].packet_id
    gone(place, client)
    client = place.connect("dev-1", clean=False)
    assert client.expect(Publish).payload == b"three"
    assert client.expect(Pubrel).packet_id == again[0].packet_id  # §4.4: the PUBREL, not the message
    client.send(Pubcomp(packet_id=again[0].packet_id), Puback(packet_id=again[1].packet_id))
    assert client.silent()
    gone(place, client)
    assert place.connect("dev-1", clean=False).silent()


def test_an_incoming_qos_2_message_counts_once_also_over_a_cut(place: Site) -> None:
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#", qos=0)
    client = place.connect("dev-1", clean=False)
    message = Publish(topic="devices/dev-1/x", payload=b"once", qos=2, packet_id=7)
    client.send(message)
    client.expect(Pubrec)
    gone(place, client)
    client = place.connect("dev-1", clean=False)
    client.send(Publish(topic=message.topic, payload=message.payload, qos=2, packet_id=7, dup=True))
    assert client.expect(Pubrec).packet_id == 7
    client.send(Pubrel(packet_id=7))
    assert client.expect(Pubcomp).packet_id == 7
    assert watcher.expect(Publish).payload == b"once"
    assert watcher.silent()
    client.send(message)  # the identifier is free again
    client.expect(Pubrec)
    assert watcher.expect(Publish).payload == b"once"


def test_a_flow_never_has_more_in_flight_than_allowed_and_keeps_its_order() -> None:
    with site(limits=Limits(max_inflight=3)) as place:
        client = place.connect("dev-1")
        client.subscribe("devices/dev-1/#", qos=1)
        boss = place.connect("boss", publish=("#",))
        for number in range(10):
            boss.publish("devices/dev-1/x", b"%d" % number)
        window = [client.expect(Publish) for _ in range(3)]
        assert client.silent()
        seen = []
        while window:
            message = window.pop(0)
            seen.append(message.payload)
            client.send(Puback(packet_id=message.packet_id))
            if len(seen) + len(window) < 10:
                window.append(client.expect(Publish))
        assert seen == [b"%d" % number for number in range(10)]


def test_packets_in_front_of_a_disconnect_count(place: Site) -> None:
    """Measured on amqtt alone: messages are lost when DISCONNECT follows at once."""
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#", qos=0)
    client = place.connect("dev-1")
    client.send(*(Publish(topic="devices/dev-1/x", payload=b"%d" % n) for n in range(200)), Disconnect())
    client.close()
    assert [watcher.expect(Publish).payload for _ in range(200)] == [b"%d" % n for n in range(200)]


@pytest.mark.parametrize("ending", ["disconnect", "close", "cut", "protocol error"])
def test_the_will_is_published_unless_the_client_says_goodbye(place: Site, ending: str) -> None:
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#", qos=2)
    will = Will(topic="devices/dev-1/will", payload=b"gone", qos=1, retain=True)
    client = place.connect("dev-1", will=will)
    if ending == "disconnect":
        client.send(Disconnect())
        assert client.ended()
    elif ending == "close":
        client.close()
    elif ending == "cut":
        client.cut()
    else:
        client.send(b"\xff\xff")
        assert client.ended()
    place.record.wait("connection.closed", client_id="dev-1")
    if ending != "disconnect":
        message = watcher.expect(Publish)
        assert (message.payload, message.qos, message.retain) == (b"gone", 1, False)
    assert watcher.silent()
    watcher.subscribe("devices/dev-1/#", qos=0)
    if ending != "disconnect":
        assert watcher.expect(Publish).retain
    assert watcher.silent()


def test_nothing_behind_a_disconnect_is_processed(place: Site) -> None:
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#")
    client = place.connect("dev-1")
    client.send(Disconnect(), Publish(topic="devices/dev-1/x"))
    assert client.ended()
    assert watcher.silent()


def test_sessions_and_retained_messages_outlive_a_restart_of_the_broker(place: Site) -> None:
    client = place.connect("dev-1", clean=False)
    client.subscribe("devices/dev-1/#")
    client.publish("devices/dev-1/kept", b"kept", qos=0, retain=True)
    client.expect(Publish)
    port = place.broker.mqtt.port
    place.broker.restart()
    assert client.ended()
    assert place.broker.mqtt.port == port
    client = place.connect("dev-1", clean=False)
    assert client.connack.session_present
    client.publish("devices/dev-1/x", b"live", qos=0)
    assert client.expect(Publish).payload == b"live"
    client.subscribe("devices/dev-1/kept")
    assert client.expect(Publish).retain
