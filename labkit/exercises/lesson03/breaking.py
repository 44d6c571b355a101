"""Find one more hole in the hand-made validator."""

from typing import Any

from labkit.exercises import Result, Wrong, exercise, not_yet, right
from labkit.exercises.lesson03.forging import CLIENT, ISSUER, good_claims, jwks, sign, validator
from labkit.exercises.lesson03.handmade import hand_made, public_keys
from labkit.tokens import CHECKS

__all__ = ["slip"]

_MOST_PARTS = 1_000
CLAIMS = {check.claim for check in CHECKS if check.where in ("claims", "binding")}


@exercise(
    question=(
        "Change one claim of the good token, in a way that is not on the list above, so that `by_hand` lets "
        "the token in and `TokenValidator` stops it."
    ),
    cell="""
changes = {____: ____}
ex.slip.check(changes, lab)
""",
    solution="""
changes = {"nbf": 9_999_999_999}
ex.slip.check(changes, lab)
""",
    wrong=(
        Wrong(says="by_hand stops it, too, at aud", answer={"aud": "https://api.example"}),
        Wrong(says="both let it in", answer={"sub": "somebody"}),
        Wrong(says="no check asks for", answer={"colour": "blue"}),
        Wrong(says="that one is on the list", answer={"exp": None}),
        Wrong(says="by_hand falls over it (KeyError)", answer={"scope": None}),
        Wrong(says="typ stands in the header", answer={"typ": "JWT"}),
        Wrong(says="exactly one claim", answer={"jti": None, "sub": None}),
        Wrong(says="what JSON can hold", answer={"jti": {1, 2}}),
        Wrong(says="a dict with one entry", answer="nbf"),
    ),
    hints=(
        "Which claims does by_hand never look at?",
        "It reads iss, aud, exp, scope and client_id. Which other claims does the table ask for, from row 16 "
        "on?",
        "sub, jti, iat and nbf are left. Take one away with None, or put a time far in the future into it.",
    ),
    why=(
        "what a validator does not look at, a sender may leave out or make up: without jti a token cannot be "
        "revoked, and a token with nbf in the future is used before its time."
    ),
)
def slip(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict:
        return not_yet("the answer is a dict with one entry: the claim and its new value.")
    if len(answer) != 1 or type(next(iter(answer))) is not str:
        return not_yet("change exactly one claim: its name in quotes, then its new value, or None.")
    ((name, value),) = answer.items()
    if name in ("typ", "alg", "kid"):
        return not_yet(f"{name} stands in the header, and a claim of that name means nothing to anybody.")
    if name not in CLAIMS:
        return not_yet("no check asks for a claim of that name, and what nobody understands is ignored.")
    try:
        if not _is_json(value):
            raise TypeError
        token = sign({key: kept for key, kept in (good_claims(lab) | answer).items() if kept is not None})
    except (TypeError, ValueError, RecursionError):
        return not_yet("the value has to be what JSON can hold: text, number, list, dict, true or false.")
    hand = _by_hand(token, lab)
    real = [each.check.name for each in validator(lab).explain(token, CLIENT) if each.state == "failed"]
    if hand:
        return not_yet(hand)
    if real == ["length"]:
        return not_yet("TokenValidator stops it for its length, whatever it says. Take a shorter value.")
    if not real:
        return not_yet("both let it in: with this change the token is still a good one.")
    if (name == "exp" and (value is None or type(value) is str)) or (
        type(value) is str and (name == "aud" or real == ["required scopes"])
    ):
        return not_yet("that one is on the list. Which claims does by_hand never look at?")
    return right(f'by_hand lets it in, and TokenValidator stops it at "{real[0]}".')


def _is_json(value: object) -> bool:
    """Whether a value is made of the types that JSON has, and of no subclass of them."""
    waiting = [value]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return True
        part = waiting.pop()
        if type(part) is list:
            waiting += part
        elif type(part) is dict:
            waiting += [*part, *part.values()]
        elif type(part) not in (str, int, float, bool, type(None)):
            return False
    return False


def _by_hand(token: str, lab: Any) -> str:
    """Why the hand-made validator does not let a token in; nothing if it does."""
    verdict, _, more = hand_made(lab)(token, CLIENT, ISSUER, public_keys(jwks())).partition(": ")
    if verdict == "stopped":
        return f"by_hand stops it, too, at {more}."
    if verdict == "fell over":
        return f"by_hand falls over it ({more}): it does not get in, if only by accident."
    return ""
