"""Damaged packets of MQTT 5 through every door of the live gate, with an honest device served meanwhile."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_broker import Site
from support_broker5 import Client5, client5, enter
from support_doors import DOORS, behind, waits
from support_wire import V5, damage

from labkit.errors import MalformedPacket
from labkit.wire import v5

calm = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
packets = st.one_of(*V5.values()).map(lambda packet: packet.write())


@pytest.fixture(scope="module", params=DOORS)
def place(request: pytest.FixtureRequest) -> Iterator[Site]:
    with behind(request.param) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def honest(place: Site) -> Iterator[None]:
    """A device that must be served all the time."""
    with enter(place, "honest", token=place.token("honest", lifetime=3600)) as client:
        client.ask("devices/honest/#")
        yield
        client.say(v5.Publish(topic="devices/honest/x", payload=b"still served"))
        assert client.expect(v5.Publish).payload == b"still served"


def rest(client: Client5, sent: bytes) -> list[v5.Packet]:
    """Everything that comes until the connection ends; each has to be a good packet.

    Only who has begun a packet closes its side before that: over TLS and WebSocket, a broker sends nothing
    any more to who has.
    """
    with contextlib.suppress(OSError):
        if waits(sent, version=5):
            client.leave()
    return list(iter(client.receive, None))


@calm
@given(data=st.one_of(packets, damage(packets), damage(V5["CONNECT"].map(lambda packet: packet.write()))))
def test_packets_without_a_token_never_get_in(place: Site, data: bytes) -> None:
    with client5(place) as client:
        client.say(data)
        try:
            answers = rest(client, data)
        except MalformedPacket:  # the damage has made it a CONNECT of 3.1.1, and so is the answer
            answers = []
        assert len(answers) <= 1
        assert all(isinstance(answer, v5.Connack) and answer.reason_code >= 0x80 for answer in answers)
    assert [c.client_id for c in place.broker.connections] == ["honest"]


@calm
@given(data=st.one_of(packets, damage(packets)))
def test_packets_of_an_admitted_client_are_answered_or_end_it(place: Site, data: bytes) -> None:
    token = place.token(subscribe=("#",), publish=("#",))
    with enter(place, token=token) as client:
        mark = place.record.mark()
        data += v5.encode(v5.Pingreq()) + v5.encode(v5.Disconnect())
        client.say(data)
        answers = rest(client, data)
        # After DISCONNECT of the server nothing is sent ([MQTT-3.14.4-1]).
        assert not any(isinstance(answer, v5.Disconnect) for answer in answers[:-1])
        ended = place.record.wait("connection.closed", client_id="dev-1", since=mark)
        if ended["reason"] == "protocol-error":
            assert not answers or isinstance(answers[-1], v5.Disconnect)


def test_no_fault_of_ours_has_shown(place: Site) -> None:
    assert place.record.events("internal.error") == []
    assert place.record.events("connect.refused", reason="validator-failed") == []
