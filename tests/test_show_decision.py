"""The picture of a decision: each check with its outcome, for one token or several, the same on every run."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_show import survives
from support_tokens import CLIENT, ISSUER, MISSING, NOW, validator
from support_tokens import token as signed

from labkit import Lab, show
from labkit.errors import InvalidToken
from labkit.tokens import CHECKS, Explanation, IntrospectionClient, Outcome

MARKUP = [
    "<script>alert(1)</script>",
    "</td></table>",
    '" onload="x',
    "<!--",
    "\x1b[2J",
    "\u202e",
    "eyJabcdefg.eyJh.x",
]


def explained(client_id: str = CLIENT, **changes: Any) -> Explanation:
    return validator().explain(signed(**changes), client_id=client_id)


def lines(*explanations: Any, **named: Any) -> list[str]:
    picture = show.decision(*explanations, **named)
    survives(picture)
    return picture.text.split("\n")


def test_an_expired_token() -> None:
    picture = show.decision(explained(exp=NOW - 100))
    assert picture.text == (
        "check            outcome      found\n"
        "---------------  -----------  -----\n"
        "length           passed\n"
        "text             passed\n"
        "segments         passed\n"
        "base64url        passed\n"
        "header           passed\n"
        "crit             passed\n"
        "b64              passed\n"
        "enc, zip         passed\n"
        'alg              passed       "ES256"\n'
        'typ              passed       "at+jwt"\n'
        "cty              passed\n"
        "kid              passed       … (5 characters)\n"
        "key              passed       … (5 characters)\n"
        "signature        passed\n"
        "claims           passed\n"
        'iss              passed       "http://127.0.0.1:PORT"\n'
        "exp              failed       a moment in the past\n"
        "nbf              not reached\n"
        "iat              not reached\n"
        "lifetime         not reached\n"
        "aud              not reached\n"
        "sub              not reached\n"
        "client_id        not reached\n"
        "jti              not reached\n"
        "scope            not reached\n"
        "cnf              not reached\n"
        "required scopes  not reached\n"
        "client binding   not reached\n"
        "\n"
        "refused with CONNACK 4 (MQTT 5: 0x86): expired (exp): expected later than now, got a\n"
        "  moment in the past [RFC 7519 §4.1.4]. Get a new token, and refresh before this\n"
        "  happens."
    )
    words = survives(picture)
    assert words.count("passed") == 16
    assert words.count("failed") == 1
    assert words.count("reached") == 11
    assert "0x86)" in words


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
        ({"nbf": NOW + 9}, {"exp": "in time"}, "not-yet-valid"),  # refused before iat was read
        ({"nbf": NOW - 9, "iat": MISSING}, {"exp": "in time", "nbf": "in time"}, "missing-claim (iat)"),
        ({"iat": NOW + 9}, {"iat": "a moment in the future"}, "now or earlier, got a moment in the future"),
        ({"iat": NOW, "exp": NOW}, {"exp": "a moment in the past"}, "expired (exp)"),
        ({"exp": "soon"}, {"exp": '"soon"'}, "expected a number of seconds since 1970"),
        ({"exp": str(NOW)}, {"exp": "a number as text"}, "got a number as text ["),
        ({"exp": NOW * 1000}, {"exp": "a number beyond the year 9999"}, "malformed-claim (exp)"),
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
    told = lines(explained(**changes))
    for name, said in rows.items():
        assert next(line for line in told if line.split("  ")[0] == name).endswith("  " + said)
    end = told.index("")
    assert verdict in " ".join(line.strip() for line in told[end + 1 :])
    for raw in (str(NOW)[:6], "b7a1", "kkk"):
        assert raw not in "\n".join(told)
    assert [line.split("  ")[0] for line in told[2:end]] == [check.name for check in CHECKS]


def test_a_decision_about_a_lifetime_compares_with_the_issue() -> None:
    explanation = validator(leeway=60).explain(signed(iat=NOW, exp=NOW - 5), client_id=CLIENT)
    told = " ".join(line.strip() for line in lines(explanation))
    assert "malformed-claim (exp): expected later than iat, got 5 s before issue [" in told
    assert str(NOW)[:6] not in told


def test_two_labs_decide_in_the_same_words(lab: Lab) -> None:
    def decided(here: Lab) -> tuple[str, str | None]:
        here.register("t-1")
        token = here.token("t-1")
        good = here.validator.explain(token, client_id="t-1")
        here.clock.advance(minutes=10)
        picture = show.decision(good=good, late=here.validator.explain(token, client_id="t-1"))
        return picture.text + str(show.decision(good)), picture.html

    with Lab() as other:
        other.clock.advance(hours=72)
        assert decided(lab) == decided(other)


def test_several_decisions_stand_side_by_side() -> None:
    stolen, expired = explained("mallory"), explained(exp=NOW - 1)
    told = lines({"good": explained(), "stolen": stolen}, expired=expired)
    assert told[:3] == [
        "check            good  stolen  expired",
        "---------------  ----  ------  -------",
        "length           ✓     ✓       ✓",
    ]
    assert "exp              ✓     ✓       ✗" in told
    assert "nbf              ·     ·" in told
    assert told[-10:] == [
        "client binding   ✓     ✗",
        "✓ passed   ✗ failed   · not asked   no mark: not reached",
        "",
        "good: accepted",
        "stolen: refused with CONNACK 5 (MQTT 5: 0x87): wrong-client (client_id): expected",
        '  "thermostat-1", got "mallory" [lab]. Connect with the client identifier that the token',
        "  was issued to.",
        "expired: refused with CONNACK 4 (MQTT 5: 0x86): expired (exp): expected later than now,",
        "  got a moment in the past [RFC 7519 §4.1.4]. Get a new token, and refresh before this",
        "  happens.",
    ]
    words = survives(show.decision({"good": explained(), "stolen": stolen}, expired=expired))
    assert words.count("✗") == 3  # two tokens, and the legend
    assert words.count("refused") == 2


def test_a_choice_of_checks_counts_the_others_and_never_hides_the_one_that_failed() -> None:
    stolen, expired = explained("mallory"), explained(exp=NOW - 1)
    told = lines(good=explained(), stolen=stolen, checks=("signature", "exp"))
    assert told[2:5] == [
        "signature       ✓     ✓",
        "exp             ✓     ✓",
        "client binding  ✓     ✗",
    ]
    assert told[5] == f"and {len(CHECKS) - 3} more checks, of which none failed"
    assert survives(show.decision(good=explained(), stolen=stolen, checks=("aud",))).count("none") == 1
    told = lines(expired, checks=[check.name for check in CHECKS if check.name != "aud"])
    assert "and 1 more check, of which none failed" in told
    assert not [line for line in told if line.startswith("aud")]
    told = lines(expired, checks=("no such check",))
    assert told[2].startswith("exp  ")
    assert told[3:5] == [f"and {len(CHECKS) - 1} more checks, of which none failed", ""]
    assert told[5].startswith("refused with CONNACK 4")


def test_without_names_they_are_numbered() -> None:
    told = lines(explained(), explained("mallory"))
    assert told[0] == "check            1  2"
    assert told[-4] == "1: accepted"
    assert told[-3].startswith("2: refused with CONNACK 5")


def test_names_that_are_too_long_for_the_line_stand_below_the_table() -> None:
    many = {f"a forgery of the kind {number}": explained() for number in range(1, 16)}
    told = lines(many)
    assert told[0] == "check            " + "  ".join(str(number).ljust(1) for number in range(1, 16))
    assert told[-1] == "15 a forgery of the kind 15: accepted"
    assert max(map(len, told)) <= 88


def test_the_other_judge_walks_another_table() -> None:
    other = IntrospectionClient(f"{ISSUER}/introspect", "broker", "secret", ISSUER, "https://mqtt.lab")
    told = lines(
        jwt=explained(),
        opaque=Explanation([Outcome(check=each, state="passed") for each in other.checks], None),
    )
    assert "segments         ✓    -" in told
    assert "active           -    ✓" in told
    assert "iss              ✓    ✓" in told
    assert told.index("active           -    ✓") < told.index("iss              ✓    ✓")
    assert "✓ passed   ✗ failed   · not asked   - no such check   no mark: not reached" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no decision was given"),
        (({},), "no decision was given"),
        ((None,), "no decision: an object of type NoneType; validator.explain(…) returns one"),
        (("passed",), "no decision: an object of type str; validator.explain(…) returns one"),
        (({"a": 1},), "a: no decision: an object of type int; validator.explain(…) returns one"),
        ((1, InvalidToken("expired")), "2: no decision: an object of type InvalidToken; validator"),
        ((Explanation([], None),), "accepted"),
        ((explained(), 1), "2: no decision: an object of type int; validator.explain(…) returns one"),
    ],
)  # fmt: skip
def test_what_is_no_decision_is_said_so(arguments: tuple[object, ...], says: str) -> None:
    told = lines(*arguments)
    assert told[-1].startswith(says)


def test_an_explanation_made_by_hand_may_be_none() -> None:
    for made in (
        Outcome(check="exp", state="passed"),  # type: ignore[arg-type]
        Outcome(check=CHECKS[0], state="passed", found=7),  # type: ignore[arg-type]
        Outcome(check=CHECKS[0], state=None),  # type: ignore[arg-type]
    ):
        assert lines(Explanation([made], None)) == [
            "no decision: an object of type Explanation; validator.explain(…) returns one"
        ]


THINGS = st.none() | st.text() | st.integers() | st.binary() | st.lists(st.integers(), max_size=2)
NAMES = st.text() | st.sampled_from(MARKUP)


def _damaged(client_id: str, claims: dict[str, Any]) -> Explanation:
    return validator().explain(signed(**claims), client_id=client_id)


CHANGED = st.sampled_from(["iss", "sub", "aud", "client_id", "jti", "exp", "iat", "nbf", "scope", "cnf"])
CHANGES = st.dictionaries(CHANGED, NAMES | st.integers() | st.floats(), max_size=2)
EXPLANATIONS = st.builds(_damaged, NAMES, CHANGES)
relaxed = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(st.lists(THINGS | EXPLANATIONS, max_size=3), st.dictionaries(NAMES, THINGS | EXPLANATIONS, max_size=3))
def test_whatever_is_given_is_shown_escaped(things: list[object], named: dict[str, object]) -> None:
    told = "\n".join(lines(*things, named))
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "eyJabcdefg.eyJh" not in told


@relaxed
@given(EXPLANATIONS)
def test_one_decision_says_what_the_explanation_says(explanation: Explanation) -> None:
    told = lines(explanation)
    for each, line in zip(explanation, told[2:], strict=False):
        assert line.startswith(each.check.name)
        assert each.state in line
    assert ("accepted" in told[-1]) == explanation.accepted
