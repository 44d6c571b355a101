"""Pictures are complete as text, the same on every run, and drawn whatever they are given."""

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_tokens import CLIENT, MISSING, NOW, validator
from support_tokens import token as signed

from labkit import show
from labkit.record import Record
from labkit.wire import Connect, encode

KEY = "a key that is long enough for HS256, which this test alone uses"
CLAIMS = {
    "iss": "http://127.0.0.1:54321", "sub": "t-1", "aud": "https://mqtt.lab", "client_id": "t-1",
    "iat": 1_767_225_600, "exp": 1_767_225_900, "jti": "n" * 22, "scope": "mqtt.connect", "extra": {"a": [1]},
}  # fmt: skip


def made(claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode(claims, KEY, algorithm="HS256", headers={"typ": "at+jwt"} | header)


def test_a_token_is_told_in_relative_times_and_without_what_differs_between_runs() -> None:
    assert str(show.token(made(CLAIMS, kid="k" * 43))) == (
        "header\n"
        "  typ  at+jwt             kind of token (RFC 9068 §2.1)\n"
        "  alg  HS256              signature algorithm (RFC 7515 §4.1.1)\n"
        "  kid  … (43 characters)  which key signed it (RFC 7515 §4.1.4)\n"
        "claims\n"
        "  iss        http://127.0.0.1:PORT  issuer: who made the token\n"
        "  sub        t-1                    subject: whom it speaks about\n"
        "  aud        https://mqtt.lab       audience: whom it is meant for\n"
        "  client_id  t-1                    client: who asked for it\n"
        "  iat        the moment of issue    issued at\n"
        "  exp        300 s after issue      expires\n"
        "  jti        … (22 characters)      this token's own number\n"
        "  scope      mqtt.connect           what it allows\n"
        '  extra      {"a": [1]}\n'
        "signature\n"
        "  32 bytes, not checked here"
    )


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"iat": 100, "exp": 3700}, "3600 s after issue"),
        ({"iat": 100, "exp": 40}, "60 s before issue"),
        ({"iat": 100, "nbf": 100}, "at issue"),
        ({"exp": 100}, "without iat"),
        ({"iat": "soon", "exp": True}, "soon"),
        ({"iat": 1, "exp": 10**400}, "exp"),
        ({"iss": "eyJ" + "x" * 40 + ".y.z"}, "eyJxxx…"),
        ({"sub": "a\x1b[2J"}, "a�[2J"),
        ({}, "empty"),
    ],
)
def test_odd_claims(claims: dict[str, Any], says: str) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert says in str(show.token(f"{header}.{body}."))


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (None, "a NoneType"),
        ("a.b", "2 parts"),
        ("", "1 part,"),
        ("!.é.?", "cannot be decoded"),
        (b"\xff.W10.x", "object"),
    ],
)
def test_what_is_no_token_is_said_so(thing: object, says: str) -> None:
    assert says in str(show.token(thing))


@given(st.text() | st.binary() | st.integers() | st.lists(st.text()))
def test_showing_never_raises(thing: object) -> None:
    assert str(show.token(thing))
    assert isinstance(str(show.answer(thing)), str)


@given(st.lists(st.text(alphabet="eyJhbGciOi._-019=", max_size=30), min_size=3, max_size=3))
def test_what_looks_like_a_token_never_raises(parts: list[str]) -> None:
    assert str(show.token(".".join(parts)))


@pytest.mark.parametrize("shape", [str, str.encode, str.splitlines, json.loads])
def test_an_answer_is_shown_without_its_secrets(shape: Any) -> None:
    body = json.dumps(
        {
            "access_token": made(CLAIMS), "token_type": "Bearer", "expires_in": 300,
            "refresh_token": "r" * 43,
            "device_code": "d" * 43, "user_code": "WDJB-MJHT",
            "verification_uri": "http://127.0.0.1:54321/device",
            "verification_uri_complete": "http://127.0.0.1:54321/device?user_code=WDJB-MJHT",
        }
    )  # fmt: skip
    text = str(show.answer(shape(body)))
    assert '"access_token": "eyJhbG…"' in text
    assert '"refresh_token": "… (43 characters)"' in text
    assert '"expires_in": 300' in text
    assert "http://127.0.0.1:PORT/device" in text
    for secret in ("rrr", "ddd", "WDJB", "54321"):
        assert secret not in text


def test_an_answer_that_is_no_json_is_shown_as_it_is() -> None:
    assert str(show.answer(["sh: 1: curl: not found"])) == "sh: 1: curl: not found"


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
    picture = show.decision("a table\nof checks at http://127.0.0.1:54321")
    assert repr(picture) == str(picture) == "a table\nof checks at http://127.0.0.1:PORT"


@pytest.mark.parametrize(
    ("changes", "rows", "verdict"),
    [
        (
            {},
            {"exp": "300 s after issue", "iat": "the moment of issue", "jti": "… (4 characters)"},
            "accepted",
        ),
        ({}, {"lifetime": "300 s after issue", "key": "… (5 characters)"}, "accepted"),
        ({"nbf": NOW - 10}, {"nbf": "at issue"}, "accepted"),
        ({"exp": NOW - 100}, {"exp": "a moment in the past"}, "later than now, got a moment in the past"),
        ({"nbf": NOW + 9}, {"nbf": "a moment in the future"}, "now or earlier, got a moment in the future"),
        ({"iat": NOW + 9}, {"iat": "a moment in the future"}, "now or earlier, got a moment in the future"),
        ({"iat": NOW, "exp": NOW}, {"exp": "a moment in the past"}, "expired (exp)"),
        ({"exp": "soon"}, {"exp": '"soon"'}, "expected a number of seconds since 1970"),
        ({"jti": MISSING}, {"jti": "nothing"}, "missing-claim (jti)"),
        ({"jti": 7}, {"jti": "7"}, "malformed-claim (jti)"),
        ({"header": {"kid": "k" * 43}}, {"key": "… (43 characters)"}, "set, got … (43 characters) ["),
        ({"header": {"kid": "k" * 200}}, {"kid": "…", "key": "… (200 characters)"}, "unknown-key"),
        ({"header": {"kid": "RS256"}}, {"key": '"ES256"'}, "wrong-algorithm"),
        ({"header": {"kid": ""}}, {"kid": '""'}, "malformed"),
    ],
)
def test_a_decision_is_told_without_what_differs_between_runs(
    changes: dict[str, Any], rows: dict[str, str], verdict: str
) -> None:
    explanation = validator().explain(signed(**changes), client_id=CLIENT)
    text = str(show.decision(explanation))
    for name, said in rows.items():
        assert next(line for line in text.split("\n") if line.split("  ")[0] == name).endswith("  " + said)
    assert verdict in text.split("\n")[-1]
    for raw in (str(NOW)[:6], "b7a1", "kkk"):
        assert raw not in text
    assert len(text.split("\n")) == len(str(explanation).split("\n"))


def test_a_decision_about_a_lifetime_compares_with_the_issue() -> None:
    explanation = validator(leeway=60).explain(signed(iat=NOW, exp=NOW - 5), client_id=CLIENT)
    text = str(show.decision(explanation))
    assert "malformed-claim (exp): expected later than iat, got 5 s before issue [" in text
    assert str(NOW)[:6] not in text
