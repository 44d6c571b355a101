"""The record: ordered, bounded, waitable, and closed to secrets."""

import itertools
import threading
from typing import Any

import pytest

from labkit.clock import Clock
from labkit.record import Record, redact

_JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture
def record() -> Record:
    return Record(lambda: 0.0)


def test_events_come_back_in_order_and_by_kind(record: Record) -> None:
    record.add("broker", "connect.accepted", client_id="a")
    record.add("broker", "connect.refused", client_id="b")
    record.add("device", "connected", client_id="a")
    assert [event.number for event in record] == [0, 1, 2]
    assert [event.kind for event in record.events("connect")] == ["connect.accepted", "connect.refused"]
    assert [event["client_id"] for event in record.events(source="device")] == ["a"]
    assert len(record.events(since=2)) == 1
    assert str(record.events("connect.refused")[0]) == "broker     connect.refused      client_id=b"


def test_a_record_is_bounded_and_drops_the_oldest() -> None:
    record = Record(lambda: 0.0, limit=3)
    for number in range(5):
        record.add("lab", "tick", number_of=number)
    assert [event.number for event in record] == [2, 3, 4]
    assert record.mark() == 5


def test_a_flood_of_one_kind_leaves_the_others_alone() -> None:
    record = Record(lambda: 0.0, limit=3)
    record.add("broker", "connect.refused", reason="expired")
    for size in range(50):
        record.note("broker", "publish.accepted", ("topic", "size"), ("a/b", size))
    record.add("broker", "token.expired")
    assert [(event.number, event.kind) for event in record] == [
        (0, "connect.refused"),
        *((number, "publish.accepted") for number in (48, 49, 50)),
        (51, "token.expired"),
    ]
    assert len(record) == 5
    assert [event["size"] for event in record.events("publish", since=49)] == [48, 49]
    assert record.events("publish.accepted", size=10) == []
    assert repr(record) == "<Record of 5 events>"


def test_numbers_are_in_the_order_of_time_whoever_writes() -> None:
    ticks = itertools.count()
    record = Record(lambda: float(next(ticks)), limit=5000)
    writers = [
        threading.Thread(target=lambda: [record.add("lab", "tick") for _ in range(500)]) for _ in range(4)
    ]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert [event.number for event in record] == list(range(2000))
    assert [event.at for event in record] == list(range(2000))


def test_an_event_knows_real_time_from_time_that_was_skipped(clock: Clock) -> None:
    record = Record(clock.now)
    record.add("lab", "tick")
    clock.advance(hours=1)
    record.add("lab", "tick")
    before, after = record
    assert after.at - before.at == 3600
    assert before.real is not None
    assert after.real is not None
    assert 0 <= after.real - before.real < 60


def test_waiting_sees_what_another_thread_adds(record: Record) -> None:
    thread = threading.Thread(target=lambda: record.add("broker", "token.expired", client_id="a"))
    thread.start()
    assert record.wait("token.expired", client_id="a").number == 0
    thread.join()


def test_several_wait_at_once_each_for_its_own() -> None:
    record = Record(lambda: 0.0, limit=1)
    found: dict[str, int] = {}

    def wait(kind: str) -> None:
        found[kind] = record.wait(kind, since=1).number

    record.add("lab", "first")  # too early for all of them
    waiting = [threading.Thread(target=wait, args=(kind,)) for kind in ("first", "second", "second.half")]
    for thread in waiting:
        thread.start()
    for _ in range(20):
        for kind in ("flood", "second.half", "first"):
            record.add("lab", kind)
    for thread in waiting:
        thread.join(5)
    assert found.keys() == {"first", "second", "second.half"}
    assert found["first"] % 3 == 0
    assert all(found[kind] % 3 == 2 for kind in ("second", "second.half"))


def test_who_waits_gets_the_first_even_if_more_follow_at_once(record: Record) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(record.wait("tick").number))
    thread.start()
    while not record._waiters:
        thread.join(0.001)
    for _ in range(1000):
        record.add("lab", "tick")
    thread.join(5)
    assert found == [0]


def test_waiting_looks_only_at_the_kind_it_waits_for(record: Record) -> None:
    """Or each of a thousand messages would have a thousand looked through."""

    class Probe:
        compared = 0

        def __eq__(self, other: object) -> bool:
            self.compared += 1
            return other == "this"

        __hash__ = None  # type: ignore[assignment]

    probe: Any = Probe()
    for _ in range(100):
        record.add("broker", "publish.accepted", topic="that")
    record.add("broker", "rare", topic="this")
    for _ in range(100):
        record.add("broker", "publish.accepted", topic="this")
    assert record.wait("rare", topic=probe).number == 100
    assert probe.compared == 1


def test_waiting_in_vain_says_what_was_seen_instead(record: Record) -> None:
    record.add("broker", "connect.refused", client_id="a", reason="expired")
    with pytest.raises(TimeoutError, match=r"no 'connect.accepted client_id=a' within .*reason=expired"):
        record.wait("connect.accepted", client_id="a", timeout=0.01)


@pytest.mark.conformance("RS-35", "CL-05")
def test_no_token_gets_into_a_record_whatever_is_written(record: Record) -> None:
    record.add("broker", "connect.refused", client_id=_JWT, reason=f"bad {_JWT} here")
    assert "c2lnbmF0dXJl" not in str(record)
    assert "eyJzdWIi" not in str(record)
    record.note("broker", "publish.accepted", ("topic", "size"), (f"a/{_JWT}/\x1b[2J", 3))
    assert record.events("publish", topic="a/eyJ…/\\x1b[2J")
    assert "c2lnbmF0dXJl" not in str(record.wait("publish"))
    for name in ("token", "access_token", "client_secret", "password"):
        with pytest.raises(ValueError, match="never holds"):
            record.add("device", "oops", **{name: "x"})


def test_redaction_escapes_control_characters_and_cuts_long_text() -> None:
    assert redact("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert len(redact("x" * 5000)) == 301
    assert redact("temperature 21.5 °C") == "temperature 21.5 °C"
    assert redact(f"Bearer {_JWT}") == "Bearer eyJ…"
