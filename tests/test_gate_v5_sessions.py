"""MQTT 5: sessions that end by the clock, and wills that wait."""

from collections.abc import Iterator
from typing import Any

import pytest
from support_broker import Site
from support_broker5 import Client5, client5, enter

from labkit.wire import Publish, v5
from labkit.wire.v5 import Property

P = Property
TOPIC = "devices/dev-1/x"


@pytest.fixture
def witness(place: Site) -> Iterator[Any]:
    """Somebody who hears everything, for long."""
    with place.connect("witness", subscribe=("#",), publish=("#",), lifetime=10_000_000) as old:
        old.subscribe("#")
        yield old


def member(place: Site, expiry: int | None, *, clean: bool = False, **options: Any) -> tuple[Client5, bool]:
    """dev-1, with a session that is kept so long, and whether there was one."""
    client = client5(place)
    properties = {} if expiry is None else {P.SESSION_EXPIRY_INTERVAL: expiry}
    token = place.token(lifetime=10_000_000)
    answer = client.enter("dev-1", token, clean_start=clean, properties=properties, **options)
    assert answer.reason_code == 0
    return client, answer.session_present


def part(place: Site, client: Client5, *words: v5.Disconnect) -> None:
    """Leave, and wait until the broker has noticed."""
    mark = place.record.mark()
    client.say(*words)
    client.close()
    place.record.wait("connection.closed", since=mark, client_id="dev-1")


@pytest.mark.parametrize(
    ("expiry", "away", "kept"),
    [(None, 0, False), (0, 0, False), (60, 59, True), (60, 60, False), (0xFFFF_FFFF, 9_000_000, True)],
)
def test_a_session_lives_as_long_as_was_asked_for(
    place: Site, expiry: int | None, away: int, kept: bool
) -> None:
    """Spec: MQTT 5 §3.1.2.11.2."""
    client, present = member(place, expiry)
    assert not present
    client.ask(TOPIC)
    part(place, client)
    place.clock.advance(seconds=away)
    client, present = member(place, expiry)
    with client:
        assert present is kept
        client.tell(TOPIC, b"1", qos=0)
        assert client.silent() is not kept


def test_clean_start_ends_the_session(place: Site) -> None:
    client, _ = member(place, 100)
    part(place, client)
    client, present = member(place, 100, clean=True)
    assert not present
    client.close()


def test_disconnect_may_change_the_end_of_the_session(place: Site) -> None:
    """Spec: MQTT 5 §3.14.2.2.2."""
    client, _ = member(place, 100)
    part(place, client, v5.Disconnect(properties={P.SESSION_EXPIRY_INTERVAL: 1000}))
    place.clock.advance(seconds=999)
    client, present = member(place, 100)
    assert present
    part(place, client, v5.Disconnect(properties={P.SESSION_EXPIRY_INTERVAL: 0}))
    client, present = member(place, 100)
    assert not present
    client.close()


def test_a_session_crosses_the_versions(place: Site) -> None:
    client, _ = member(place, 100)
    client.ask(TOPIC)
    part(place, client)
    with place.connect("dev-1", clean=False) as old:
        assert old.connack.session_present
        old.publish(TOPIC, b"1", qos=0)
        assert old.expect(Publish).payload == b"1"


def test_sessions_go_on_ending_after_a_restart(place: Site) -> None:
    client, _ = member(place, 100)
    part(place, client)
    place.broker.stop()
    place.clock.advance(seconds=50)
    place.broker.start()
    place.clock.advance(seconds=49)
    client, present = member(place, 100)
    assert present
    part(place, client)
    place.broker.stop()
    place.clock.advance(seconds=101)
    place.broker.start()
    place.clock.advance(seconds=1)
    client, present = member(place, 100)
    assert not present
    client.close()


def will(delay: int | None = None, **properties: Any) -> dict[str, Any]:
    found = {P[name.upper()]: value for name, value in properties.items()}
    if delay is not None:
        found[P.WILL_DELAY_INTERVAL] = delay
    return {"will": v5.Will(topic=TOPIC, payload=b"gone", qos=0, properties=found)}


@pytest.mark.parametrize("delay", [None, 0])
def test_a_will_without_delay_is_published_at_once(place: Site, witness: Any, delay: int | None) -> None:
    client, _ = member(place, 100, **will(delay))
    part(place, client)
    assert witness.expect(Publish) == Publish(topic=TOPIC, payload=b"gone")


@pytest.mark.parametrize(("expiry", "delay", "due"), [(100, 10, 10), (10, 100, 10), (0xFFFF_FFFF, 50, 50)])
def test_a_will_waits_for_its_delay_or_the_end_of_its_session(
    place: Site, witness: Any, expiry: int, delay: int, due: int
) -> None:
    """Spec: MQTT 5 §3.1.3.2.2."""
    client, _ = member(place, expiry, **will(delay))
    part(place, client)
    place.clock.advance(seconds=due - 1)
    assert witness.silent()
    place.clock.advance(seconds=1)
    assert witness.expect(Publish).payload == b"gone"


def test_a_delayed_will_of_a_session_that_ends_at_once_is_published_at_once(
    place: Site, witness: Any
) -> None:
    client, _ = member(place, 0, **will(100))
    part(place, client)
    assert witness.expect(Publish).payload == b"gone"


def test_who_comes_back_in_time_leaves_no_will(place: Site, witness: Any) -> None:
    """Spec: [MQTT-3.1.3-9]."""
    client, _ = member(place, 100, **will(10))
    part(place, client)
    client, _ = member(place, 100)
    place.clock.advance(seconds=20)
    assert witness.silent()
    client.close()


def test_who_starts_anew_leaves_the_old_will_at_once(place: Site, witness: Any) -> None:
    client, _ = member(place, 100, **will(10))
    part(place, client)
    client, _ = member(place, 100, clean=True)
    assert witness.expect(Publish).payload == b"gone"
    client.close()


@pytest.mark.parametrize(("code", "published"), [(0x00, False), (0x04, True), (0x80, True)])
def test_disconnect_says_what_becomes_of_the_will(
    place: Site, witness: Any, code: int, published: bool
) -> None:
    """Spec: MQTT 5 [MQTT-3.14.4-3]."""
    client, _ = member(place, 0, **will())
    part(place, client, v5.Disconnect(reason_code=code))
    if published:
        assert witness.expect(Publish).payload == b"gone"
    else:
        assert witness.silent()


def test_the_properties_of_a_will_travel_with_it(place: Site) -> None:
    client, _ = member(place, 1000, **will(10, message_expiry_interval=60, content_type="text/plain"))
    part(place, client)
    token = place.token("dev-2", subscribe=("devices/dev-1/#",), lifetime=1000)
    with enter(place, "dev-2", token=token) as other:
        other.ask("devices/dev-1/#")
        place.clock.advance(seconds=10)
        assert other.expect(v5.Publish).properties == {
            P.CONTENT_TYPE: "text/plain",
            P.MESSAGE_EXPIRY_INTERVAL: 60,
        }


def test_a_will_needs_the_right_to_publish(place: Site) -> None:
    with client5(place) as client:
        wrong = v5.Will(topic="devices/dev-2/x", payload=b"")
        assert client.enter("dev-1", place.token(), will=wrong).reason_code == 0x87
