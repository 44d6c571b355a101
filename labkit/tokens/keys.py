"""The keys of an authorization server, as a relying party trusts them.

A key here is bound to exactly one algorithm, chosen by the key set and never by the token: a public key can
then not be used as an HMAC secret, nor an RSA key for two paddings (RFC 8725 §3.1).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt.algorithms
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.exceptions import PyJWTError

from labkit.errors import InvalidToken
from labkit.record import redact
from labkit.tokens.jose import NotStrict, decode_base64url

__all__ = ["ALGORITHMS", "KeySet", "KeySource", "StaticKeys", "VerificationKey", "unknown_key"]

#: Every algorithm that a validator can be told to allow, with the key type and curve it needs.
#: No HS*: a relying party that can check an HMAC can also forge one.  No ``none``.
ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
}
#: What a key is for when it does not say so: the first algorithm above that fits it.
_DEFAULT = {kind: name for name, kind in reversed(list(ALGORITHMS.items()))}
_ENGINES = jwt.algorithms.get_default_algorithms()

_SMALLEST_RSA = 2048  # bits; RFC 7518 §3.3
_MOST_KEYS = 100
#: Members that must be present, by key type (RFC 7518 §6.2.1, §6.3.1; RFC 8037 §2).
_REQUIRED = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
#: Length in bytes of a coordinate (RFC 7518 §6.2.1.2; RFC 8037 §2).
_COORDINATE = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}
#: Members that only a private or symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_USABLE_KID = re.compile(r"[^\x00-\x1F\x7F]{1,256}")


def is_usable_kid(kid: object) -> bool:
    """Whether ``kid`` is a string of 1 to 256 characters, none of them a control character."""
    return isinstance(kid, str) and _USABLE_KID.fullmatch(kid) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key, its name, and the one algorithm it is used with."""

    kid: str | None
    algorithm: str
    public_key: Any = field(repr=False)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether ``signature`` over ``signing_input`` was made with this key.

        Spec: RFC 7515 §5.2 (8); RFC 7518 §3.3 to §3.5; RFC 8037 §3.1.
        """
        return bool(_ENGINES[self.algorithm].verify(signing_input, self.public_key, signature))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "VerificationKey | None":
        """The key in a JWK, or ``None`` for one that is meant for something else than our signatures.

        Left aside, as RFC 7517 §5 asks: ``use`` other than ``sig``, ``key_ops`` without ``verify``, key
        types, curves and algorithms that are not in :data:`ALGORITHMS`.  (Keycloak publishes an encryption
        key beside its signing keys.)

        Raises:
            ValueError: the JWK is broken or dangerous: private or symmetric, RSA below 2048 bits, an ``alg``
                that does not fit the key, members missing, ill-formed or not on the curve.
        """
        kid = jwk.get("kid")
        if kid is not None and not is_usable_kid(kid):
            raise ValueError("a kid is no string of 1 to 256 characters without control characters")
        label = f"key {redact(kid)!r}" if kid is not None else "the key without a kid"
        if jwk.get("kty") == "oct" or not _PRIVATE.isdisjoint(jwk):
            raise ValueError(f"{label} is private or symmetric; a key set for relying parties is public")
        if not _for_signatures(jwk):
            return None
        kind, curve = jwk.get("kty"), jwk.get("crv")
        if not isinstance(kind, str) or kind not in _REQUIRED:
            return None
        if any(not isinstance(jwk.get(member), str) for member in _REQUIRED[kind]):
            raise ValueError(f"{label} lacks a member that {kind} keys have")
        fits = (kind, None if kind == "RSA" else curve)
        if fits not in _DEFAULT:
            return None
        algorithm = jwk.get("alg", _DEFAULT[fits])
        if isinstance(algorithm, str) and algorithm not in ALGORITHMS and not algorithm.startswith("HS"):
            return None
        if not isinstance(algorithm, str) or ALGORITHMS.get(algorithm) != fits:
            raise ValueError(f"{label} has an alg that does not fit its kty and crv")
        return cls(kid=kid, algorithm=algorithm, public_key=_public_key(jwk, algorithm, label))


def _for_signatures(jwk: Mapping[str, Any]) -> bool:
    """RFC 7517 §4.2 and §4.3: both members are optional, and must agree when both are there."""
    operations = jwk.get("key_ops")
    return jwk.get("use", "sig") == "sig" and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _public_key(jwk: Mapping[str, Any], algorithm: str, label: str) -> Any:
    kind = jwk["kty"]
    try:
        for member in _REQUIRED[kind]:
            if member != "crv":
                size = len(decode_base64url(jwk[member]))
                if kind != "RSA" and size != _COORDINATE[jwk["crv"]]:
                    raise ValueError("a coordinate of the wrong length")
        # Only the members checked above: x5u, x5c and the like are neither followed nor trusted.
        members = {name: jwk[name] for name in ("kty", *_REQUIRED[kind])}
        key = type(_ENGINES[algorithm]).from_jwk(members)
    except NotStrict:
        raise ValueError(f"{label} has a member that is not base64url") from None
    except (ValueError, TypeError, PyJWTError):
        raise ValueError(f"{label} is no {kind} public key") from None
    if isinstance(key, RSAPublicKey) and key.key_size < _SMALLEST_RSA:
        raise ValueError(f"{label} has {key.key_size} bits; RSA needs {_SMALLEST_RSA} (RFC 7518 §3.3)")
    return key


class KeySet:
    """The verification keys of one issuer.  Immutable: a new set replaces it as a whole.

    Raises:
        ValueError: one key cannot be trusted, two share a ``kid``, or none is left.  A server that publishes
            one dangerous key is not trusted with the others either.

    Spec: RFC 7517 §5.
    """

    __slots__ = ("_by_kid", "_keys")

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = tuple(keys)
        self._by_kid = {key.kid: key for key in self._keys if key.kid is not None}
        if not self._keys:
            raise ValueError("the key set has no key for verifying signatures")
        if len(self._by_kid) != sum(key.kid is not None for key in self._keys):
            raise ValueError("two keys of the set have the same kid")

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any]) -> "KeySet":
        """The keys in a JWK set document.

        Raises:
            ValueError: it is no JWK set, or one that must not be used; see the class.
        """
        jwks = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(jwks, list) or not all(isinstance(jwk, Mapping) for jwk in jwks):
            raise ValueError('a JWK set is an object with an array of objects named "keys" (RFC 7517 §5)')
        if len(jwks) > _MOST_KEYS:
            raise ValueError(f"the key set has {len(jwks)} keys; {_MOST_KEYS} are allowed")
        return cls(key for key in map(VerificationKey.from_jwk, jwks) if key is not None)

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The key named ``kid``; without a ``kid``, the only key for ``algorithm`` if there is just one."""
        if kid is not None:
            return self._by_kid.get(kid)
        candidates = [key for key in self._keys if key.algorithm == algorithm]
        return candidates[0] if len(candidates) == 1 else None

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<KeySet of {', '.join(f'{key.kid} ({key.algorithm})' for key in self._keys)}>"


