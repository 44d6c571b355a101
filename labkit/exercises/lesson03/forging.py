"""A little issuer for demonstration, and the fifteen tokens of notebook 03 in one piece.

The issuer signs whatever it is told to, which no authorization server should: with it, tokens can be made
that are properly signed and wrong.  Nobody trusts it but the validators next to it.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any

from labkit import forge
from labkit.tokens import TokenValidator

__all__ = [
    "CLIENT",
    "ISSUER",
    "fifteen_tokens",
    "good_claims",
    "jwks",
    "shared_secret",
    "sign",
    "spki",
    "validator",
]

ISSUER = "https://issuer.example"
CLIENT = "thermostat-1"


def jwks() -> dict[str, Any]:
    """What the demonstration issuer publishes."""
    return {"keys": [forge.public_jwk(forge.key_of("demo"), "ES256", kid="demo")]}


def spki() -> bytes:
    """The issuer's public key as bytes: what a forger takes for a shared secret."""
    return forge.public_spellings(forge.key_of("demo"), "ES256")["DER"]


def good_claims(lab: Any) -> dict[str, Any]:
    """The claims of a token that both validators let in.  It lasts the day, as those of the notebook do."""
    now = int(lab.clock.now())
    return {
        "iss": ISSUER,
        "sub": CLIENT,
        "client_id": CLIENT,
        "aud": lab.audience,
        "iat": now,
        "exp": now + 86_400,
        "jti": "1",
        "scope": "mqtt.connect",
    }


def sign(claims: Mapping[str, Any] | str, signer: str = "demo", **header: Any) -> str:
    """A token with these claims, whatever they are, signed by ``"demo"``, the issuer, or by anybody else."""
    payload = claims.encode() if isinstance(claims, str) else claims
    return forge.token(payload, header={"kid": signer} | header, key=forge.key_of(signer))


def shared_secret(claims: Mapping[str, Any]) -> str:
    """A token "signed" with HS256, the issuer's public key being the secret."""
    header = {"alg": "HS256", "kid": "demo"}
    return forge.token(claims, header=header, signature=lambda data: hmac.digest(spki(), data, "sha256"))


def fifteen_tokens(lab: Any) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The issuer, its key set and the tokens of section 2, made anew for a section that begins without it."""
    good = good_claims(lab)

    def changed(**changes: Any) -> dict[str, Any]:
        return {name: value for name, value in (good | changes).items() if value is not None}

    head, body, tail = sign(good).split(".")
    tokens = {
        "a good token": f"{head}.{body}.{tail}",
        "alg none, no signature": forge.token(good, header={"alg": "none", "kid": "demo"}, signature=b""),
        "signed by a thief": sign(good, "thief", kid="demo"),
        "one claim changed": f"{head}.{_spelt(changed(client_id='thermostat-2'))}.{tail}",
        "a good token, plus ==": f"{head}.{body}.{tail}==",
        "for another broker": sign(changed(aud="https://api.example")),
        "aud begins like ours": sign(changed(aud=lab.audience + ".example")),
        "aud of two, one ours": sign(changed(aud=["https://api.example", lab.audience])),
        "typ JWT, an ID token": sign(good, typ="JWT"),
        "expired just now": sign(changed(exp=good["iat"])),
        "no exp": sign(changed(exp=None)),
        "exp as text": sign(changed(exp="9999999999")),
        "scope xmqtt.connect": sign(changed(scope="xmqtt.connect")),
        "client_id twice": sign('{"client_id": "thermostat-2", ' + json.dumps(good)[1:]),
        "of another device": sign(changed(client_id="thermostat-2")),
    }
    return ISSUER, jwks(), tokens


def validator(lab: Any) -> TokenValidator:
    """The real validator, trusting the demonstration issuer."""
    return TokenValidator(ISSUER, lab.audience, jwks(), clock=lab.clock)


def _spelt(claims: Mapping[str, Any]) -> str:
    return forge.base64url(json.dumps(claims).encode())
