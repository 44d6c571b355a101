"""private_key_jwt: a client signs to prove who it is, and no secret travels.  Spec: RFC 7523 §2.2, §3."""

import json
import threading
from collections.abc import Mapping
from typing import Any, TypeGuard

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from labkit.authserver.clients import Client
from labkit.authserver.refusals import Refused
from labkit.authserver.state import State

__all__ = ["ALGORITHM", "ASSERTION_TYPE", "Assertions"]

#: The one algorithm an assertion may be signed with.
ALGORITHM = "ES256"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_LONGEST = 8192
#: The furthest an assertion's expiry may lie ahead, in seconds (RFC 7523 §3, item 4).
_FURTHEST = 3600

#: Seconds between two looks for assertions that can be forgotten.
_SWEEP_EVERY = 60.0

#: Verifies in place of the key of a client that does not exist, so that the answer takes as long.
_NOBODYS_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


class Assertions:
    """Checks client assertions, and refuses each the second time (RFC 7523 §3, item 7)."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._seen: dict[tuple[str, str], float] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()
        self.audiences: tuple[str, ...] = ()  # issuer and token endpoint, known once the server listens

    def client_of(self, form: Mapping[str, str]) -> Client:
        """The client that signed the assertion in ``form``.

        Raises:
            Refused: ``invalid_client``, whichever check failed (RFC 7523 §3.2).
        """
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise _failed("client_assertion_type must be " + ASSERTION_TYPE)
        if not assertion.isascii() or len(assertion) > _LONGEST:
            raise _failed("the assertion is no JWT")
        client = self._state.registry.client(form.get("client_id") or _claimed_subject(assertion))
        registered = client.public_key if client is not None else None
        key: Any = load_pem_public_key((registered or _NOBODYS_KEY).encode())
        try:
            claims = _strict_json(jwt.PyJWS().decode(assertion, key, algorithms=[ALGORITHM]))
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise _failed("the signature or the form of the assertion is wrong") from None
        if client is None or registered is None:
            raise _failed("the signature or the form of the assertion is wrong")
        self._check(claims, client.client_id)
        return client

    def _check(self, claims: Mapping[str, Any], client_id: str) -> None:
        now = self._state.now()
        if claims.get("iss") != client_id or claims.get("sub") != client_id:  # items 1 and 2 B
            raise _failed("iss and sub must be the client id")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(name in self.audiences for name in named if isinstance(name, str)):  # item 3
            raise _failed("aud must name this issuer or its token endpoint")
        expiry = claims.get("exp")
        if not _is_time(expiry) or not now < expiry <= now + _FURTHEST:  # item 4
            raise _failed(f"exp must be a time within the next {_FURTHEST} seconds")
        for name in ("nbf", "iat"):  # items 5 and 6
            if name in claims and not (_is_time(claims[name]) and claims[name] <= now):
                raise _failed(f"{name} lies ahead")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 256:
            raise _failed("jti must be a text of its own in every assertion")
        with self._lock:
            if now >= self._sweep_at:
                self._seen = {one: until for one, until in self._seen.items() if until > now}
                self._sweep_at = now + _SWEEP_EVERY
            if (client_id, jti) in self._seen:  # item 7
                raise _failed("this assertion was used before")
            self._seen[client_id, jti] = expiry


def _failed(why: str) -> Refused:
    return Refused("invalid_client", why)


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _claimed_subject(assertion: str) -> str:
    """Who the assertion says it is from, which nobody has checked yet."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return ""
    subject = claims.get("sub")
    return subject if isinstance(subject, str) else ""


def _strict_json(payload: bytes) -> dict[str, Any]:
    """A JSON object without duplicate names (RFC 7519 §4)."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    claims = json.loads(payload.decode(), object_pairs_hook=once)
    if not isinstance(claims, dict):
        raise ValueError("not an object")
    return claims
