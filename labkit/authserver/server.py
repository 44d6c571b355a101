"""The authorization server: one object to start, stop, register devices with and ask about itself."""

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labkit.authserver.app import PATHS, VERIFICATION_PATH, build_app
from labkit.authserver.assertions import Assertions
from labkit.authserver.client_auth import ClientAuthentication
from labkit.authserver.clients import Credentials, User, check_user_name
from labkit.authserver.core import Core
from labkit.authserver.endpoints import DeviceAuthorization, Introspection, Revocation
from labkit.authserver.faults import Faults
from labkit.authserver.grants import ClientCredentials, DeviceCode, Password, RefreshToken
from labkit.authserver.keys import ALGORITHMS, PublishedKey
from labkit.authserver.listener import HttpListener
from labkit.authserver.metadata import metadata
from labkit.authserver.registration import new_client, new_resource_server
from labkit.authserver.scopes import CONNECT
from labkit.authserver.state import OnRevoked, State
from labkit.authserver.store import Journal, SqliteJournal
from labkit.authserver.urls import Urls
from labkit.clock import Clock
from labkit.errors import RegistrationRefused, ServiceFailed
from labkit.record import Record
from labkit.service import Endpoint, Service, is_loopback, listening_socket

__all__ = ["TOKEN_FORMATS", "AuthServer"]

TOKEN_FORMATS = ("jwt", "opaque")


