"""What testers found in the gate, each with the smallest attack that shows it."""

import pytest
from support_broker import Client, Site, site

from labkit import Lab
from labkit.broker import Limits
from labkit.broker.message import Message
from labkit.broker.outbox import Outbox
from labkit.wire import Connack, Puback, Publish, Suback, Subscribe, parse


def test_a_filter_named_a_thousand_times_brings_its_retained_messages_once(place: Site) -> None:
    client = place.connect("dev-1")
    client.publish("devices/dev-1/x", b"kept", qos=1, retain=True)
    client.send(Subscribe(packet_id=7, filters=(("devices/dev-1/#", 0),) * 1000))
    assert client.expect(Suback).return_codes == (0,) * 1000
    assert client.expect(Publish).payload == b"kept"
    assert client.silent()


def test_all_retained_messages_arrive_however_many() -> None:
    with site(limits=Limits(max_inflight=5, max_queued=10)) as place:
        client = place.connect("dev-1")
        for number in range(50):
            client.publish(f"devices/dev-1/{number}", b"x", qos=1, retain=True)
        client.send(Subscribe(packet_id=7, filters=(("devices/dev-1/#", 1),)))
        client.expect(Suback)
        topics = set()
        for _ in range(50):
            message = client.expect(Publish)
            topics.add(message.topic)
            client.send(Puback(packet_id=message.packet_id))
        assert len(topics) == 50
        assert client.silent()


def test_retained_messages_are_bounded_in_bytes_and_freed_by_an_empty_one() -> None:
    with site(limits=Limits(max_retained_bytes=100)) as place:
        client = place.connect("dev-1")
        for payload in (b"x" * 60, b"y" * 80):  # the second replaces the first
            client.publish("devices/dev-1/a", payload, qos=1, retain=True)
        client.publish("devices/dev-1/b", b"z" * 60, qos=1, retain=True)
        assert place.record.events("retain.refused", reason="too-large")
        client.publish("devices/dev-1/a", b"", qos=1, retain=True)
        client.publish("devices/dev-1/b", b"z" * 60, qos=1, retain=True)
        assert len(place.record.events("retain.refused")) == 1


class _Line:
    """A connection that notes what is sent."""

    def __init__(self) -> None:
        self.writable = True
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        packet = parse(data)
        assert isinstance(packet, Publish)
        self.sent.append(packet.payload)

    def end(self, reason: str) -> None:
        raise AssertionError(reason)


def test_messages_of_qos_0_do_not_overtake_each_other() -> None:
    """Spec: [MQTT-4.6.0-6]."""
    line, outbox = _Line(), Outbox(Limits(max_inflight=1))
    outbox.attach(line, lambda topic: True)
    line.writable = False
    for payload, qos in ((b"a", 1), (b"old-1", 0), (b"b", 1), (b"old-2", 0)):
        outbox.offer(Message(topic="t", payload=payload, qos=qos))
    line.writable = True
    outbox.offer(Message(topic="t", payload=b"new", qos=0))
    outbox.flush()
    for packet_id in range(1, 10):
        outbox.puback(packet_id)
    assert line.sent == [b"a", b"old-1", b"b", b"old-2", b"new"]


@pytest.mark.conformance("RS-72")
@pytest.mark.parametrize("spelling", ["Bearer {}", " {}", "token={}", "{}\n"])
def test_two_tokens_are_ambiguous_also_with_text_around_one(place: Site, spelling: str) -> None:
    token = place.token("dev-1")
    for username, password in ((spelling.format(token), token), (token, spelling.format(token))):
        client = place.client()
        assert client.connect("dev-1", password, username=username) == Connack(return_code=4)
        assert place.record.events("connect.refused", reason="ambiguous")
        client.close()


def test_a_revoked_client_stays_out_with_every_token_it_had(lab: Lab) -> None:
    lab.register("dev-1")
    used, unused = lab.token("dev-1"), lab.token("dev-1")
    client = Client(lab.mqtt.port)
    assert client.connect("dev-1", used).return_code == 0
    lab.clock.advance(seconds=1)
    lab.revoke("dev-1")
    assert client.ended()
    for old in (used, unused):
        with Client(lab.mqtt.port) as again:
            assert again.connect("dev-1", old).return_code == 4
    assert lab.record.events("connect.refused", reason="revoked", client_id="dev-1")
    with Client(lab.mqtt.port) as fresh:
        assert fresh.connect("dev-1", lab.token("dev-1")).return_code == 0
