"""Four validators with one mistake each: find the fault by what they let in.

All four are strict in everything else.  The mistakes are those of real ones: see RFC 8725 §2.1 (algorithms
that the token chooses), §3.9 (audiences), and what happens when a check falls over.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from labkit.exercises import Result, Wrong, cannot_tell, exercise, first_mistake, right
from labkit.exercises.lesson03.forging import (
    CLIENT,
    fifteen_tokens,
    good_claims,
    shared_secret,
    sign,
    spki,
)
from labkit.exercises.lesson03.handmade import public_keys

__all__ = ["faults", "four_validators"]

LetsIn = Callable[[str, str], bool]


class _Stopped(Exception):
    """A decision: this token does not get in."""


class _Strict:
    """A validator without a mistake that matters here; each of the four changes one of its steps."""

    def __init__(self, lab: Any) -> None:
        self.lab = lab
        self.issuer, jwks, _ = fifteen_tokens(lab)
        self.keys = public_keys(jwks)

    def lets_in(self, token: str, client_id: str) -> bool:
        """Whether a client with this id gets in with this token."""
        try:
            head, body, tail = token.split(".")
            self.signature(_object(head), f"{head}.{body}".encode(), _bytes(tail))
            self.claims(_object(body), client_id)
        except (_Stopped, InvalidSignature):
            return False
        except Exception:
            return self.fell_over()
        return True

    def signature(self, header: dict[str, Any], signed: bytes, signature: bytes) -> None:
        if header["typ"] != "at+jwt" or header["alg"] != "ES256" or header["kid"] not in self.keys:
            raise _Stopped
        self.verify(header, signed, signature)

    def verify(self, header: dict[str, Any], signed: bytes, signature: bytes) -> None:
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        self.keys[header["kid"]].verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))

    def claims(self, claims: dict[str, Any], client_id: str) -> None:
        audience, scope = claims["aud"], claims["scope"]
        if not self.meant_for_us([audience] if type(audience) is str else audience):
            raise _Stopped
        if claims["iss"] != self.issuer or claims["exp"] <= self.lab.clock.now():
            raise _Stopped
        if not self.may_connect(scope) or claims["client_id"] != client_id:
            raise _Stopped

    def meant_for_us(self, audience: list[str]) -> bool:
        return self.lab.audience in audience

    def may_connect(self, scope: str) -> bool:
        return "mqtt.connect" in scope.split(" ")

    def fell_over(self) -> bool:
        return False


class _Alg(_Strict):
    """Lets the header choose the algorithm."""

    def signature(self, header: dict[str, Any], signed: bytes, signature: bytes) -> None:
        if header["typ"] != "at+jwt" or header["kid"] not in self.keys:
            raise _Stopped
        if header["alg"] == "ES256":
            self.verify(header, signed, signature)
        elif header["alg"] == "HS256":
            if not hmac.compare_digest(hmac.digest(spki(), signed, "sha256"), signature):
                raise _Stopped
        elif header["alg"] != "none":
            raise _Stopped


class _Key(_Strict):
    """Does without the signature when it does not know the key."""

    def signature(self, header: dict[str, Any], signed: bytes, signature: bytes) -> None:
        if header["kid"] in self.keys or header["alg"] != "ES256":
            super().signature(header, signed, signature)


class _Open(_Strict):
    """Lets in what it falls over."""

    def signature(self, header: dict[str, Any], signed: bytes, signature: bytes) -> None:
        self.keys[header["kid"]]  # an unknown key is a KeyError, and no decision
        super().signature(header, signed, signature)

    def fell_over(self) -> bool:
        return True


class _Part(_Strict):
    """Takes a part of a text for the whole."""

    def meant_for_us(self, audience: list[str]) -> bool:
        return any(self.lab.audience in each for each in audience)

    def may_connect(self, scope: str) -> bool:
        return "mqtt.connect" in scope


FAULTS = {"A": "open", "B": "alg", "C": "part", "D": "key"}
MADE: dict[str, type[_Strict]] = {"alg": _Alg, "key": _Key, "open": _Open, "part": _Part}
#: A token that only the fault of this name, or one that is worse, lets in.
SHOWS = {
    "alg": "alg none, no signature",
    "key": "key id of a thief",
    "open": "no exp",
    "part": "aud begins like ours",
}


def four_validators(lab: Any) -> tuple[dict[str, LetsIn], dict[str, str]]:
    """The four, each as a function of token and client id, and the tokens to try on them."""
    *_, tokens = fifteen_tokens(lab)
    tokens["key id of a thief"] = sign(good_claims(lab), "thief")
    tokens["HS256, public key"] = shared_secret(good_claims(lab))
    return {letter: MADE[fault](lab).lets_in for letter, fault in FAULTS.items()}, tokens


@exercise(
    question=('Each of the four validators makes one mistake: which? Write "alg", "key", "open" or "part".'),
    cell="""
