"""``OAUTH2-POP``: a token that is bound to a key, and a proof that the client has this key.

::

    client  the token, whose claim cnf.jkt names the key (RFC 9449 §6.1)
    server  a nonce
    client  the nonce, signed: a JWS with the public key in its header

The shape is that of the method ``ace`` of RFC 9431: token, challenge, proof.  It does not conform to it: the
token is a JWT, the proof looks like that of DPoP (RFC 9449 §4.2), and the name is ours.  The proof does not
name the broker: only TLS keeps somebody in the middle from passing it on.

A token that is bound to no key stays what it is, a bearer token: the proof has to be good, by whatever key,
and says nothing about the token.  Which tokens are bound is for the authorization server to decide.
"""

import base64
import hashlib
import secrets
from typing import Any, ClassVar, Final

from labkit.broker.methods.oauth2_jwt import shown
from labkit.broker.methods.steps import Challenge, Failed, Shown, Step
from labkit.broker.reasons import Refused
from labkit.tokens.jose import NotStrict, decode_base64url, decode_header, decode_object
from labkit.tokens.keys import VerificationKey
from labkit.tokens.thumbprint import thumbprint

__all__ = ["ALGORITHMS", "TYPE", "OAuth2Pop"]

#: ``typ`` of a proof: it can be nothing else, and nothing else can be one (RFC 8725 §3.11).
TYPE: Final = "mqtt-pop+jwt"
#: What a proof may be signed with.
ALGORITHMS: Final = ("ES256", "EdDSA")
_LONGEST: Final = 4096  # bytes of a proof
_NONCE: Final = 32  # random bytes


class OAuth2Pop:
    """Two messages: the token, and the proof.

    Args:
        client_id: the client identifier of CONNECT, which the proof has to name.
    """

    name: ClassVar[str] = "OAUTH2-POP"

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._token = ""
        self._nonce: str | None = None

    def begin(self, data: bytes) -> Step:
        """The token; it is not looked at before there is a proof."""
        step = shown(data)
        if not isinstance(step, Shown):
            return step
        self._token = step.token
        self._nonce = secrets.token_urlsafe(_NONCE)
        return Challenge(self._nonce.encode())

    def go_on(self, data: bytes) -> Step:
        """The proof.  A nonce is good for one."""
        nonce, self._nonce = self._nonce, None
        if nonce is None or len(data) > _LONGEST:
            return Failed("proof")
        try:
            key = self._proven(data.decode("ascii"), nonce)
        except (ValueError, KeyError, TypeError):  # NotStrict is one of the first
            return Failed("proof")
        return Failed("proof") if key is None else Shown(self._token, key)

    def regret(self, refused: Refused) -> None:
        """The reason code says enough."""

    def _proven(self, proof: str, nonce: str) -> str | None:
        """The thumbprint of the key that has signed ``nonce`` for this client and token, if one has."""
        head, body, signature = proof.split(".")
        header, claims = decode_header(head), decode_object(decode_base64url(body))
        if header.get("typ") != TYPE or header.get("alg") not in ALGORITHMS or "crit" in header:
            return None
        jwk: Any = header["jwk"]
        if not isinstance(jwk, dict) or jwk.get("alg", header["alg"]) != header["alg"]:
            raise NotStrict("jwk is no key for this algorithm")
        key = VerificationKey.from_jwk({**jwk, "alg": header["alg"]})  # public, strong and on its curve
        expected = {"nonce": nonce, "client_id": self._client_id, "ath": _hash(self._token)}
        if key is None or any(claims.get(name) != value for name, value in expected.items()):
            return None
        if not key.verify(f"{head}.{body}".encode(), decode_base64url(signature)):
            return None
        return thumbprint(jwk)


def _hash(token: str) -> str:
    """``ath``: which token the proof goes with.  Spec: RFC 9449 §4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
