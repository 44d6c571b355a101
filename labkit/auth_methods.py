"""What a client of MQTT 5 says in enhanced authentication, one small object for each method.

================  ============================================================================
``OAUTH2-JWT``    the token is the Authentication Data, as cloud brokers have it
``OAUTHBEARER``   the message of RFC 7628; the broker says in JSON what was wrong
``OAUTH2-POP``    the token, and the signature of the key that it is bound to, on a nonce
================  ============================================================================

The first is proprietary, the second a SASL mechanism.  The third has the shape of ``ace`` (RFC 9431), but
does not conform to it: the name is ours.
"""

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ["METHODS", "Method", "OAuth2Jwt", "OAuth2Pop", "OAuthBearer"]


class Method(Protocol):
    """The client's side of one authentication."""

    name: str

    def first(self, token: str, client_id: str) -> bytes:
        """The Authentication Data of CONNECT, or of the AUTH that re-authenticates."""

    def answer(self, data: bytes) -> bytes:
        """What to say to the broker's ``data``.

        Raises:
            ValueError: it makes no sense.
        """


class OAuth2Jwt:
    """One message."""

    name = "OAUTH2-JWT"

    def first(self, token: str, client_id: str) -> bytes:
        """The token."""
        return token.encode()

    def answer(self, data: bytes) -> bytes:
        """A broker has nothing to ask."""
        raise ValueError("OAUTH2-JWT has one message, and the broker asks for another")


class OAuthBearer:
    """One message, and one more where it is refused.  Spec: RFC 7628 §3."""

    name = "OAUTHBEARER"

    def first(self, token: str, client_id: str) -> bytes:
        """The token, and who we say that we are: ``,`` and ``=`` need an escape (RFC 5801 §4)."""
        identity = client_id.replace("=", "=3D").replace(",", "=2C")
        return f"n,a={identity},\x01auth=Bearer {token}\x01\x01".encode()

    def answer(self, data: bytes) -> bytes:
        """The broker has said in JSON why it will refuse; "I have read it" (§3.2.3)."""
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(json.loads(data), dict):
                return b"\x01"
        raise ValueError("the broker's refusal is not the JSON of RFC 7628 §3.2.2")


class OAuth2Pop:
    """Two messages: the token, and a proof that we have the key it is bound to (``cnf.jkt``).

    Args:
        key: a private key of P-256 or Ed25519, of ``cryptography`` or as a JWK.
    """

    name = "OAUTH2-POP"

    def __init__(self, key: Any) -> None:
        self._key = _private_key(key)
        self._said = ("", "")

    def first(self, token: str, client_id: str) -> bytes:
        """The token."""
        self._said = token, client_id
        return token.encode()

    def answer(self, data: bytes) -> bytes:
        """The broker's nonce, signed for this token and this client (as RFC 9449 §4.2 has it)."""
        token, client_id = self._said
        jwk = _public_jwk(self._key)
        algorithm = "ES256" if jwk["kty"] == "EC" else "EdDSA"
        header = {"typ": "mqtt-pop+jwt", "alg": algorithm, "jwk": jwk}
        ath = _base64url(hashlib.sha256(token.encode()).digest())
        claims = {"nonce": data.decode("ascii"), "client_id": client_id, "ath": ath}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{_base64url(self._sign(signed.encode()))}".encode()

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        numbers = utils.decode_dss_signature(self._key.sign(data, ec.ECDSA(SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in numbers)  # RFC 7518 §3.4


#: Authentication Method → makes one out of the proof key.
METHODS: Mapping[str, Callable[[Any], Method]] = {
    "OAUTH2-JWT": lambda _: OAuth2Jwt(),
    "OAUTHBEARER": lambda _: OAuthBearer(),
    "OAUTH2-POP": OAuth2Pop,
}


def _private_key(key: Any) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    """``key`` as an object of ``cryptography``.  Raises ``ValueError``: it is none for us."""
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        if isinstance(key, Mapping) and key.get("crv") == "P-256":
            key = ec.derive_private_key(int.from_bytes(_bytes(key["d"]), "big"), ec.SECP256R1())
        elif isinstance(key, Mapping) and key.get("crv") == "Ed25519":
            key = ed25519.Ed25519PrivateKey.from_private_bytes(_bytes(key["d"]))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("the proof key has to be a private key of P-256 or Ed25519, of cryptography or as a JWK")


def _public_jwk(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> dict[str, str]:
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public.public_bytes_raw())}
    point = public.public_numbers()
    x, y = (_base64url(part.to_bytes(32, "big")) for part in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