faults = {
    "A": ____,
    "B": ____,
    "C": ____,
    "D": ____,
}
ex.faults.check(faults, lab)
""",
    solution="""
faults = {
    "A": "open",
    "B": "alg",
    "C": "part",
    "D": "key",
}
ex.faults.check(faults, lab)
""",
    wrong=(
        Wrong(says='A: it also lets in "no exp"', answer=FAULTS | {"A": "key"}),
        Wrong(says='A: it stops "aud begins like ours"', answer=FAULTS | {"A": "part"}),
        Wrong(says='B: it stops "key id of a thief"', answer=FAULTS | {"B": "key"}),
        Wrong(says='C: it stops "no exp"', answer=FAULTS | {"C": "open"}),
        Wrong(says='D: it stops "alg none, no signature"', answer=FAULTS | {"D": "alg"}),
        Wrong(says='D: it stops "no exp"', answer=FAULTS | {"D": "open"}),
        Wrong(says="one word for each of the validators", answer={"A": "open"}),
        Wrong(says="one of the four words", answer=FAULTS | {"D": "signature"}),
    ),
    hints=(
        "For each column ask: what do the tokens that get in have in common, apart from the good ones?",
        "Who signed the tokens that get in? Two of the four let in forged ones only, one only tokens of the "
        "issuer, and one both.",
        "A lets in a missing exp, an exp of the wrong type and an unknown key: code falls over all three.",
    ),
    why=(
        "a header is the sender's word: it chooses neither the algorithm nor whether a key is needed (RFC "
        "8725 §3.1). A part is not the whole. And a check that falls over has to end in a refusal."
    ),
)
def faults(answer: Any, lab: Any) -> Result:
    validators, tokens = four_validators(lab)
    let_in = {
        letter: [what for what, token in tokens.items() if lets_in(token, CLIENT)]
        for letter, lets_in in validators.items()
    }
    if any(SHOWS[fault] not in let_in[letter] for letter, fault in FAULTS.items()):
        return cannot_tell("the validators came out otherwise than they should. Run the set-up cell again.")
    about = {
        (letter, word): _objection(letter, word, let_in)
        for letter in FAULTS
        for word in SHOWS
        if word != FAULTS[letter]
    }
    if mistake := first_mistake(answer, FAULTS, about, thing="validator", otherwise=""):
        return mistake
    return right("A says yes when it falls over, B lets the token choose, C takes parts, D needs no key.")


def _objection(letter: str, word: str, let_in: dict[str, list[str]]) -> str:
    """What the table says against this word for this validator."""
    if SHOWS[word] not in let_in[letter]:
        return f'it stops "{SHOWS[word]}". With that fault it would let this token in.'
    return f'it also lets in "{SHOWS[FAULTS[letter]]}". That fault does not explain it.'


def _object(part: str) -> dict[str, Any]:
    found = json.loads(_bytes(part), object_pairs_hook=_once)
    if type(found) is not dict:
        raise _Stopped
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise _Stopped
    return dict(pairs)


def _bytes(part: str) -> bytes:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise _Stopped from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise _Stopped  # another spelling of the same bytes
    return data
