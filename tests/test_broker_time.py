"""What ends by itself: tokens, keep alive, CONNECTs that do not come, and packets that do not end."""

import asyncio
import threading

import pytest
from support_broker import AUDIENCE, ISSUER, Site, site

from labkit.broker import Limits
from labkit.errors import Undecided
from labkit.tokens import AccessToken, TokenValidator
from labkit.wire import Connack, Connect, Publish, Will, encode


@pytest.mark.conformance("RS-42")
def test_a_live_connection_ends_with_its_token_and_advance_waits_for_it(place: Site) -> None:
    watcher = place.connect("watcher", subscribe=("devices/#",), lifetime=1000)
    watcher.subscribe("devices/#")
    client = place.connect("dev-1", lifetime=60, will=Will(topic="devices/dev-1/will", payload=b"expired"))
    place.clock.advance(seconds=59)
    assert client.silent()  # idle, and in
    place.clock.advance(seconds=1)
    # All of it has happened when advance() returns.
    assert [c.client_id for c in place.broker.connections] == ["watcher"]
    assert place.record.events("token.expired", client_id="dev-1", jti="jti-2")
    assert place.record.events("connection.closed", client_id="dev-1", reason="expired")
    assert client.ended()
    assert watcher.expect(Publish).payload == b"expired"


def test_the_leeway_is_added_to_the_life_of_a_connection() -> None:
    with site(leeway=10) as place:
        client = place.connect("dev-1", lifetime=60)
        place.clock.advance(seconds=69)
        assert client.silent()
        place.clock.advance(seconds=1)
        assert client.ended()


def test_a_connection_that_was_taken_over_does_not_take_the_newer_one_along(place: Site) -> None:
    place.connect("dev-1", lifetime=60)
    newer = place.connect("dev-1", lifetime=120)
    place.clock.advance(seconds=61)
    assert newer.silent()
    place.clock.advance(seconds=60)
    assert newer.ended()


def test_a_revoked_token_ends_its_connection_at_once_and_is_not_let_in_again(place: Site) -> None:
    token = place.token()
    client = place.connect("dev-1", token=token)
    place.broker.revoked("another", "dev-1")
    assert client.silent()
    place.broker.revoked("jti-1", "dev-1")
    assert place.broker.connections == []
    assert client.ended()
    assert place.record.wait("token.revoked")["jti"] == "jti-1"
    assert place.client().connect("dev-1", token).return_code == 4
    place.connect("dev-1")  # a new token is good
    place.broker.revoked(None, "dev-1")  # the client as a whole
    assert place.broker.connections == []
    place.broker.stop()
    place.broker.revoked("jti-2", "dev-1")  # nobody there: no error


def test_a_connection_can_be_closed_by_its_client_id(place: Site) -> None:
    client = place.connect("dev-1")
    assert place.broker.disconnect("dev-1") is True
    assert client.ended()
    assert place.broker.disconnect("dev-1") is False


@pytest.mark.conformance("RS-59")
def test_a_silent_client_is_closed_after_one_and_a_half_keep_alives(place: Site) -> None:
    """Measured on amqtt alone: keep alive is never enforced."""
    watcher = place.connect("watcher", subscribe=("devices/#",))
    watcher.subscribe("devices/#")
    will = Will(topic="devices/dev-1/will", payload=b"silent")
    start = place.broker.call(_now())
    client = place.connect("dev-1", keep_alive=1, will=will)
    client.send(b"\x30")  # the start of a packet is no packet
    assert client.ended()
    assert 1.4 < place.broker.call(_now()) - start < 3
    place.record.wait("connection.closed", client_id="dev-1", reason="keep-alive")
    assert watcher.expect(Publish).payload == b"silent"


async def _now() -> float:
    return asyncio.get_running_loop().time()


def test_the_connect_must_come_in_time() -> None:
    """Measured on amqtt alone: a silent socket stays for ever."""
    with site(limits=Limits(connect_timeout=0.2)) as place:
        silent, half = place.client(), place.client()
        half.send(encode(Connect(client_id="dev-1"))[:-1])
        assert silent.ended()
        assert half.ended()
        client = place.connect("dev-1")
        place.record.wait("protocol.error", reason="no CONNECT in time")
        assert client.silent()


def test_a_packet_must_end_in_time() -> None:
    with site(limits=Limits(packet_timeout=0.2)) as place:
        client = place.connect("dev-1")
        client.send(encode(Publish(topic="devices/dev-1/x", payload=b"x" * 1000))[:-1])
        assert client.ended()
        place.record.wait("connection.closed", reason="packet-timeout")


class Slow:
    """A validator whose answer needs the network, and takes its time."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.answer = threading.Event()
        self.real: TokenValidator | None = None

    def ready_for(self, token: str) -> bool:
        return False

    def validate(self, token: str, client_id: str | None = None) -> AccessToken:
        self.asked.release()
        self.answer.wait(5)
        if self.real is None:
            raise Undecided("unreachable")
        return self.real.validate(token, client_id)


def test_a_slow_yes_lets_in_who_is_still_there_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    with site(validator=slow, limits=Limits(max_pending=2)) as place:
        slow.real = TokenValidator(ISSUER, AUDIENCE, place.issuer.jwks, clock=place.clock)
        pushed_out, patient = place.client(), place.client()
        for name, client in (("dev-1", pushed_out), ("dev-2", patient)):
            client.send(Connect(client_id=name, username=name, password=place.token(name).encode()))
            slow.asked.acquire(timeout=5)
        with place.client():
            assert pushed_out.ended()
            slow.answer.set()
            assert patient.expect(Connack).return_code == 0
        patient.publish("devices/dev-2/x", b"in")
        assert [c.client_id for c in place.broker.connections] == ["dev-2"]
    assert not place.record.events("connect.accepted", client_id="dev-1")
    assert not caplog.records


@pytest.mark.conformance("RS-33")
def test_a_slow_validator_holds_up_nobody_else_and_fails_closed() -> None:
    slow = Slow()
    with site(validator=slow, limits=Limits(max_deciding=2, max_pending=4)) as place:
        waiting = [place.client() for _ in range(2)]
        for client in waiting:
            client.send(Connect(client_id="dev-1", username="dev-1", password=b"x"))
            slow.asked.acquire(timeout=5)
        # The loop is free: a third is told to come back, a silent one is still listened to.
        with place.client() as third:
            assert third.connect("dev-1", "x").return_code == 3
        place.record.wait("connect.refused", reason="busy")
        slow.answer.set()
        for client in waiting:
            assert client.expect(Connack).return_code == 3
            assert client.ended()


def test_a_validator_that_does_not_answer_in_time_means_no() -> None:
    slow = Slow()
    with site(validator=slow, limits=Limits(connect_timeout=0.2)) as place:
        with place.client() as client:
            assert client.connect("dev-1", "x").return_code == 3
            assert client.ended()
        slow.answer.set()


def test_a_client_that_gives_up_while_it_is_judged_is_forgotten() -> None:
    slow = Slow()
    with site(validator=slow) as place:
        client = place.client()
        client.send(Connect(client_id="dev-1", username="dev-1", password=b"x"))
        slow.asked.acquire(timeout=5)
        client.cut()
        slow.answer.set()
    assert not place.record.events("connect.accepted")
