"""Sequences of MQTT 5 that the gate once answered wrongly, or too slowly."""

import contextlib
import gc
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_broker import AUDIENCE, ISSUER, Site, site
from support_broker5 import client5, enter
from test_enhanced import DATA, NAME, again, ask, auth, ended, inside

from labkit.broker import Limits
from labkit.broker.admission import _is_jwt
from labkit.broker.message import of_packet
from labkit.broker.methods import OAuth2Pop
from labkit.tokens import AccessToken, TokenValidator
from labkit.wire import frame, v5
from labkit.wire.v5 import Property, encode_properties

P = Property
TOPIC = "devices/dev-1/t"


# What costs the broker more than the client.


def test_thousands_of_user_properties() -> None:
    """They took the square of their number: 13 s for one CONNECT, before anybody had seen a token."""
    many = (("", ""),) * 52_000
    packet = v5.Publish(topic=TOPIC, properties={P.USER_PROPERTY: many, P.CONTENT_TYPE: "x"})
    read = v5.parse(v5.encode(packet))
    assert isinstance(read, v5.Publish)
    assert read.properties[P.USER_PROPERTY] == many


_pieces = st.sampled_from([b"eyJ", b"a", b"-_aZ0123", b".", b" ", b"\xff", b"=", b"Bearer "])


@settings(deadline=None)
@given(field=st.lists(_pieces, max_size=12).map(b"".join))
def test_a_jwt_is_found_wherever_it_stands(field: bytes) -> None:
    """A shorter way to say it took the square of the time, which was 4 s for one CONNECT."""
    inside = re.search(rb"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*", field)
    if inside or field.startswith(b"eyJ"):
        assert _is_jwt(field)
    elif field.count(b".") not in (2, 4):
        assert not _is_jwt(field)


def test_a_user_name_full_of_beginnings(place: Site) -> None:
    with client5(place) as client:
        answer = client.enter("dev-1", "x" + "eyJ" * 21_000, username="x" + "eyJ" * 21_000)
        assert answer.reason_code == 0x86
        assert client.ended()


@pytest.mark.parametrize("pair", [("", ""), ("ä", "ö" * 40)])
def test_properties_count_as_what_they_take(pair: tuple[str, str]) -> None:
    """Empty ones counted nothing: a few thousand messages, of 6 MB in memory each, passed every limit."""
    packet = v5.Publish(topic=TOPIC, properties={P.USER_PROPERTY: (pair,) * 1000, P.CONTENT_TYPE: ""})
    assert of_packet(packet, 0).size >= len(v5.encode(packet)) + 1000 * sys.getsizeof(pair)


def test_what_is_retained_is_counted_with_its_properties() -> None:
    many = {P.USER_PROPERTY: (("", ""),) * 1000}
    with site(limits=Limits(max_retained_bytes=500_000)) as place, enter(place) as client:
        for number in range(5):
            assert client.tell(f"{TOPIC}/{number}", b"x", retain=True, properties=many) == 0
        assert len(place.record.events("retain.refused", reason="too-large")) == 2
        client.tell(f"{TOPIC}/0", retain=True)  # and all of it is given back
        client.tell(f"{TOPIC}/9", b"x", retain=True, properties=many)
        assert len(place.record.events("retain.refused", reason="too-large")) == 2


