"""How long a revoked token lives on, in every mode, and what happens while nobody can be asked.

======================  ===================  ============================================
validation              told (push)          not told
======================  ===================  ============================================
jwt                     ends at once         ends at exp
introspection, both     ends at once         ends within ``introspection_ttl`` (poll)
                                             three times that, if the server is down
======================  ===================  ============================================
"""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from support_lab import admitted, code_for, knock, standing

from labkit import Lab
from labkit.authserver.faults import Faults
from labkit.errors import ServiceFailed
from labkit.tokens import MODES

ASKING = ("introspection", "both")
#: Every way to run the broker that asks: mode and token format.
ASKED = [("introspection", "jwt"), ("introspection", "opaque"), ("both", "jwt")]
TTL = 10.0


@pytest.mark.parametrize("mode", MODES)
def test_told_by_the_server_a_live_connection_ends_at_once(mode: str) -> None:
    with standing(validation=mode) as lab:
        lab.register("dev-1")
        lab.register("dev-2")
        token = lab.token("dev-1")
        first, other = admitted(lab, "dev-1", token), admitted(lab, "dev-2")
        lab.revoke("dev-1")
        assert [each.client_id for each in lab.broker.connections] == ["dev-2"]
        assert first.ended()
        assert other.silent()
        assert code_for(lab, "dev-1", token) == 4  # whatever was kept about it
        assert lab.record.events("token.revoked", source="broker", client_id="dev-1")


def test_by_itself_and_untold_a_broker_goes_on_until_exp() -> None:
    with standing(push_revocation=False) as lab:
        lab.register("dev-1", lifetime=300)
        token = lab.token("dev-1")
        client = admitted(lab, "dev-1", token)
        lab.revoke("dev-1")
        lab.clock.advance(seconds=299)
        assert client.silent()
        assert code_for(lab, "dev-1", token) == 0  # the price of asking nobody
        client = admitted(lab, "dev-1", token)
        lab.clock.advance(seconds=1)
        assert client.ended()
        assert lab.record.events("token.expired", client_id="dev-1")
        assert code_for(lab, "dev-1", token) == 4


@pytest.mark.parametrize(("mode", "token_format"), ASKED)
def test_asking_again_ends_a_live_connection_within_the_ttl(mode: str, token_format: str) -> None:
    with standing(
        validation=mode, token_format=token_format, introspection_ttl=TTL, push_revocation=False
    ) as lab:
        names = [f"dev-{number}" for number in range(12)]
        clients = {}
        for name in names:  # let in at different moments
            lab.register(name, lifetime=3600)
            clients[name] = admitted(lab, name)
            lab.clock.advance(seconds=0.7)
        lab.clock.advance(seconds=5 * TTL)
        assert len(lab.broker.connections) == 12  # asked about five times, and good
        for name in names[::2]:
            lab.revoke(name)
        assert len(lab.broker.connections) == 12  # nobody has told the broker
        lab.clock.advance(seconds=TTL)
        assert [each.client_id for each in lab.broker.connections] == names[1::2]
        for name in names[::2]:
            assert clients[name].ended()
            (event,) = lab.record.events("token.revoked", source="broker", client_id=name)
            (closed,) = lab.record.events("connection.closed", client_id=name)
            assert closed["reason"] == "revoked"
            assert event.at <= lab.clock.now()
        for name in names[1::2]:
            assert clients[name].silent()


@pytest.mark.parametrize(("mode", "token_format"), ASKED)
def test_an_answer_that_was_kept_does_not_add_to_the_ttl(mode: str, token_format: str) -> None:
    with standing(
        validation=mode, token_format=token_format, introspection_ttl=TTL, push_revocation=False
    ) as lab:
        lab.register("dev-1", lifetime=3600)
        token = lab.token("dev-1")
        assert code_for(lab, "dev-1", token) == 0
        lab.revoke("dev-1")
        lab.clock.advance(seconds=TTL - 1)
        client = admitted(lab, "dev-1", token)  # by the kept answer, which is nine seconds old
        lab.clock.advance(seconds=1)
        assert client.ended()
        assert code_for(lab, "dev-1", token) == 4


