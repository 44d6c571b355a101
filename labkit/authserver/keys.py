"""The server's signing keys: some that come next, one in use, and those that retired not long ago.

::

    next ──rotate──▶ current ──rotate──▶ retired ──the last token it signed has expired──▶ gone
     └────────────────────┴────────────────── all published ───┘

A key is published before it is used, and for longer than a relying party may keep the key set: nobody meets a
signature by a key that they could not know, and no device is refused because keys rotate.  It stays published
for as long as a token signed by it can live.
"""

import base64
import math
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
from labkit.tokens.thumbprint import thumbprint

__all__ = [
    "ALGORITHMS",
    "JWKS_MAX_AGE",
    "KeyRing",
    "PublishedKey",
    "SigningKey",
    "new_private_key",
    "to_pem",
]

#: How long a relying party may keep the key set, in seconds.
JWKS_MAX_AGE = 300
#: How long a key is published before it signs, in seconds: until the last set without it is too old, and a
#: minute for those who fetch slowly.
LEAD = JWKS_MAX_AGE + 60
#: How many keys wait, published, for their turn: so many rotations in a row happen at once.
AHEAD = 3

#: The algorithms an AuthServer can sign with, and how a key for each is made.
ALGORITHMS: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),  # RFC 7518 §3.3: 2048 bits or more
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def _base64url(data: bytes) -> bytes:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKey:
    """A key in the published set; its ``role`` is ``"current"``, ``"next"`` or ``"retired"``."""

    role: str
    kid: str
    algorithm: str


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
        self._serving = False
        self._due: float | None = None  # when the next key takes over, if that has been asked for
        self._retired: dict[str, tuple[SigningKey, float]] = {}  # with the time it left use
        current: SigningKey | None = None
        ahead: list[tuple[SigningKey, float]] = []
        unused: list[str] = []
        for row in journal.load("key").values():
            key = SigningKey.of(row["algorithm"], load_pem_private_key(row["pem"].encode(), None))
            if row["role"] == "retired":
                self._retired[key.kid] = key, row["since"]
            elif key.algorithm == algorithm and row["role"] == "current":
                current = key
            elif key.algorithm == algorithm:
                ahead.append((key, -math.inf if row["since"] is None else math.inf))
                self._due = math.inf if row.get("due") else self._due
            elif row["role"] == "current":  # the server has been told to use another algorithm
                self._retired[key.kid] = key, now()
            else:
                unused.append(key.kid)
        # With the time from which on it has been published: nobody holds a set that is older than the first
        # keys of all, and what was added later starts when the server does.
        first = current is None
        self._current = current or self._new()
        self._ahead = sorted(ahead, key=lambda each: each[1])
        while len(self._ahead) < AHEAD:
            self._ahead.append((self._new(), -math.inf if first else math.inf))
        self._save(*unused)

    @property
    def current(self) -> SigningKey:
        """The key that signs now."""
        if self._due is not None and self._due <= self._now():
            with self._lock:
                self._settle()
        return self._current

    @property
    def next(self) -> SigningKey:
        """The key that signs after it."""
        return self._ahead[0][0]

    def rotate(self) -> float:
        """Have the next key sign, and return from when on, in Unix seconds.

        That is now, if it has been published for :data:`LEAD` seconds.  If not, the change is made when it
        has, and until then this changes nothing more.  Infinity: not before the server runs again.
        """
        fresh = self._new()
        with self._lock:
            self._settle()
            if self._due is None:
                now = self._now()
                self._ahead.append((fresh, now if self._serving else math.inf))
                self._due = due = max(now, self._ahead[0][1] + LEAD)
                self._settle()
                self._save()
                return due
            return self._due

    def serve(self) -> None:
        """From now on the keys can be fetched."""
        with self._lock:
            now, self._serving = self._now(), True
            self._ahead = [(key, now if since == math.inf else since) for key, since in self._ahead]
            if self._due is not None:
                self._due = max(now, self._ahead[0][1] + LEAD)

    def pause(self) -> None:
        """They cannot: who has not fetched the newest of them so far, will not."""
        with self._lock:
            self._settle()
            now, self._serving = self._now(), False
            self._ahead = [(key, since if since + LEAD <= now else math.inf) for key, since in self._ahead]
            self._due = None if self._due is None else math.inf

    def published(self) -> list[SigningKey]:
        """The keys a relying party may meet, current first."""
        return [key for _, key in self._published()]

    def roles(self) -> list[PublishedKey]:
        """The same keys, and what each is for."""
        return [
            PublishedKey(role=role, kid=key.kid, algorithm=key.algorithm) for role, key in self._published()
        ]

    def find(self, kid: str) -> SigningKey | None:
        """The published key of that id."""
        if kid == self.current.kid:
            return self._current
        return next((key for key in self.published() if key.kid == kid), None)

    def _published(self) -> list[tuple[str, SigningKey]]:
        with self._lock:
            self._settle()
            horizon = self._now() - MAX_LIFETIME
            return [
                ("current", self._current),
                *(("next", key) for key, _ in self._ahead),
                *(("retired", key) for key, since in self._retired.values() if since > horizon),
            ]

    def _settle(self) -> None:
        """Make the change that is due."""
        if self._due is not None and self._due <= self._now():
            self._retired[self._current.kid] = self._current, self._due
            self._current, self._due = self._ahead.pop(0)[0], None
            self._save()

    def _new(self) -> SigningKey:
        return SigningKey.of(self.algorithm, new_private_key(self.algorithm))

    def _save(self, *unused: str) -> None:
        now = self._now()
        gone = [kid for kid, (_, since) in self._retired.items() if since <= now - MAX_LIFETIME]
        for kid in gone:
            del self._retired[kid]
        self._journal.write(
            _row(self._current, "current"),
            *(
                _row(key, "next", None if since + LEAD <= now else now, due=self._due is not None)
                for key, since in self._ahead
            ),
            *(_row(key, "retired", since) for key, since in self._retired.values()),
            *(("key", kid, None) for kid in (*gone, *unused)),
        )


def _row(key: SigningKey, role: str, since: float | None = None, **more: bool) -> Row:
    value = {"algorithm": key.algorithm, "pem": to_pem(key.private), "role": role, "since": since} | more
    return "key", key.kid, value
