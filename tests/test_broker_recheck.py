"""Asking again about live connections, with a validator that can be made to say anything."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from support_broker import AUDIENCE, ISSUER, Site, site

from labkit.broker.recheck import GRACE
from labkit.errors import InvalidToken, NotAllowed, ServiceFailed, Undecided
from labkit.tokens import AccessToken, TokenValidator

EVERY = 16.0


class Scripted:
    """Validates like a TokenValidator, and answers the second question as it is told."""

    def __init__(self) -> None:
        self.real: TokenValidator | None = None
        self.site: Site | None = None
        self.trouble: BaseException | None = None
        self.revoked = ""
        self.asked: list[tuple[float, str | None]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.arrived = threading.Semaphore(0)

    def ready_for(self, token: str) -> bool:
        return True

    def validate(self, token: str, client_id: str | None = None) -> AccessToken:
        assert self.real is not None
        assert self.site is not None
        return replace(self.real.validate(token, client_id), confirmed_at=self.site.clock.now())

    def ask_again(self, token: str, client_id: str | None = None) -> AccessToken:
        assert self.site is not None
        self.asked.append((self.site.clock.now(), client_id))
        self.arrived.release()
        self.may_answer.wait(10)
        if token == self.revoked:
            raise InvalidToken("inactive")
        if self.trouble is not None:
            raise self.trouble
        return self.validate(token, client_id)


def asking(**options: Any) -> Any:
    """A running site with a scripted validator, and that."""
    scripted = Scripted()
    place = site(validator=scripted, recheck_every=EVERY, **options)
    running = place.__enter__()
    scripted.site = running
    scripted.real = TokenValidator(ISSUER, AUDIENCE, running.issuer.jwks, clock=running.clock)
    return place, running, scripted


@pytest.fixture
def parts() -> Any:
    place, running, scripted = asking()
    yield running, scripted
    scripted.may_answer.set()
    place.__exit__(None, None, None)


def test_it_asks_every_interval_never_later_and_not_much_sooner(parts: Any) -> None:
    place, scripted = parts
    client = place.connect("dev-1", lifetime=3600)
    began = place.clock.now()
    for _ in range(400):
        place.clock.advance(seconds=0.73)
    assert client.silent()
    moments = [at - began for at, _ in scripted.asked]
    assert {name for _, name in scripted.asked} == {"dev-1"}
    gaps = [later - earlier for earlier, later in zip([0.0, *moments], moments, strict=False)]
    assert gaps[0] <= EVERY
    assert all(EVERY * 14 / 16 <= gap <= EVERY for gap in gaps[1:])
    assert len(moments) >= 17


@pytest.mark.parametrize("refusal", [InvalidToken("inactive"), NotAllowed("missing-scope")])
def test_a_no_ends_the_connection_and_advance_waits_for_it(parts: Any, refusal: Exception) -> None:
    place, scripted = parts
    client = place.connect("dev-1", lifetime=3600)
    scripted.trouble = refusal
    place.clock.advance(seconds=EVERY)
    assert place.broker.connections == []
    assert place.record.events("token.revoked", client_id="dev-1")
    assert place.record.events("connection.closed", client_id="dev-1", reason="revoked")
    assert client.ended()
    place.connect("dev-1", lifetime=3600)


@pytest.mark.parametrize("trouble", [Undecided("unreachable"), RuntimeError("a fault of the validator's")])
def test_no_answer_ends_it_after_the_grace_and_not_before(parts: Any, trouble: Exception) -> None:
    place, scripted = parts
    client = place.connect("dev-1", lifetime=3600)
    scripted.trouble = trouble
    place.clock.advance(seconds=(GRACE - 0.2) * EVERY)
    assert client.silent()
    (failed,) = place.record.events("recheck.failed", client_id="dev-1")
    assert failed["reason"] == ("unreachable" if isinstance(trouble, Undecided) else "validator-failed")
    place.clock.advance(seconds=0.2 * EVERY)
    assert client.ended()
    assert place.record.events("token.unconfirmed", client_id="dev-1")


def test_a_question_that_hangs_is_not_asked_twice(parts: Any) -> None:
    """A clock that is advanced waits for the answer.  A real one does not, and the next turn comes."""
    place, scripted = parts
    client = place.connect("dev-1", lifetime=3600)
    rechecks = place.broker._rechecks
    rechecks._round()
    scripted.may_answer.clear()
    under_way = []
    for _ in range(4):
        for turn in rechecks._turns.values():
            turn.due = place.clock.now()
        under_way.append(rechecks._round())
    assert scripted.arrived.acquire(timeout=5)
    assert under_way[1:] == [None, None, None]
    scripted.may_answer.set()
    under_way[0].result(10)
    assert len(scripted.asked) == 1
    assert client.silent()


def test_a_connection_that_is_replaced_or_gone_is_not_asked_about(parts: Any) -> None:
    place, scripted = parts
    first = place.connect("dev-1", lifetime=3600)
    second = place.connect("dev-1", lifetime=3600)
    assert first.ended()
    place.clock.advance(seconds=EVERY)
    assert len(scripted.asked) == 1
    second.close()
    place.record.wait("connection.closed", client_id="dev-1", reason="closed-by-client")
    place.clock.advance(seconds=10 * EVERY)
    assert len(scripted.asked) == 1
    assert place.broker._rechecks._turns == {}


def test_a_no_about_an_earlier_token_does_not_end_the_connection_with_a_newer_one(parts: Any) -> None:
    place, scripted = parts
    scripted.may_answer.clear()
    scripted.revoked = place.token("dev-1", lifetime=3600)
    old = place.connect("dev-1", token=scripted.revoked)
    moving = threading.Thread(target=place.clock.advance, kwargs={"seconds": EVERY})
    moving.start()
    assert scripted.arrived.acquire(timeout=5)
    new = place.connect("dev-1", lifetime=3600)  # the device has refreshed
    assert old.ended()
    scripted.may_answer.set()
    moving.join(10)
    assert new.silent()
    assert not place.record.events("token.revoked")


def test_it_stops_with_the_broker_whatever_it_does_at_the_moment(parts: Any) -> None:
    place, scripted = parts
    before = {thread.name for thread in threading.enumerate()}
    for _ in range(2):
        clients = [place.connect(f"dev-{number}", lifetime=3600) for number in range(8)]
        scripted.may_answer.clear()
        moving = threading.Thread(target=place.clock.advance, kwargs={"seconds": EVERY})
        moving.start()
        assert scripted.arrived.acquire(timeout=5)
        stopping = threading.Thread(target=place.broker.stop)
        stopping.start()
        scripted.may_answer.set()
        stopping.join(10)
        moving.join(10)
        assert not stopping.is_alive()
        assert not moving.is_alive()
        assert all(client.ended() for client in clients)
        place.broker.start()
    place.broker.stop()
    left = {t.name for t in threading.enumerate()} - before
    assert not [name for name in left if name.startswith("labkit-recheck")]
    place.clock.advance(seconds=10 * EVERY)  # nobody is asked about any more


def test_only_who_can_ask_is_told_to_ask_again() -> None:
    with pytest.raises(ServiceFailed, match="asks the authorization server"), site(recheck_every=10):
        pass
    for every in (0, -1, float("inf"), float("nan")):
        with (
            pytest.raises(ServiceFailed, match="more than zero"),
            site(validator=Scripted(), recheck_every=every),
        ):
            pass