@pytest.mark.parametrize("mode", ASKING)
def test_without_the_server_connections_live_on_for_three_ttls_and_not_longer(mode: str) -> None:
    with standing(validation=mode, introspection_ttl=TTL, push_revocation=False) as lab:
        for name in ("dev-1", "dev-2"):
            lab.register(name, lifetime=3600)
        first, second = admitted(lab, "dev-1"), admitted(lab, "dev-2")
        lab.authserver.stop()
        lab.clock.advance(seconds=2 * TTL)
        assert first.silent()
        lab.authserver.start()
        lab.clock.advance(seconds=TTL)  # confirmed in time: it starts again
        assert len(lab.record.events("recheck.failed")) == 2  # said once for each, not at every turn
        lab.authserver.stop()
        lab.clock.advance(seconds=1.8 * TTL)
        assert first.silent()
        assert second.silent()
        lab.clock.advance(seconds=1.2 * TTL)
        assert lab.broker.connections == []
        assert first.ended()
        for name in ("dev-1", "dev-2"):
            assert lab.record.events("token.unconfirmed", client_id=name)
            assert lab.record.events("connection.closed", client_id=name, reason="unconfirmed")


def test_a_token_that_is_revoked_during_an_outage_ends_with_the_outage_or_after_three_ttls() -> None:
    with standing(validation="introspection", introspection_ttl=TTL, push_revocation=False) as lab:
        lab.register("dev-1", lifetime=3600)
        client = admitted(lab, "dev-1")
        lab.authserver.stop()
        lab.revoke("dev-1")
        lab.clock.advance(seconds=2 * TTL)
        assert client.silent()
        lab.authserver.start()
        lab.clock.advance(seconds=TTL)
        assert client.ended()
        assert lab.record.events("token.revoked", source="broker", client_id="dev-1")


@pytest.mark.parametrize("mode", ASKING)
@pytest.mark.conformance("RS-32")
def test_no_kept_answer_and_no_connection_outlives_the_token(mode: str) -> None:
    with standing(validation=mode, introspection_ttl=60, push_revocation=False) as lab:
        lab.register("dev-1", lifetime=20)
        token = lab.token("dev-1")
        client = admitted(lab, "dev-1", token)
        lab.clock.advance(seconds=19)
        assert code_for(lab, "dev-1", token) == 0
        client = admitted(lab, "dev-1", token)
        lab.clock.advance(seconds=1)
        assert client.ended()
        assert lab.record.events("token.expired", client_id="dev-1")
        assert code_for(lab, "dev-1", token) == 4
        lab.authserver.stop()
        assert code_for(lab, "dev-1", token) in (3, 4)


@pytest.mark.conformance("RS-31")
@pytest.mark.parametrize("active", ['"true"', "1", "null", "[true]", "false"])
def test_only_json_true_opens_the_door_and_keeps_it_open(active: str) -> None:
    with standing(validation="both", introspection_ttl=TTL, push_revocation=False) as lab:
        lab.register("dev-1", lifetime=3600)
        client = admitted(lab, "dev-1")
        body = b'{"active":%s}' % active.encode()
        with lab.authserver.faults.garbage(body, path=lab.introspection_endpoint):
            assert code_for(lab, "dev-1", lab.token("dev-1")) == 4
            assert client.silent()
            lab.clock.advance(seconds=TTL)
            assert client.ended()
        assert code_for(lab, "dev-1", lab.token("dev-1")) == 0


FAULTS: list[Callable[[Faults], Any]] = [
    lambda faults: faults.status(503),
    lambda faults: faults.status(401),
    lambda faults: faults.garbage(),
    lambda faults: faults.garbage(b'{"active":true,"active":false}'),
    lambda faults: faults.drop(),
]


@pytest.mark.conformance("RS-33")
@pytest.mark.parametrize("order", FAULTS)
@pytest.mark.parametrize("mode", MODES)
def test_when_nobody_can_tell_the_answer_is_connack_3_in_every_mode(
    mode: str, order: Callable[[Faults], Any]
) -> None:
    with standing(validation=mode) as lab:
        lab.register("dev-1", lifetime=3600)
        token = lab.token("dev-1")
        with order(lab.authserver.faults):
            assert code_for(lab, "dev-1", token) == 3  # no keys yet, no answer yet
        lab.clock.advance(seconds=60)  # the next try for keys
        assert code_for(lab, "dev-1", token) == 0


@pytest.mark.parametrize("mode", MODES)
def test_what_each_mode_does_while_the_server_is_down(mode: str) -> None:
    with standing(validation=mode, introspection_ttl=TTL) as lab:
        for name in ("dev-1", "dev-2"):
            lab.register(name, lifetime=3600)
        token, unseen = lab.token("dev-1"), lab.token("dev-2")
        live = admitted(lab, "dev-1", token)
        lab.authserver.stop()
        assert code_for(lab, "dev-2", unseen) == (0 if mode == "jwt" else 3)
        assert live.silent()  # told by push, and nobody tells: it lives on
        client, code = knock(lab, "dev-1", token)
        assert code == 0  # by what is known, or was said a moment ago
        lab.clock.advance(seconds=TTL)
        assert client.silent()
        assert code_for(lab, "dev-1", token) == (0 if mode == "jwt" else 3)
        lab.authserver.start()
        assert code_for(lab, "dev-1", token) == 0


