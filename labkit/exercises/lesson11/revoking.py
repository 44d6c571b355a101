"""Fix it: a list of revoked tokens that a token cannot slip past by being spelled otherwise."""

import secrets
from typing import Any

from labkit import forge
from labkit.exercises import (
    Result,
    Wrong,
    brief,
    cannot_tell,
    exercise,
    not_yet,
    right,
    try_answer,
)
from labkit.exercises.lesson11.exhibits import gallery
from labkit.tokens import peek_unverified

__all__ = ["entry"]


class _NoEntry(Exception):
    """What was returned cannot be compared with what a list holds; the text describes it."""


def _claim(name: str) -> Any:
    return lambda token: peek_unverified(token).claims[name]


@exercise(
    question=(
        "Complete the function: it takes a token that has passed every check, and returns what the list "
        "remembers of it."
    ),
    given="from labkit.tokens import peek_unverified",
    cell="""
def entry(token):
    return ____


ex.entry.check(entry, lab)
""",
    solution="""
def entry(token):
    claims = peek_unverified(token).claims
    return claims["jti"]


ex.entry.check(entry, lab)
""",
    wrong=(
        Wrong(says="spelled otherwise", answer=lambda token: token),
        Wrong(says="the door has got a new token", answer=_claim("client_id")),
        Wrong(says="the lamp's token is stopped", answer=_claim("iat")),
        Wrong(says="something else each time", answer=lambda token: secrets.token_hex(8)),
        Wrong(says="a text or a number is wanted", answer=lambda token: peek_unverified(token).claims),
        Wrong(says="KeyError", answer=_claim("kid")),
        Wrong(says="hand over the function itself", answer="jti"),
    ),
    hints=(
        "What is the same in both spellings of one token, and differs between two tokens of one device?",
        "Look at the claims: peek_unverified(token).claims. One of them is a number of the token itself.",
        'claims["jti"], the identifier of a JWT (RFC 7519 §4.1.7).',
    ),
    why=(
        "the text of a token is not its identity, and its owner is not either: jti is. It also says nothing "
        "to whoever reads the list."
    ),
)
def entry(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(entry, lab).")
    try:
        return _judged(answer, lab)
    except _NoEntry as found:
        return not_yet(f"it returned {found}: a text or a number is wanted.")


def _judged(answer: Any, lab: Any) -> Result:
    issuer = forge.Issuer(audience=lab.audience, client_id="door-1")
    now = issuer.now
    revoked = issuer.token(jti="7Q2", iat=now, exp=now + 300)
    newer = issuer.token(jti="8R3", iat=now + 200, exp=now + 500)
    lamp = forge.Issuer(audience=lab.audience, client_id="lamp-1")
    other = lamp.token(jti="9S4", iat=now, exp=now + 300)
    remembered = _remembered(answer, revoked)
    if _remembered(answer, revoked) != remembered:
        return not_yet("for one token it returns something else each time: what should the list compare?")
    if _remembered(answer, forge.high_s(revoked)) != remembered:
        return not_yet("the revoked token gets in, spelled otherwise. What of it stays the same?")
    if _remembered(answer, newer) == remembered:
        return not_yet("the door has got a new token since, and that is stopped as well.")
    if _remembered(answer, other) == remembered:
        return not_yet("the lamp's token is stopped, and nobody has revoked it.")
    if gallery["T43"].real(lab):
        return cannot_tell("the lab's own gate let the thief in. Run the set-up cell at the top again.")
    return right("the thief stays outside in both spellings, and the door and the lamp get in.")


def _remembered(answer: Any, token: str) -> Any:
    found = try_answer(answer, token)
    if type(found) not in (str, bytes, int):
        raise _NoEntry(brief(found))
    return found
