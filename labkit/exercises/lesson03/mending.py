"""Close three holes of the hand-made validator."""

import copy
from typing import Any

from labkit.exercises import (
    AnswerFailed,
    Result,
    Wrong,
    brief,
    exercise,
    not_yet,
    right,
    try_answer,
)
from labkit.exercises.trying import describe

__all__ = ["first_wrong"]

NOW = 2_000_000_000  # some moment in 2033
AUDIENCE = "https://mqtt.lab"
GOOD: dict[str, Any] = {"exp": NOW + 300, "aud": AUDIENCE, "scope": "mqtt.connect"}
#: What differs from the good claims, what has to come back, and what to say if something else does.
CASES: tuple[tuple[dict[str, Any], str | None, str, str], ...] = (
    ({}, None, "a good token", "nothing is wrong with it"),
    ({"exp": NOW + 0.5}, None, "exp half a second from now", "fractions of a second are allowed"),
    ({"aud": ["https://api.lab", AUDIENCE]}, None, "aud of two", "one of the two is our broker"),
    (
        {"scope": "mqtt.publish:a/# mqtt.connect"},
        None,
        "two scopes",
        "one of them is mqtt.connect",
    ),
    ({"exp": None}, "exp", "no exp", "such a token would be good for ever"),
    ({"exp": NOW - 1}, "exp", "exp a second ago", "it has expired"),
    ({"exp": NOW}, "exp", "exp at this very second", "the token must be used before exp, RFC 7519 §4.1.4"),
    ({"exp": "9999999999"}, "exp", "exp as text", "a time is a number: refuse, do not convert"),
    ({"exp": [NOW + 300]}, "exp", "exp as a list", "a time is a number"),
    ({"aud": None}, "aud", "no aud", "a token for nobody is not for us"),
    ({"aud": "https://api.lab"}, "aud", "another aud", "that is another service"),
    ({"aud": AUDIENCE + ".example"}, "aud", "aud that begins like ours", "compare all of it"),
    ({"aud": [AUDIENCE + ".example"]}, "aud", "aud of one that begins like ours", "compare all of it"),
    ({"aud": 7}, "aud", "aud as a number", "an audience is text, or a list of texts"),
    ({"scope": None}, "scope", "no scope", "it allows nothing"),
    ({"scope": ""}, "scope", "an empty scope", "it allows nothing"),
    ({"scope": "xmqtt.connect"}, "scope", "scope xmqtt.connect", "that is another word"),
    ({"scope": "mqtt.connection"}, "scope", "scope mqtt.connection", "that is another word"),
    (
        {"scope": "mqtt.connect\tmqtt.x"},
        "scope",
        "two scopes with a tab between them",
        "only a space separates",
    ),
    ({"scope": ["mqtt.connect"]}, "scope", "scope as a list", "scope is one text, RFC 6749 §3.3"),
    ({"scope": 7}, "scope", "scope as a number", "scope is one text"),
)


def _like(exp: Any = None, aud: Any = None, scope: Any = None) -> Any:
    """A wrong answer: the solution with other conditions."""

    def answer(claims: dict[str, Any], now: float) -> str | None:
        if (exp or (lambda value: type(value) not in (int, float) or now >= value))(claims.get("exp")):
            return "exp"
        found = claims.get("aud")
        if (aud or (lambda value: AUDIENCE not in (value if isinstance(value, list) else [value])))(found):
            return "aud"
        if (scope or (lambda value: not isinstance(value, str) or "mqtt.connect" not in value.split(" ")))(
            claims.get("scope")
        ):
            return "scope"
        return None

    return answer


@exercise(
    question=(
        "Complete the three conditions, so that the function returns the name of the claim that is wrong, or "
        "None for a good token. It must not fall over any token."
    ),
    cell="""
def first_wrong(claims, now):
    exp, aud, scope = claims.get("exp"), claims.get("aud"), claims.get("scope")
    if exp is None or ____:
        return "exp"
    if aud is None or ____:
        return "aud"
    if scope is None or ____:
        return "scope"
    return None


ex.first_wrong.check(first_wrong)
""",
    solution="""
def first_wrong(claims, now):
    exp, aud, scope = claims.get("exp"), claims.get("aud"), claims.get("scope")
    if exp is None or type(exp) not in (int, float) or now >= exp:
        return "exp"
    if aud is None or "https://mqtt.lab" not in (aud if type(aud) is list else [aud]):
        return "aud"
    if scope is None or type(scope) is not str or "mqtt.connect" not in scope.split(" "):
        return "scope"
    return None


ex.first_wrong.check(first_wrong)
""",
    wrong=(
        Wrong(says="no exp", answer=_like(exp=lambda value: value is not None and float(value) <= NOW)),
        Wrong(
            says="must be used before exp",
            answer=_like(exp=lambda value: type(value) is str or (value or 0) < NOW),
        ),
        Wrong(
            says="refuse, do not convert", answer=_like(exp=lambda value: not value or float(value) <= NOW)
        ),
        Wrong(
            says="aud that begins like ours",
            answer=_like(aud=lambda value: not value or AUDIENCE not in value),
        ),
        Wrong(says="aud of two", answer=_like(aud=lambda value: value != AUDIENCE)),
        Wrong(
            says="that is another word", answer=_like(scope=lambda value: "mqtt.connect" not in (value or ""))
        ),
        Wrong(
            says="only a space separates",
            answer=_like(scope=lambda value: "mqtt.connect" not in (value or "").split()),
        ),
        Wrong(says="two scopes", answer=_like(scope=lambda value: value != "mqtt.connect")),
        Wrong(
            says="falls over it (TypeError: '<=' not supported", answer=_like(exp=lambda value: value <= NOW)
        ),
        Wrong(says="nothing is wrong with it", answer=lambda claims, now: "exp"),
        Wrong(says="hand over the function itself", answer="exp"),
    ),
    hints=(
        "For each claim, first its type, then its value. What else can a sender write there?",
        "A text contains its parts, a list its members. type(exp) tells a number from a text, and "
        'scope.split(" ") makes whole words.',
        "exp: type(exp) not in (int, float) or now >= exp. aud: make a list of one if it is none, then look "
        'for the whole text in it. scope: type(scope) is not str, or the word is not in scope.split(" ").',
    ),
    why=(
        "a claim is what a sender wrote, so its type is part of the check. `in` asks for a part of a text "
        "but for a member of a list: two of the holes were that difference."
    ),
)
def first_wrong(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(first_wrong).")
    for changes, wanted, what, why in CASES:
        claims = {name: value for name, value in (GOOD | copy.deepcopy(changes)).items() if value is not None}
        try:
            said = try_answer(answer, claims, NOW)
        except AnswerFailed as failed:
            return not_yet(f"{what}: your function falls over it ({describe(failed.__cause__)}), but {why}.")
        if said is None or type(said) is str:
            if said == wanted:
                continue
            told = "lets it in" if said is None else f"says {brief(said)}"
            return not_yet(f"{what}: your function {told}, but {why}.")
        return not_yet(f"{what}: return a name in quotes, or None, and not {brief(said)}.")
    return right(f"{len(CASES)} tokens, {sum(wanted is None for _, wanted, _, _ in CASES)} of them good.")
