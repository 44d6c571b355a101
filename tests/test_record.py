"""The record: ordered, bounded, waitable, and closed to secrets."""

import threading

import pytest

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


def test_waiting_sees_what_another_thread_adds(record: Record) -> None:
    thread = threading.Thread(target=lambda: record.add("broker", "token.expired", client_id="a"))
    thread.start()
    assert record.wait("token.expired", client_id="a").number == 0
    thread.join()


def test_waiting_in_vain_says_what_was_seen_instead(record: Record) -> None:
    record.add("broker", "connect.refused", client_id="a", reason="expired")
    with pytest.raises(TimeoutError, match=r"no 'connect.accepted client_id=a' within .*reason=expired"):
        record.wait("connect.accepted", client_id="a", timeout=0.01)


@pytest.mark.conformance("RS-35", "CL-05")
def test_no_token_gets_into_a_record_whatever_is_written(record: Record) -> None:
    record.add("broker", "connect.refused", client_id=_JWT, reason=f"bad {_JWT} here")
    assert "c2lnbmF0dXJl" not in str(record)
    assert "eyJzdWIi" not in str(record)
    for name in ("token", "access_token", "client_secret", "password"):
        with pytest.raises(ValueError, match="never holds"):
            record.add("device", "oops", **{name: "x"})


def test_redaction_escapes_control_characters_and_cuts_long_text() -> None:
    assert redact("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert len(redact("x" * 5000)) == 301
    assert redact("temperature 21.5 °C") == "temperature 21.5 °C"
    assert redact(f"Bearer {_JWT}") == "Bearer eyJ…"