def test_a_message_for_many_is_written_once(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that sends 52 000 properties took 80 ms of everybody's time for each of its subscribers."""
    written: list[object] = []
    monkeypatch.setattr(
        v5, "encode_properties", lambda those: written.append(those) or encode_properties(those)
    )
    many = {P.USER_PROPERTY: (("a", "b"), ("", ""), ("a", "c"))}
    own = place.token(subscribe=("devices/#",))
    clients = [
        enter(place, f"sub-{n}", token=place.token(f"sub-{n}", subscribe=("devices/#",))) for n in range(5)
    ]
    with enter(place, token=own) as client, contextlib.ExitStack() as stack:
        for each in clients:
            stack.enter_context(each)
            each.ask("devices/#")
        assert client.tell(TOPIC, b"x", properties=many) == 0
        for each in clients:
            assert each.expect(v5.Publish).properties == many
    assert written == [many]


# What may be sent when.


@pytest.mark.parametrize("behind", [b"", bytes(300_000)])
def test_a_connect_that_is_too_long_hears_so(place: Site, behind: bytes) -> None:
    """Its version stands in its first bytes."""
    with client5(place) as client:
        client.say(b"\x10\xff\xff\x7f\0\4MQTT\5\2\0\0" + behind)
        assert client.expect(v5.Connack).reason_code == 0x95
        assert client.ended()


def test_an_unknown_method_is_what_is_wrong_first(place: Site) -> None:
    with client5(place) as client:
        properties = {NAME: "SCRAM-SHA-1", DATA: b"n,,n=user"}
        assert client.enter("dev-1", place.token(), properties=properties).reason_code == 0x8C
        assert client.ended()


def test_an_identifier_of_a_message_that_is_not_over(place: Site) -> None:
    """Spec: MQTT 5 §2.2.1."""
    with enter(place) as client:
        client.say(v5.Publish(topic=TOPIC, qos=2, packet_id=1))
        assert client.expect(v5.Pubrec).reason_code == 0
        client.say(v5.Publish(topic=TOPIC, qos=1, packet_id=1))
        assert client.expect(v5.Puback) == v5.Puback(packet_id=1, reason_code=0x91)
        assert client.ask("devices/dev-1/a", "devices/dev-1/b") == (0x91, 0x91)
        client.say(v5.Unsubscribe(packet_id=1, filters=(TOPIC,)))
        assert client.expect(v5.Unsuback).reason_codes == (0x91,)
        client.say(v5.Pubrel(packet_id=1))
        assert client.expect(v5.Pubcomp).reason_code == 0
        client.say(v5.Publish(topic=TOPIC, qos=1, packet_id=1))
        assert client.expect(v5.Puback).reason_code == 0
    assert len(place.record.events("publish.accepted")) == 2


@pytest.mark.parametrize(("topic", "qos"), [(TOPIC, 1), (TOPIC, 2), ("devices/dev-2/t", 2)])
def test_every_message_under_way_counts(place: Site, topic: str, qos: int) -> None:
    """Spec: [MQTT-3.3.4-7], of which QoS 1 and refused messages are no exception."""
    with enter(place) as client:
        for number in range(1, 101):
            client.say(v5.Publish(topic=TOPIC, qos=2, packet_id=number))
            assert client.expect(v5.Pubrec).reason_code == 0
        client.say(v5.Publish(topic=TOPIC, qos=2, packet_id=7, dup=True), v5.Publish(topic=TOPIC))
        assert client.expect(v5.Pubrec).packet_id == 7
        client.say(v5.Publish(topic=topic, qos=qos, packet_id=101))
        ended(client, 0x93)


@pytest.mark.parametrize(("many", "code"), [(13, None), (14, 0x95), (5000, 0x95)])
def test_an_answer_that_the_client_does_not_take(place: Site, many: int, code: int | None) -> None:
    """SUBACK and UNSUBACK cannot be cut, and must be sent: [MQTT-3.8.4-1], [MQTT-3.10.4-4], §3.1.2.11.4."""
    filters = tuple(f"devices/dev-1/{number}" for number in range(many))
    wishes = tuple(v5.Subscription(topic_filter=each) for each in filters)
    for packet in (
        v5.Subscribe(packet_id=1, subscriptions=wishes),
        v5.Unsubscribe(packet_id=1, filters=filters),
    ):
        with enter(place, properties={P.MAXIMUM_PACKET_SIZE: 18}) as client:
            client.say(packet)
            if code is not None:
                ended(client, code)
                continue
            assert len(client.receive().reason_codes) == many
            assert client.silent()
    if code is not None:
        assert not place.record.events("subscribe.accepted")


# Who is refused.


def test_who_is_told_why_and_says_nothing_was_refused_all_the_same() -> None:
    """The time for CONNECT ends it, but the token is the reason."""
    with site(limits=Limits(connect_timeout=1.0)) as place, client5(place) as client:
        assert ask(client, "OAUTHBEARER", b"n,,\x01auth=Bearer x\x01\x01").reason_code == 0x18
        assert client.expect(v5.Connack).reason_code == 0x87
        assert client.ended()
        (refusal,) = place.record.events("connect.refused")
        assert (refusal["client_id"], refusal["reason"]) == ("dev-1", "malformed")


@pytest.mark.parametrize("word", [None, v5.Disconnect(), auth("OAUTHBEARER", 0x18, b"\x01"), v5.Pingreq()])
def test_who_is_told_why_is_written_down(place: Site, word: v5.Packet | None) -> None:
    """Guesses that are never answered would else leave no trace."""
    with client5(place) as client:
        assert ask(client, "OAUTHBEARER", b"n,,\x01auth=Bearer x\x01\x01").reason_code == 0x18
        (refusal,) = place.record.events("connect.refused")
        assert (refusal["reason"], refusal["return_code"]) == ("malformed", 0x87)
        client.leave() if word is None else client.say(word)
        list(iter(client.receive, None))
    assert len(place.record.events("connect.refused")) == 1


# Re-authentication.


def test_no_method_keeps_a_token(place: Site) -> None:
    """Its text is needed no more once it is judged; a connection lives for hours."""

    def kept() -> list[str]:
        return [each._token for each in gc.get_objects() if isinstance(each, OAuth2Pop) and each._token]

    with inside(place, "OAUTH2-POP") as client:
        assert kept() == []
        assert again(client, place, "OAUTH2-POP").reason_code == 0
        assert kept() == []


def test_the_end_is_that_of_the_token_that_was_there(place: Site) -> None:
    with inside(place) as client:
        again(client, place)
        (live,) = place.broker.connections
        client.say(v5.Disconnect())
        assert client.receive() is None
        assert place.record.wait("connection.closed", client_id="dev-1")["jti"] == live.jti


class Slow:
    """A validator that waits for the network, when it is told to."""

    def __init__(self) -> None:
        self.inner: TokenValidator | None = None
        self.slow = False
        self.broken = False
        self.asked = threading.Semaphore(0)
        self.answer = threading.Event()

    def ready_for(self, token: str) -> bool:
        return not self.slow

    def validate(self, token: str, *, client_id: str | None = None, **facts: Any) -> AccessToken:
        assert self.inner is not None
        if self.slow:
            self.asked.release()
            assert self.answer.wait(20)
        if self.broken:
            raise OSError("nobody is there")
        return self.inner.validate(token, client_id=client_id, **facts)


@pytest.fixture
def slow() -> Iterator[tuple[Site, Slow]]:
    validator = Slow()
    with site(validator=validator, limits=Limits(max_deciding=2)) as place:
        validator.inner = TokenValidator(ISSUER, AUDIENCE, place.issuer.jwks, clock=place.clock)
        try:
            yield place, validator
        finally:
            validator.answer.set()


def test_strangers_do_not_put_out_who_is_in(slow: tuple[Site, Slow]) -> None:
    """However many wait for a decision: a re-authentication that is refused would end the connection."""
    place, validator = slow
    with inside(place) as client, client5(place) as one, client5(place) as two, client5(place) as three:
        validator.slow = True
        for stranger in (one, two):
            stranger.say(v5.Connect(client_id="dev-2", password=b"opaque"))
            assert validator.asked.acquire(timeout=5)
        assert three.enter("dev-3", "opaque").reason_code == 0x89
        client.say(auth("OAUTH2-JWT", 0x19, place.token().encode()))
        assert validator.asked.acquire(timeout=5)
        assert client.tell(TOPIC) == 0  # the traffic goes on
        validator.answer.set()
        assert client.receive() == auth("OAUTH2-JWT", 0x00)


def test_strangers_are_not_first_in_line() -> None:
    """They may wait for as long as their introspection takes, and a token ends meanwhile."""
    validator = Slow()
    with site(validator=validator) as place, contextlib.ExitStack() as stack:
        validator.inner = TokenValidator(ISSUER, AUDIENCE, place.issuer.jwks, clock=place.clock)
        stack.callback(validator.answer.set)
        client = stack.enter_context(inside(place))
        validator.slow = True
        mark = place.record.mark()
        for number in range(12):
            stranger = stack.enter_context(client5(place))
            stranger.say(v5.Connect(client_id=f"dev-{number + 2}", password=b"opaque"))
            place.record.wait("decision.pending", client_id=f"dev-{number + 2}", since=mark)
        for _ in range(8):  # all threads
            assert validator.asked.acquire(timeout=5)
        client.say(auth("OAUTH2-JWT", 0x19, place.token().encode()))
        assert validator.asked.acquire(timeout=5)
        validator.answer.set()
        assert client.receive() == auth("OAUTH2-JWT", 0x00)


def test_nobody_can_tell_is_not_the_tokens_fault(slow: tuple[Site, Slow]) -> None:
    """A device that hears 0x87 gets another token; here it has to come again later."""
    place, validator = slow
    with inside(place) as client:
        validator.broken = True
        client.say(auth("OAUTH2-JWT", 0x19, place.token().encode()))
        ended(client, 0x89)
    assert place.record.wait("connection.closed", client_id="dev-1")["reason"] == "unconfirmed"


def test_a_verdict_that_comes_too_late(slow: tuple[Site, Slow]) -> None:
    """Taken over, revoked, expired, or doubled while the validator thinks: it changes nothing any more."""
    place, validator = slow

    def asked(name: str) -> Any:
        validator.slow = False
        client = inside(place, client_id=name)
        validator.slow = True
        client.say(auth("OAUTH2-JWT", 0x19, place.token(name).encode()))
        assert validator.asked.acquire(timeout=5)
        return client

    with asked("twice") as client:
        client.say(auth("OAUTH2-JWT", 0x19, place.token("twice").encode()))
        ended(client, 0x82)
    with asked("revoked") as client:
        place.broker.revoked(place.broker.connections[0].jti, "revoked")
        ended(client, 0x87)
    with asked("expired") as client:
        place.clock.advance(seconds=300)
        ended(client, 0x87)
    with asked("taken-over") as client:
        validator.slow = False
        with enter(place, "taken-over") as other:
            ended(client, 0x8E)
            validator.answer.set()
            assert other.silent()
    assert not place.record.events("reauth.accepted")


def test_a_long_body_of_nothing(place: Site) -> None:
    """An AUTH that is longer than was announced, before and after CONNACK."""
    with client5(place) as client:
        ask(client, "OAUTH2-POP", b"x")
        client.say(frame(0xF0, bytes(270_000)))
        assert client.expect(v5.Connack).reason_code == 0x95
        assert client.ended()
    with inside(place) as client:
        client.say(frame(0xF0, bytes(270_000)))
        ended(client, 0x95)


def test_one_question_at_a_time_is_free(slow: tuple[Site, Slow]) -> None:
    """Who comes back again and again before the answer, waits in line with the strangers."""
    place, validator = slow
    for count in range(4):
        validator.slow = False
        with inside(place) as client:
            validator.slow = True
            client.say(auth("OAUTH2-JWT", 0x19, place.token().encode()))
            if count < 2:  # the limit of this site
                assert validator.asked.acquire(timeout=5)
            else:
                ended(client, 0x89)