class KeySource(Protocol):
    """Where a validator finds the issuer's keys.  Safe to use from several threads."""

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """The key to verify with.

        Raises:
            InvalidToken: the issuer has no such key (reason ``"unknown-key"``).
            Undecided: nobody can tell, as the issuer is out of reach (reason ``"keys-unavailable"``).
        """
        ...

    def ready(self, kid: str | None, algorithm: str) -> bool:
        """Whether :meth:`find` will answer without touching the network."""
        ...


class StaticKeys:
    """A key set that never changes, for tests, lessons and offline use.

    Raises:
        ValueError: the JWK set must not be used; see :class:`KeySet`.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self._keys = KeySet.from_jwks(jwks)

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """See :meth:`KeySource.find`."""
        key = self._keys.find(kid, algorithm)
        if key is None:
            raise unknown_key(kid)
        return key

    def ready(self, kid: str | None, algorithm: str) -> bool:
        """Always: there is no network to touch."""
        return True

    def __repr__(self) -> str:
        return f"StaticKeys({self._keys!r})"


def unknown_key(kid: str | None) -> InvalidToken:
    """The refusal for a token whose key is not in the issuer's key set."""
    return InvalidToken(
        "unknown-key",
        claim="kid",
        expected="a key of the issuer's key set",
        actual=redact(kid) if kid is not None else "no kid, and not exactly one key for its algorithm",
        spec="RFC 7515 §4.1.4",
        hint="The key was retired, or the token comes from somebody else: get a new token.",
    )
