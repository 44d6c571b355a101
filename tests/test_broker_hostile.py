"""Damaged packets of MQTT 3.1.1 through every door of the live gate, with an honest device served as well."""

import contextlib
import threading
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_broker import Client, Site
from support_doors import DOORS, behind, waits
from test_wire_parse import packets

from labkit.errors import MalformedPacket
from labkit.wire import Connack, Connect, Disconnect, Packet, Pingreq, encode, parse, v5

calm = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=DOORS)
def place(request: pytest.FixtureRequest) -> Iterator[Site]:
    with behind(request.param) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def honest(place: Site) -> Iterator[None]:
    """A paho device that must be connected, and be served, all the time."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "honest", clean_session=False)
    lost: list[str] = []
    connected, echoed = threading.Event(), threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.on_disconnect = lambda *args: lost.append(str(args[3]))
    client.on_message = lambda *_: echoed.set()
    client.username_pw_set("honest", place.token("honest", lifetime=3600))
    client.connect("127.0.0.1", place.broker.mqtt.port)
    client.loop_start()
    try:
        assert connected.wait(5)
        client.subscribe("devices/honest/#", 1)
        yield
        client.publish("devices/honest/x", b"still served", 1)
        assert echoed.wait(5)
        assert lost == []
    finally:
        client.disconnect()
        client.loop_stop()


def damage(packet: Packet, data: st.DataObject) -> bytes:
    """One packet with a byte changed, added or taken away."""
    raw = bytearray(encode(packet))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        match data.draw(st.sampled_from(["change", "add", "drop"])):
            case "change" if raw:
                raw[place] = data.draw(st.integers(0, 255))
            case "add":
                raw.insert(place, data.draw(st.integers(0, 255)))
            case "drop" if raw:
                del raw[place]
    return bytes(raw)


def leave_if_needed(client: Client, sent: bytes) -> None:
    """A packet that has begun, and waits for its end, is given up."""
    with contextlib.suppress(OSError):
        if waits(sent, version=4):
            client.leave()


@calm
@given(packet=packets, data=st.data())
def test_damaged_first_packets_never_get_in(place: Site, packet: Packet, data: st.DataObject) -> None:
    raw = damage(packet, data)
    with place.client() as client:
        client.send(raw)
        leave_if_needed(client, raw)
        answer = client.receive()
        if answer is not None:
            if isinstance(answer, v5.Connack):  # the damage was done to the protocol level
                assert answer.reason_code >= 0x80
            else:
                assert isinstance(answer, Connack)
                assert answer.return_code in (1, 2, 4)
            assert isinstance(parse(raw[: len(raw)]) if _whole(raw) else Connect(), Connect)
            assert client.ended()
    assert [c.client_id for c in place.broker.connections] == ["honest"]


def _whole(raw: bytes) -> bool:
    try:
        parse(raw)
    except MalformedPacket:
        return False
    return True


@calm
@given(packet=packets, data=st.data())
def test_damaged_packets_of_an_admitted_client_are_answered_or_end_it(
    place: Site, packet: Packet, data: st.DataObject
) -> None:
    raw = damage(packet, data)
    raw += encode(Pingreq()) + encode(Disconnect())
    with place.connect("dev-1", subscribe=("#",)) as client:
        client.send(raw)
        leave_if_needed(client, raw)
        while client.receive() is not None:  # whatever it answers, it ends
            pass
    place.record.wait("connection.closed", client_id="dev-1")


def test_no_fault_of_ours_has_shown(place: Site) -> None:
    assert place.record.events("internal.error") == []
    assert place.record.events("connect.refused", reason="validator-failed") == []


def test_a_hundred_connections_in_every_bad_state_do_not_slow_down_a_good_one(place: Site) -> None:
    bad: list[Client] = []
    for number in range(100):
        client = place.client()
        client.send([b"", b"\x10", b"\x10\x7f\0\4MQ", encode(Connect(client_id="x"))[:-2]][number % 4])
        bad.append(client)
    with place.connect("dev-1") as device:
        device.publish("devices/dev-1/x", b"x")
        assert device.silent()
    for client in bad:
        client.close()
