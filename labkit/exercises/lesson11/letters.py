"""Break it: forge a letter that brings its own key along."""

from typing import Any

import jwt

from labkit import forge
from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right, try_answer
from labkit.exercises.lesson11.carried import by_jwk
from labkit.exercises.lesson11.exhibits.parts import refused_at_the_gate

__all__ = ["letter"]

DOOR = "door-1"
_LONGEST = 16_384  # bytes of a token that the lab's broker reads


def _letter(header: str, claims: str = "claims") -> str:
    return f"""
def letter(claims):
    mine = forge.new_key("ES256")
    return forge.token({claims}, header={header}, key=mine)


ex.letter.check(letter, lab)
"""


_GOOD = '{"jwk": forge.public_jwk(mine, "ES256")}'


@exercise(
    question=(
        "Forge a letter: complete the function, so that it returns a token with these claims that by_jwk "
        "lets in. It is signed with a key of your own."
    ),
    given="from labkit import forge",
    cell=_letter("____"),
    solution=_letter(_GOOD),
    wrong=(
        Wrong(says="no jwk in its header", cell=_letter('{"kid": "demo"}')),
        Wrong(
            says="another key than the one in its header",
            cell=_letter('{"jwk": forge.public_jwk(forge.new_key("ES256"), "ES256")}'),
        ),
        Wrong(says="no key that by_jwk can read", cell=_letter('{"jwk": "https://thief.example/key"}')),
        Wrong(
            says="other claims than you were given",
            cell=_letter(_GOOD, 'claims | {"client_id": "mallory"}'),
        ),
        Wrong(says="a token is text", answer=lambda claims: claims),
        Wrong(says="no token at all", answer=lambda claims: "a.b"),
        Wrong(says="hand over the function itself", answer="eyJ"),
    ),
    hints=(
        "by_jwk looks into the header first. What does it find there, if you like, and who wrote it?",
        "The letter is signed with mine. Put the public half of it into the header, under the name jwk.",
        'header={"jwk": forge.public_jwk(mine, "ES256")}',
    ),
    why=(
        "the signature is perfect, and proves only that the sender has the key that came along. Which keys "
        "count is for the validator to know, before it reads a token (RFC 8725 §3.10)."
    ),
)
def letter(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(letter, lab).")
    issuer = forge.Issuer()  # for the audience that by_jwk asks for
    claims = issuer.claims(client_id=DOOR, sub=DOOR)
    token = try_answer(answer, dict(claims))
    if type(token) is not str:
        return not_yet(f"it returns {brief(token)}: a token is text. forge.token makes one.")
    if len(token) > _LONGEST:
        return not_yet("it returns a text that is too long for a token.")
    keys = {jwk["kid"]: jwk for jwk in issuer.jwks["keys"]}
    if mistake := _mistake(token, keys, claims):
        return not_yet(mistake)
    if not refused_at_the_gate(issuer, (token, DOOR)):
        return cannot_tell("the lab's own gate let it in. Run the set-up cell at the top again.")
    return right("by_jwk opens the door. The lab's broker, which knows its keys beforehand, does not.")


def _mistake(token: str, keys: dict[str, Any], claims: dict[str, Any]) -> str:
    """What keeps a token out of by_jwk, or makes it another than it should be; nothing if it gets in."""
    try:
        header = jwt.get_unverified_header(token)
    except Exception:
        return "that is no token at all: header, payload and signature, with two dots. See forge.token."
    if "jwk" not in header:
        return "by_jwk stops it: with no jwk in its header, only a key of the issuer will do."
    try:
        jwt.PyJWK(header["jwk"])
    except Exception:
        return "by_jwk stops it: what stands under jwk is no key that by_jwk can read. See forge.public_jwk."
    try:
        found = by_jwk(token, keys)
    except jwt.InvalidSignatureError:
        return "by_jwk stops it: it was signed with another key than the one in its header."
    except Exception as error:
        return f"by_jwk stops it ({type(error).__name__}): leave all but jwk as forge.token makes it."
    return "" if found == claims else "it gets in, but with other claims than you were given."
