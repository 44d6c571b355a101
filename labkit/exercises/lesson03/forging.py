"""A little issuer for demonstration, and the hand-made validator of the notebook in one piece.

The issuer signs whatever it is told to, which no authorization server should: with it, tokens can be made
that are properly signed and wrong.  Nobody trusts it but the validator next to it.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from labkit import forge
from labkit.tokens import TokenValidator

__all__ = ["CLIENT", "ISSUER", "Refused", "by_hand", "good_claims", "sign", "validator"]

ISSUER = "https://issuer.example"
CLIENT = "thermostat-1"


def good_claims(lab: Any) -> dict[str, Any]:
    """The claims of a token that both validators let in."""
    now = int(lab.clock.now())
    return {
        "iss": ISSUER,
        "sub": CLIENT,
        "client_id": CLIENT,
        "aud": lab.audience,
        "iat": now,
        "exp": now + 300,
        "jti": "1",
        "scope": "mqtt.connect",
    }


def sign(claims: Mapping[str, Any], signer: str = "demo", **header: Any) -> str:
    """A token with these claims, whatever they are, signed by ``"demo"``, the issuer, or by anybody else."""
    return forge.token(claims, header={"kid": signer} | header, key=forge.key_of(signer))


def validator(lab: Any) -> TokenValidator:
    """The real validator, trusting the demonstration issuer."""
    keys = {"keys": [forge.public_jwk(forge.key_of("demo"), "ES256", kid="demo")]}
    return TokenValidator(ISSUER, lab.audience, keys, clock=lab.clock)


class Refused(Exception):
    """The hand-made validator's decision; the text names the claim."""


def by_hand(token: str, lab: Any, client_id: str = CLIENT) -> None:
    """The validator of section 1 with all its holes.  Raises ``Refused``, or whatever it falls over."""
    signed, _, last = token.rpartition(".")
    signature = _decode(last)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        public = forge.key_of("demo").public_key()
        public.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise Refused("signature") from None
    claims = json.loads(_decode(token.split(".")[1]))
    if claims["iss"] != ISSUER:
        raise Refused("iss")
    if lab.audience not in claims["aud"]:
        raise Refused("aud")
    if "exp" in claims and float(claims["exp"]) <= lab.clock.now():
        raise Refused("exp")
    if "mqtt.connect" not in claims["scope"]:
        raise Refused("scope")
    if claims["client_id"] != client_id:
        raise Refused("client_id")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
