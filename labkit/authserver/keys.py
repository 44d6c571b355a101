"""The server's signing keys: one that comes next, one in use, and those that retired not long ago.

::

    next ──rotate──▶ current ──rotate──▶ retired ──the last token it signed has expired──▶ gone
     └────────────────────┴────────────────── all published ───┘

A key is published before it is used, so that no relying party meets a signature by a key it could not know,
and stays published for as long as a token signed by it can live.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from labkit.authserver.refusals import MAX_LIFETIME
from labkit.authserver.replies import compact
from labkit.authserver.store import Journal, Row

__all__ = ["ALGORITHMS", "KeyRing", "SigningKey", "new_private_key", "thumbprint", "to_pem"]

#: The algorithms an AuthServer can sign with, and how a key for each is made.
ALGORITHMS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),  # RFC 7518 §3.3: 2048 bits or more
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}

#: The members that make up a thumbprint, in code point order (RFC 7638 §3.2, RFC 8037 §2).
_THUMBPRINT = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


def _base64url(data: bytes) -> bytes:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The SHA-256 thumbprint of a public key.  Spec: RFC 7638 §3."""
    members = {name: jwk[name] for name in _THUMBPRINT[jwk["kty"]]}
    canonical = compact(members).encode()
    return _base64url(hashlib.sha256(canonical).digest()).decode()


def new_private_key(algorithm: str) -> Any:
    """A fresh private key for ``algorithm``."""
    return ALGORITHMS[algorithm]()


def to_pem(private_key: Any) -> str:
    """A private key as unencrypted PKCS#8 PEM."""
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair and its one algorithm; ``jwk`` is the public part, ``kid`` its thumbprint."""

    algorithm: str
    private: Any = field(repr=False)
    kid: str
    jwk: Mapping[str, str] = field(repr=False)
    _header: bytes = field(repr=False)
    _maths: Any = field(repr=False)

    @classmethod
    def of(cls, algorithm: str, private: Any) -> "SigningKey":
        """Dress a private key of the ``cryptography`` package."""
        maths: Any = jwt.get_algorithm_by_name(algorithm)
        public = dict(maths.to_jwk(private.public_key(), as_dict=True))
        public.pop("key_ops", None)
        kid = thumbprint(public)
        # RFC 9068 §2.1: the type tells an access token from any other JWT.
        header = compact({"alg": algorithm, "kid": kid, "typ": "at+jwt"})
        return cls(
            algorithm=algorithm,
            private=private,
            kid=kid,
            jwk=public | {"kid": kid, "use": "sig", "alg": algorithm},
            _header=_base64url(header.encode()) + b".",
            _maths=maths,
        )

    def sign(self, payload: bytes) -> str:
        """An access token: ``payload`` as a JWS in compact form (RFC 7515 §7.1)."""
        signed = self._header + _base64url(payload)
        return (signed + b"." + _base64url(self._maths.sign(signed, self.private))).decode()

    def verify(self, token: str) -> bytes | None:
        """The payload of a token this key has signed, or ``None``."""
        try:
            return jwt.PyJWS().decode(token, self.private.public_key(), algorithms=[self.algorithm])  # type: ignore[no-any-return]
        except jwt.InvalidTokenError:
            return None


class KeyRing:
    """The keys of one server, safe to use from any thread.

    Args:
        algorithm: what tokens are signed with, a name in :data:`ALGORITHMS`.
        now: tells the time, in Unix seconds.
        journal: keeps the keys over a restart.
    """

    def __init__(self, algorithm: str, now: Callable[[], float], journal: Journal) -> None:
        self.algorithm = algorithm
        self._now = now
        self._journal = journal
        self._lock = threading.Lock()
        self._retired: dict[str, tuple[SigningKey, float]] = {}  # with the time it left use
        kept: dict[str, SigningKey] = {}
        unused: list[str] = []
        for row in journal.load("key").values():
            key = SigningKey.of(row["algorithm"], load_pem_private_key(row["pem"].encode(), None))
            if row["role"] == "retired":
                self._retired[key.kid] = key, row["since"]
            elif key.algorithm == algorithm:
                kept[row["role"]] = key
            elif row["role"] == "current":  # the server has been told to use another algorithm
                self._retired[key.kid] = key, now()
            else:
                unused.append(key.kid)
        self.current = kept.get("current") or self._new()
        self.next = kept.get("next") or self._new()
        self._save(*unused)

    def rotate(self) -> None:
        """Sign with the next key from now on; the old one still verifies what it has signed."""
        fresh = self._new()
        with self._lock:
            self._retired[self.current.kid] = self.current, self._now()
            self.current, self.next = self.next, fresh
            self._save()

    def published(self) -> list[SigningKey]:
        """The keys a relying party may meet, current first."""
        with self._lock:
            horizon = self._now() - MAX_LIFETIME
            return [
                self.current,
                self.next,
                *(key for key, since in self._retired.values() if since > horizon),
            ]

    def find(self, kid: str) -> SigningKey | None:
        """The published key of that id."""
        if kid == self.current.kid:
            return self.current
        return next((key for key in self.published() if key.kid == kid), None)

    def _new(self) -> SigningKey:
        return SigningKey.of(self.algorithm, new_private_key(self.algorithm))

    def _save(self, *unused: str) -> None:
        horizon = self._now() - MAX_LIFETIME
        gone = [kid for kid, (_, since) in self._retired.items() if since <= horizon]
        for kid in gone:
            del self._retired[kid]
        self._journal.write(
            _row(self.current, "current"),
            _row(self.next, "next"),
            *(_row(key, "retired", since) for key, since in self._retired.values()),
            *(("key", kid, None) for kid in (*gone, *unused)),
        )


def _row(key: SigningKey, role: str, since: float | None = None) -> Row:
    value = {"algorithm": key.algorithm, "pem": to_pem(key.private), "role": role, "since": since}
    return "key", key.kid, value
