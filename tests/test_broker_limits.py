"""How much one client, or all together, may take."""

import asyncio
import gc

import pytest
from support_broker import Client, site

from labkit.broker import Broker, Limits
from labkit.clock import Clock
from labkit.errors import ServiceFailed
from labkit.record import Record
from labkit.wire import Publish, Subscribe, frame


def test_one_connection_too_many_is_refused_and_a_take_over_is_not() -> None:
    with site(limits=Limits(max_connections=2)) as place:
        first, second = place.connect("dev-1"), place.connect("dev-2")
        with place.client() as third:
            assert third.connect("dev-3", place.token("dev-3")).return_code == 3
            assert third.ended()
        again = place.connect("dev-2")
        assert second.ended()
        assert first.silent()
        assert again.silent()
        first.close()
        place.record.wait("connection.closed", client_id="dev-1")
        place.connect("dev-3")


def test_silent_sockets_do_not_lock_honest_devices_out() -> None:
    """Measured on amqtt alone: max_connections silent sockets lock everyone out."""
    with site(limits=Limits(max_pending=8)) as place:
        silent = [place.client() for _ in range(40)]
        device = place.connect("dev-1")
        assert device.silent()
        assert all(client.ended() for client in silent[:31])  # the oldest have made room


def test_a_packet_above_the_limit_closes_before_it_is_read() -> None:
    with site(limits=Limits(max_packet=2000)) as place:
        for client in (place.client(), place.connect("dev-1")):
            client.send(frame(0x30 if client.connack.return_code == 0 else 0x10, b"x" * 3000)[:5])
            assert client.ended()
        device = place.connect("dev-1")
        device.publish("devices/dev-1/x", b"x" * 1900)
        place.record.wait("protocol.error", reason="a packet of more than 2000 bytes [limit of this server]")


def test_a_subscriber_that_does_not_read_is_closed_and_the_others_are_served() -> None:
    with site(limits=Limits(max_queued_bytes=200_000)) as place:
        lazy = place.connect("lazy", subscribe=("devices/#",))
        lazy.subscribe("devices/#", qos=0)
        reader = place.connect("reader", subscribe=("devices/#",))
        reader.subscribe("devices/dev-1/last")
        client = place.connect("dev-1")
        block = Publish(topic="devices/dev-1/x", payload=b"x" * 100_000)
        while not place.record.events("connection.closed", client_id="lazy"):
            client.send(block)
        assert place.record.wait("connection.closed", client_id="lazy")["reason"] == "not-reading"
        client.publish("devices/dev-1/last", b"still here")
        assert reader.expect(Publish).payload == b"still here"


def test_a_client_that_does_not_read_what_it_asked_for_is_closed() -> None:
    with site(limits=Limits(packet_timeout=0.2, max_queued_bytes=1 << 30)) as place:
        client = place.connect("dev-1")
        client.publish("devices/dev-1/x", b"x" * 200_000, retain=True)
        ask = Subscribe(packet_id=1, filters=(("devices/dev-1/x", 0),))
        client.send(*[ask] * 200)
        place.record.wait("connection.closed", reason="not-reading")


def test_messages_for_a_client_that_is_away_are_bounded() -> None:
    with site(limits=Limits(max_queued=5)) as place:
        device = place.connect("dev-1", clean=False)
        device.subscribe("devices/dev-1/#")
        device.close()
        place.record.wait("connection.closed", client_id="dev-1")
        boss = place.connect("boss", publish=("#",))
        for number in range(20):
            boss.publish("devices/dev-1/x", b"%d" % number)
        assert place.record.wait("message.dropped")["client_id"] == "dev-1"
        device = place.connect("dev-1", clean=False)
        assert [device.expect(Publish).payload for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert device.silent()


def test_a_closed_connection_leaves_nothing_for_the_garbage_collector() -> None:
    """Each cycle left behind is part of a pause of the whole broker later."""

    def visit(client: Client, token: str) -> None:
        client.connect("dev-1", token)
        if client.connack.return_code == 0:
            client.send(b"\xe0\0")
        assert client.ended()
        client.close()

    with site() as place:
        bad = place.issuer.tampered("dev-1")
        good = [place.token() for _ in range(20)]
        for token in (bad, good[0]):
            visit(place.client(), token)
        place.record.wait("connection.closed")
        place.broker.call(_settle())
        gc.collect()
        gc.disable()
        try:
            mark = place.record.mark()
            for token in good[1:]:
                visit(place.client(), token)
                visit(place.client(), bad)
            while len(place.record.events("connection.closed", since=mark)) < 19:
                pass
            place.broker.call(_settle())
            assert gc.collect() < 19
        finally:
            gc.enable()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.conformance("RS-36")
def test_tokens_in_clear_stay_on_loopback() -> None:
    clock = Clock()
    with pytest.raises(ServiceFailed, match="in clear"):
        Broker(validator=object(), clock=clock, record=Record(clock.now), host="0.0.0.0")  # type: ignore[arg-type]