class AuthServer(Urls, Service):
    """An OAuth2 authorization server for MQTT devices, on a thread and a port of its own.

    It can be stopped and started again: clients, grants, keys and the port stay.

    Args:
        audience: identifier of the broker, the ``aud`` of tokens when a request names no ``resource``.
        resources: more audiences that a request may name; each is another broker's (RFC 9068 §5).
        clock: tells the time to everything in here.
        record: where issued, refused and revoked tokens are written down.
        host: address to listen on; without TLS only loopback.
        port: TCP port, 0 to let the system choose.
        algorithm: signature algorithm of access tokens: ``"ES256"``, ``"RS256"`` or ``"EdDSA"``.
        token_format: ``"jwt"``, or ``"opaque"`` for tokens that say nothing: a broker has to ask about them.
        database: SQLite file that keeps everything over a restart of the program; by default, nothing does.
        password_grant: offer the password grant, too (RFC 9700 §2.4 says it must not be used).
        tls: the server's side of TLS, which makes it https; certificates of clients can be what tokens are
            bound to (RFC 8705 §3).

    Raises:
        ServiceFailed: an option makes no sense, or the database cannot be used.
    """

    name = "authorization server"

    def __init__(
        self,
        *,
        audience: str = "https://mqtt.lab",
        resources: Iterable[str] = (),
        clock: Clock,
        record: Record,
        host: str = "127.0.0.1",
        port: int = 0,
        algorithm: str = "ES256",
        token_format: str = "jwt",  # noqa: S107  # a format, not a token
        database: Path | None = None,
        password_grant: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        if algorithm not in ALGORITHMS:
            raise ServiceFailed(f"cannot sign with {algorithm!r}: choose one of {', '.join(ALGORITHMS)}")
        if token_format not in TOKEN_FORMATS:
            raise ServiceFailed(
                f"no such token format: {token_format!r}; choose {' or '.join(TOKEN_FORMATS)}"
            )
        self.audience = audience
        self._host = host
        self._port = port
        self._tls = tls
        others = tuple(resources)
        _check_resources(audience, *others)
        self._state = State(
            audience=audience,
            resources=others,
            algorithm=algorithm,
            clock=clock,
            record=record,
            journal=Journal() if database is None else SqliteJournal(database),
            opaque=token_format == "opaque",  # noqa: S105
        )
        self._assertions = Assertions(self._state)
        self._core = Core(self._state, ClientAuthentication(self._state, self._assertions))
        self._grants = [ClientCredentials, RefreshToken, DeviceCode, *([Password] if password_grant else [])]
        for grant in self._grants:
            self._core.register_grant(grant)
        for endpoint in (Introspection, Revocation, DeviceAuthorization):
            self._core.register_endpoint(endpoint)
        self._listener: HttpListener | None = None
        #: Has it answer late, wrongly or not at all: for lessons and tests.
        self.faults = Faults(lambda what, path: self._state.note("fault", what=what, path=path))

    # Where it is

    @property
    def issuer(self) -> str:
        """Identifier of this server, the ``iss`` of its tokens (RFC 8414 §2); known after the first start."""
        if not self._state.tokens.issuer:
            raise ServiceFailed("the issuer holds the port, which is known after the first start")
        return self._state.tokens.issuer

    # Who may come

    def register(
        self,
        client_id: str,
        *,
        publish: Iterable[str] | None = None,
        subscribe: Iterable[str] | None = None,
        lifetime: int = 300,
        grants: Iterable[str] = ("client_credentials",),
        auth: str = "client_secret_basic",
        secret: str | None = None,
        certificate_bound: bool = False,
        proof_key: Mapping[str, str] | None = None,
    ) -> Credentials:
        """Register a device, before or after the start, from any thread.  Again replaces and revokes.

        Args:
            client_id: its name, also as an MQTT client identifier.
            publish: topic filters it may publish to; ``devices/<client_id>/#`` by default.
            subscribe: topic filters it may subscribe to; the same by default.
            lifetime: seconds its access tokens live, 1 to 3600.
            grants: grant types it may use; those in a user's name bring ``refresh_token`` along.
            auth: ``"client_secret_basic"`` (the secret may also come in the body), ``"private_key_jwt"``, or
                ``"none"`` for a public client.
            secret: its secret, for the rare case that it cannot be told a random one.
            certificate_bound: bind its tokens to the TLS certificate that it asks with; needs TLS.
            proof_key: public key, as a JWK, whose holder alone can use its tokens.

        Raises:
            RegistrationRefused: the message says what to change.
        """
        if certificate_bound and self._tls is None:
            raise RegistrationRefused(f"a token of {client_id!r} can be bound to a certificate with TLS only")
        client, credentials = new_client(
            client_id,
            publish=publish,
            subscribe=subscribe,
            lifetime=lifetime,
            grants=grants,
            auth=auth,
            secret=secret,
            certificate_bound=certificate_bound,
            proof_key=proof_key,
        )
        self._state.put_client(client)
        return credentials

    def register_resource_server(self, client_id: str, *, audience: str | None = None) -> Credentials:
        """Register a broker that may ask for introspection of tokens for ``audience`` (the default one).

        Raises:
            RegistrationRefused: the message says what to change.
        """
        audience = self.audience if audience is None else audience
        if audience not in self._state.resources:
            raise RegistrationRefused(f"{audience!r} is no audience here: name it in resources=")
        client, credentials = new_resource_server(client_id, audience)
        self._state.put_client(client)
        return credentials

    def register_user(self, username: str, password: str) -> None:
        """Register a person who can answer for a device, or give a device a new password; about 50 ms.

        Raises:
            RegistrationRefused: the message says what to change.
        """
        check_user_name(username)
        if not password:
            raise RegistrationRefused(f"the user {username!r} needs a password")
        self._state.put_user(User.new(username, password))

    def remove(self, client_id: str) -> None:
        """Forget a client and revoke all it holds; harmless when there is none."""
        self._state.remove_client(client_id)

    # What they may do, and no longer

    def approve(self, user_code: str, *, username: str) -> None:
        """The owner says yes to a device, without a browser.

        Raises:
            LookupError: no device waits with this code, or there is no such user.
        """
        self._answer(user_code, username, approved=True)

    def deny(self, user_code: str) -> None:
        """The owner says no to a device.

        Raises:
            LookupError: no device waits with this code.
        """
        self._answer(user_code, "", approved=False)

    def revoke(self, jti: str) -> bool:
        """End one access token; ``False`` when no grant stands behind it any more."""
        return self._state.revoke(jti)

    def revoke_client(self, client_id: str) -> bool:
        """End every token of a client, which stays registered; ``False`` when there is no such client."""
        return self._state.revoke_client(client_id)

    def rotate_keys(self) -> float:
        """Sign with the next key, and return the Unix time from which on: nearly always now.

        Only if that key was published a moment ago, the change waits until every relying party can know it.
        """
        return self._state.rotate_keys()

    @property
    def keys(self) -> list[PublishedKey]:
        """The keys that are published now, and what each is for: current, next, retired."""
        return self._state.keys.roles()

    @property
    def on_revoked(self) -> list[OnRevoked]:
        """Called from any thread with ``(jti or None, client_id)`` when tokens die before ``exp``."""
        return self._state.listeners

    def _answer(self, user_code: str, username: str, *, approved: bool) -> None:
        if approved and not self._state.registry.has_user(username):
            raise LookupError(f"no user {username!r}: call register_user first")
        if self._state.answer(user_code, username, approved=approved) is None:
            raise LookupError("no device waits for an answer with this user code")

    # Coming and going

    async def _open(self) -> None:
        if self._tls is None and not is_loopback(self._host):
            raise ServiceFailed(
                f"plain HTTP is for loopback, and {self._host} is not: use tls or 127.0.0.1 (RFC 6749 §3.2)"
            )
        sock = listening_socket(self._host, self._port)
        self._port = sock.getsockname()[1]
        issuer = Endpoint(scheme="https" if self._tls else "http", host=self._host, port=self._port).url
        self._state.tokens.issuer = issuer
        self._state.keys.serve()
        self._assertions.audiences = (issuer, self.token_endpoint)
        self._core.verification_uri = issuer + VERIFICATION_PATH
        app = build_app(self._core, self._describe, issuer)
        self._listener = HttpListener(
            self.faults.over(app),
            self._state.now,
            self.faults.wake,
            tls=self._tls,
            failed=lambda why: self._state.note("tls.failed", reason=why),
        )
        await self._listener.open(sock)
        self._state.note("server.started")

    async def _close(self) -> None:
        self._state.keys.pause()
        if self._listener is not None:
            await self._listener.close()
            self._state.note("server.stopped")

    def _describe(self) -> dict[str, Any]:
        return metadata(
            issuer=self.issuer,
            endpoints={name: self.issuer + path for name, path in PATHS.items()},
            grant_types=[grant.GRANT_TYPE for grant in self._grants],
            scopes=[CONNECT],
            tls=self._tls is not None,
        )


def _check_resources(*resources: str) -> None:
    """Refuse what a ``resource`` parameter could not name, or not tell apart (RFC 8707 §2, RFC 9068 §5)."""
    for resource in resources:
        parts = urlsplit(resource)
        if not parts.scheme or not (parts.netloc or parts.path) or "#" in resource or not resource.isascii():
            raise ServiceFailed(f"{resource!r} cannot be an audience: use an absolute URI without fragment")
    if len(set(resources)) < len(resources):
        raise ServiceFailed("an audience is named twice: each resource needs its own")