def test_a_device_lives_with_opaque_tokens_as_with_any(lab: Lab) -> None:
    with Lab(validation="introspection", token_format="opaque") as opaque:
        opaque.register("dev-1", lifetime=300)
        with opaque.device("dev-1") as device:
            device.subscribe("devices/dev-1/#")
            opaque.clock.advance(minutes=20)
            device.publish("devices/dev-1/up", "21.5")
            assert device.receive().payload == b"21.5"
            assert "." not in device.token()
            assert len(opaque.record.events("refreshed")) >= 4
            assert not opaque.record.events("token.expired")
        for carrier in ("username", "password"):
            with opaque.device("dev-1", carrier=carrier) as device:
                device.publish("devices/dev-1/up", "1")
    lab.register("dev-1")
    assert code_for(lab, "dev-1", "an-opaque-token-for-a-broker-that-asks-nobody") == 4


def test_questions_are_spread_over_the_interval_and_few_at_a_time() -> None:
    with standing(validation="introspection", introspection_ttl=16, push_revocation=False) as lab:
        count, clients = 128, []
        for number in range(count):
            lab.register(f"dev-{number}", lifetime=3600)
            clients.append(admitted(lab, f"dev-{number}"))  # all at the same moment
        lab.clock.advance(seconds=16)
        mark, asked = lab.record.mark(), []
        for _ in range(48):
            lab.clock.advance(seconds=1)
            asked.append(len(lab.record.events("introspection", since=mark)))
            mark = lab.record.mark()
        assert max(asked) <= 2 * count / 16
        assert asked.count(0) <= 3  # one part of each interval may be empty
        assert 3 * count <= sum(asked) <= 3 * count * 16 / 15 + 16

        hold = lab.authserver.faults.hold(path=lab.introspection_endpoint)
        moving = threading.Thread(target=lab.clock.advance, kwargs={"seconds": 16})
        moving.start()
        hold.wait(4)
        assert lab.token("dev-1")  # the server does other things meanwhile
        assert hold.hits == 4
        hold.release()
        moving.join(20)
        assert not moving.is_alive()
        assert len(lab.broker.connections) == count
        assert clients[-1].silent()


def test_a_broker_that_is_told_keeps_no_text_of_a_token() -> None:
    for push in (True, False):
        with standing(validation="introspection", token_format="opaque", push_revocation=push) as lab:
            lab.register("dev-1")
            client = admitted(lab, "dev-1")
            gate = lab.broker._gate_keeper
            assert gate is not None
            guest = gate.live["dev-1"].guest
            assert guest is not None
            assert (guest.ask_again is None) is push
            assert "ask_again" not in repr(guest)
            assert client.silent()


def test_the_broker_of_a_lab_can_be_restarted_while_it_asks() -> None:
    with standing(validation="both", introspection_ttl=TTL, push_revocation=False) as lab:
        lab.register("dev-1", lifetime=3600)
        first = admitted(lab, "dev-1")
        lab.broker.stop()
        assert first.ended()
        lab.clock.advance(seconds=30)
        lab.broker.start()
        client = admitted(lab, "dev-1")
        lab.revoke("dev-1")
        lab.clock.advance(seconds=TTL)
        assert client.ended()


def test_what_makes_no_sense_together_is_a_sentence() -> None:
    for mode in ("jwt", "both"):
        with pytest.raises(ServiceFailed, match="opaque token says nothing"):
            Lab(validation=mode, token_format="opaque")
    with pytest.raises(ServiceFailed, match="every 0 s"):
        Lab(validation="both", introspection_ttl=0, push_revocation=False)
    with pytest.raises(ValueError, match="choose jwt, introspection, both"):
        Lab(validation="guess")
    with pytest.raises(ServiceFailed, match="jwt or opaque"):
        Lab(token_format="paseto")
    with Lab(validation="introspection", introspection_ttl=0) as lab:  # asks every time
        lab.register("dev-1")
        token = lab.token("dev-1")
        assert [code_for(lab, "dev-1", token) for _ in range(2)] == [0, 0]
        assert len(lab.record.events("introspection")) == 2
