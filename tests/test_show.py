"""Pictures are complete as text, the same on every run, and drawn whatever they are given."""

from typing import Any

import jwt
from hypothesis import given, settings
from hypothesis import strategies as st
from support_show import any_events

from labkit import show
from labkit.record import Event, Record
from labkit.wire import Connect, encode

KEY = "a key that is long enough for HS256, which this test alone uses"
CLAIMS = {
    "iss": "http://127.0.0.1:54321", "sub": "t-1", "aud": "https://mqtt.lab", "client_id": "t-1",
    "iat": 1_767_225_600, "exp": 1_767_225_900, "jti": "n" * 22, "scope": "mqtt.connect", "extra": {"a": [1]},
}  # fmt: skip


def made(claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode(claims, KEY, algorithm="HS256", headers={"typ": "at+jwt"} | header)


def test_events_are_numbered_and_relative() -> None:
    record = Record(lambda: 100.0)
    record.add("authserver", "token.issued", client_id="t-1", jti="x7f", lifetime=300)
    mark = record.mark()
    record.add("authserver", "token.issued", client_id="t-2", jti="q9b", lifetime=300, took=0.01)
    record.add("broker", "connect.accepted", client_id="t-2", jti="q9b", peer="127.0.0.1:5", expires_at=400.0)
    record.add("broker", "connect.refused", client_id="t-1", jti="x7f", reason="expired", return_code=4)
    assert str(show.events(record, since=mark)) == (
        "authserver  token.issued      client_id=t-2  jti=jti-1  lifetime=300 s\n"
        "broker      connect.accepted  client_id=t-2  jti=jti-1  expires_at=300 s from now\n"
        "broker      connect.refused   client_id=t-1  jti=jti-2  reason=expired  return_code=4"
    )
    assert str(show.events(record, "connect.refused", source="broker")).count("\n") == 0
    assert "t-2" not in str(show.events(record, "connect", since=mark + 2))
    assert "connect" not in str(show.events(record, "token", "publish"))
    assert str(show.events([])) == "nothing happened"


def test_events_in_colour_say_the_same_whatever_is_in_them() -> None:
    record = Record(lambda: 100.0)
    record.add("broker", "publish.accepted", client_id="t-1", topic="<script>alert(1)</script>", size=4)
    record.add("device", "connected", client_id="t-1", topic="x" * 300)
    shown = show.events(record)
    assert shown.html is not None
    assert "<script" not in shown.html
    assert "topic=&lt;script&gt;alert(1)&lt;/script&gt;</code>" in shown.html
    assert shown.html.index(">broker</span>") < shown.html.index(">device</span>")
    assert show.events([], "x").html is None
    assert str(show.events(5)) == "no record of events: a int"  # type: ignore[arg-type]
    assert str(show.events(["x"])) == "no record of events: a list"  # type: ignore[list-item]


@settings(deadline=None)
@given(any_events)
def test_any_events_are_listed(events: list[Event]) -> None:
    text = str(show.events(events))
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "c2lnbmF0dXJl" not in text
    for event in events:
        assert event.kind in text


def test_a_packet_shows_its_parts_and_hides_its_token() -> None:
    connect = encode(Connect(client_id="t-1", username="t-1", password=made(CLAIMS).encode()))
    text = str(show.packet(connect))
    assert all(word in text for word in ("bytes", "client identifier", "password", "t-1"))
    assert made(CLAIMS).split(".")[1][:12] not in text
    assert str(show.packet("CONNECT")) == "no bytes: a str"  # type: ignore[arg-type]


@given(st.binary())
def test_any_bytes_are_shown_as_far_as_they_go(data: bytes) -> None:
    assert isinstance(str(show.packet(data)), str)


def test_a_picture_shows_in_a_cell_as_it_prints() -> None:
    picture = show.answer("an answer\nof http://127.0.0.1:54321")
    assert repr(picture) == str(picture) == "an answer\nof http://127.0.0.1:PORT"


def test_an_event_with_many_facts_takes_more_than_one_line_and_none_is_cut() -> None:
    record = Record(lambda: 100.0)
    facts = {
        "client_id": "thermostat-1",
        "jti": "x",
        "grant": "client_credentials",
        "scopes": 3,
        "lifetime": 300,
    }
    record.add("authserver", "token.issued", **facts)
    record.add("broker", "connect.accepted", client_id="thermostat-1")
    assert str(show.events(record)) == (
        "authserver  token.issued      client_id=thermostat-1  jti=jti-1\n"
        "                              grant=client_credentials  scopes=3  lifetime=300 s\n"
        "broker      connect.accepted  client_id=thermostat-1"
    )
    record.add("broker", "publish.accepted", topic="x" * 120, qos=1)
    assert f"topic={'x' * 120}\n" in str(show.events(record))
