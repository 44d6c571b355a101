"""Name the check that stops a forgery."""

from typing import Any

from labkit.exercises import Result, Wrong, cannot_tell, exercise, not_yet, right
from labkit.exercises.lesson03.forging import CLIENT, good_claims, shared_secret, sign, validator
from labkit.tokens import CHECKS

__all__ = ["stops"]

NAMES = [check.name for check in CHECKS]
STOPS = {1: "client binding", 2: "alg", 3: "key", 4: "signature", 5: "exp", 6: "required scopes"}


def _tokens(lab: Any) -> dict[int, str]:
    """The six tokens of the question, made anew."""
    claims = good_claims(lab)
    return {
        1: sign(claims | {"client_id": "thermostat-2", "sub": "thermostat-2"}),
        2: shared_secret(claims),
        3: sign(claims, "thief", jku="https://thief.example/keys"),
        4: sign(claims)[:-2],
        5: sign(claims | {"iat": claims["iat"] - 400, "exp": claims["iat"] - 100}),
        6: sign({name: value for name, value in claims.items() if name != "scope"}),
    }


@exercise(
    question="Which check stops each of the six tokens? Write its name as the table has it.",
    cell="""
stops = {
    1: ____,
    2: ____,
    3: ____,
    4: ____,
    5: ____,
    6: ____,
}
ex.stops.check(stops, lab)
""",
    solution="""
stops = {
    1: "client binding",
    2: "alg",
    3: "key",
    4: "signature",
    5: "exp",
    6: "required scopes",
}
ex.stops.check(stops, lab)
""",
    wrong=(
        Wrong(says='token 1 gets past "client_id"', answer=STOPS | {1: "client_id"}),
        Wrong(says='token 2 never gets as far as "signature"', answer=STOPS | {2: "signature"}),
        Wrong(says='token 3 gets past "header"', answer=STOPS | {3: "header"}),
        Wrong(says='token 4 gets past "base64url"', answer=STOPS | {4: "base64url"}),
        Wrong(says='token 5 gets past "iss"', answer=STOPS | {5: "iss"}),
        Wrong(says='token 6 gets past "scope"', answer=STOPS | {6: "scope"}),
        Wrong(says="not the number of its row", answer=STOPS | {1: 28}),
        Wrong(says='"expired" is no name in the table', answer=STOPS | {5: "expired"}),
        Wrong(says="a name for each of the tokens", answer={1: "alg"}),
    ),
    hints=(
        "The walk stops at the first check that fails. Which part of the token is wrong first, from the top?",
        "Two are stopped by the header, one by the signature, one by a claim, two by what the token is used "
        "for.",
        "In another order: key, exp, client binding, signature, required scopes, alg.",
    ),
    why=(
        "whoever forges a token chooses all that is in it, so cheap checks come first, and claims are read "
        "only after the signature. Tokens 1 and 6 are honest ones, and the answer to them is 5, not 4."
    ),
)
def stops(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(STOPS):
        return not_yet("give a name for each of the tokens 1 to 6.")
    judge = validator(lab)
    for number, token in _tokens(lab).items():
        stopped = [each.check.name for each in judge.explain(token, CLIENT) if each.state == "failed"]
        if stopped != [STOPS[number]]:
            return cannot_tell(
                f"token {number} came out otherwise than it should. Run the set-up cell again."
            )
        said = answer[number]
        if type(said) is int:
            return not_yet("write the name of the check in quotes, and not the number of its row.")
        name = " ".join(said.lower().split()) if type(said) is str else ""
        if name not in NAMES:
            return not_yet(f'"{name[:30]}" is no name in the table: copy one from its first column.')
        if NAMES.index(name) > NAMES.index(stopped[0]):
            return not_yet(f'token {number} never gets as far as "{name}": an earlier check stops it.')
        if name != stopped[0]:
            rule = CHECKS[NAMES.index(name)].rule
            return not_yet(f'token {number} gets past "{name}", which asks for no more than this: {rule}')
    return right("the validator stopped all six of them at these checks, just now.")
