"""Who may ask for tokens: clients (devices, resource servers) and users."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Self

from labkit.errors import RegistrationRefused
from labkit.rights import usable_client_id

__all__ = [
    "DEVICE_CODE",
    "Client",
    "Credentials",
    "User",
    "check_client_id",
    "check_user_name",
    "fingerprint",
    "new_registration",
    "same",
    "subject_of",
]

#: The grant type of RFC 8628 §3.4.
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

#: Users are named like this in ``sub``, and no client id may start like this, so that neither can pass as the
#: other (RFC 9700 §4.15).
_USER = "user:"

#: scrypt's cost: about 50 ms and 16 MiB a guess.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}

_USER_NAME = re.compile(r"[^\W_][\w.@-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a device is given at registration.  Secret and private key are told once, and kept nowhere.

    Attributes:
        client_id: its name at the authorization server, and its MQTT client identifier.
        client_secret: its password at the token endpoint, or ``None``.
        publish: topic filters it may publish to.
        subscribe: topic filters it may subscribe to.
        lifetime: seconds that its access tokens live.
        private_key: PKCS#8 PEM of the key it signs assertions with (ES256, RFC 7523), or ``None``.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    lifetime: int = 300
    private_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the server knows about a client.

    Attributes:
        client_id: its name.
        registration: random id of this registration; another one after the next ``register``.
        auth: how it proves who it is: ``client_secret_basic`` (or post), ``private_key_jwt`` or ``none``.
        grants: grant types it may use.
        scopes: all it may ever be granted.
        lifetime: seconds that its access tokens live.
        secret_hash: SHA-256 of its secret.
        guessable: the secret was chosen by a person, not by us.
        public_key: PEM of the key that verifies its assertions.
        introspects: the audience whose tokens it may ask about, for a resource server.
        certificate_bound: its tokens are good only with the TLS certificate that it came with (RFC 8705 §3).
        key_thumbprint: its tokens are good only with a proof by this key (``cnf.jkt``, RFC 9449 §6.1).
    """

    client_id: str
    registration: str
    auth: str
    grants: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    lifetime: int = 300
    secret_hash: str | None = field(default=None, repr=False)
    guessable: bool = False
    public_key: str | None = field(default=None, repr=False)
    introspects: str | None = None
    certificate_bound: bool = False
    key_thumbprint: str | None = None

    def check_grant_type(self, grant_type: str) -> bool:
        """Authlib asks this before every grant."""
        return grant_type in self.grants

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Self:
        """From the journal."""
        return cls(**row | {"grants": tuple(row["grants"]), "scopes": tuple(row["scopes"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person with a password: a resource owner (RFC 6749 §1.1)."""

    name: str
    salt: str = field(repr=False)
    password_hash: str = field(repr=False)

    @classmethod
    def new(cls, name: str, password: str) -> Self:
        """Passwords are guessable, so they are stored with scrypt and a salt; about 50 ms."""
        salt = secrets.token_bytes(16)
        return cls(name=name, salt=salt.hex(), password_hash=_scrypt(password, salt))

    def has_password(self, password: str) -> bool:
        """Whether this is the user's password; about 50 ms whatever the answer."""
        return same(_scrypt(password, bytes.fromhex(self.salt)), self.password_hash)


def fingerprint(secret: str) -> str:
    """SHA-256 of a secret, as hex.

    A fast hash is right here and wrong for passwords: a secret of 256 random bits cannot be found by trying
    hashes, however fast they are.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two hashes are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)


def new_registration() -> str:
    """A random id for one registration of a client."""
    return secrets.token_urlsafe(8)


def subject_of(user_name: str) -> str:
    """The ``sub`` of a user's tokens."""
    return _USER + user_name


def check_client_id(client_id: str) -> None:
    """Refuse an identifier that cannot stand in a topic, a scope, a log or an MQTT CONNECT.

    Raises:
        RegistrationRefused: the message says what to change.
    """
    if not usable_client_id(client_id):
        raise RegistrationRefused(
            f"{client_id!r:.80} cannot be a client id, as it becomes part of topics and scopes: use 1 to 128 "
            "visible ASCII characters, without slash, plus, hash, quotation mark and backslash"
        )
    if client_id.startswith(_USER):
        raise RegistrationRefused(f"{client_id!r} cannot be a client id: {_USER!r} marks the users")


def check_user_name(name: str) -> None:
    """Refuse a user name that is not a plain word.

    Raises:
        RegistrationRefused: the message says what to change.
    """
    if not isinstance(name, str) or not name.isascii() or not _USER_NAME.fullmatch(name):
        raise RegistrationRefused(
            f"{name!r:.80} cannot be a user name: use up to 128 ASCII letters, digits and . _ @ -"
        )


def _scrypt(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT).hex()
