"""The lab: one authorization server, one broker, one clock and one record, wired together.

::

    device ──client credentials──▶ authorization server
      │  ◀──────── JWT ───────────────┘      │ JWK set, by URL only
      └───────── CONNECT(token) ─────▶ broker ┘

The broker knows the authorization server by URL, as in production: stop one and the other lives on.
"""

import atexit
import contextlib
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

from labkit.authserver import AuthServer, Credentials
from labkit.broker import Broker, Limits
from labkit.clock import Clock
from labkit.device import Device, TokenSource
from labkit.errors import RegistrationRefused, ServiceFailed
from labkit.record import Record
from labkit.service import Endpoint
from labkit.tokens import JwksCache, TokenValidator

__all__ = ["Lab"]

#: The name under which the lab's broker may ask for introspection.
RESOURCE_SERVER = "mqtt-broker"


class Lab:
    """A running authorization server and broker, on loopback, in this process.

    Use it as a context manager, or call :meth:`Lab.start` in a notebook.

    Args:
        host: address both servers listen on.  Anything but loopback needs TLS and is refused.
        auth_port: TCP port of the authorization server; 0 lets the system choose.
        mqtt_port: TCP port of the broker; 0 lets the system choose.
        algorithm: signature algorithm of access tokens: ``"ES256"``, ``"RS256"`` or ``"EdDSA"``.
        audience: identifier of the broker, the ``aud`` claim of every token (RFC 9068 §3).
        token_lifetime: seconds that a device's tokens live when ``register`` does not say otherwise.
        leeway: seconds of clock difference that the broker forgives, 0 to 300.
        password_grant: also offer the password grant, which RFC 9700 §2.4 forbids: for lesson 01 only.
        database: a SQLite file that keeps clients, keys, refresh tokens and revocations over restarts.
        limits: what the broker puts up with.
        clock: the clock for all parties; a new one by default.
    """

    _started: ClassVar["Lab | None"] = None

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        auth_port: int = 0,
        mqtt_port: int = 0,
        algorithm: str = "ES256",
        audience: str = "https://mqtt.lab",
        token_lifetime: int = 300,
        leeway: float = 0,
        password_grant: bool = False,
        database: Path | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._own_clock = clock is None
        self.clock = clock or Clock()
        self.record = Record(self.clock.now)
        self._token_lifetime = token_lifetime
        self._credentials: dict[str, Credentials] = {}
        self._devices: weakref.WeakValueDictionary[str, Device] = weakref.WeakValueDictionary()
        self._closed = threading.Lock()
        self.authserver = AuthServer(
            audience=audience,
            clock=self.clock,
            record=self.record,
            host=host,
            port=auth_port,
            algorithm=algorithm,
            database=database,
            password_grant=password_grant,
        )
        with contextlib.ExitStack() as undo:
            self.authserver.start()  # the issuer is a URL, and holds the port
            undo.callback(self.authserver.stop)
            self.resource_server = self.authserver.register_resource_server(RESOURCE_SERVER)
            self.keys = JwksCache(self.jwks_uri, clock=self.clock, on_fetch=self._note_keys)
            self.validator = TokenValidator(
                self.issuer, audience, self.keys, leeway=leeway, clock=self.clock, algorithms=(algorithm,)
            )
            self.broker = Broker(
                validator=self.validator,
                clock=self.clock,
                record=self.record,
                host=host,
                port=mqtt_port,
                limits=limits or Limits(),
                leeway=leeway,
            )
            self.broker.start()
            undo.pop_all()
        self.authserver.on_revoked.append(self.broker.revoked)
        _running.add(self)

    @classmethod
    def start(cls, **options: Any) -> "Lab":
        """A running lab for a notebook: stops the one an earlier run of the cell left behind.

        Takes the same options as :class:`Lab`.

        Raises:
            ServiceFailed: a server could not start; the message says what to do.
        """
        if Lab._started is not None:
            Lab._started.stop()
        Lab._started = cls(**options)
        return Lab._started

    def stop(self) -> None:
        """Disconnect the lab's devices and stop both servers.  Safe to call twice."""
        with self._closed:
            for device in list(self._devices.values()):
                device.disconnect()
            self.broker.stop()
            self.authserver.stop()
            if self._own_clock:
                self.clock.close()
        _running.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def issuer(self) -> str:
        """Identifier of the authorization server, the ``iss`` claim of its tokens (RFC 8414 §2)."""
        return self.authserver.issuer

    @property
    def audience(self) -> str:
        """Identifier of the broker, the ``aud`` claim of its tokens (RFC 9068 §2.2)."""
        return self.authserver.audience

    @property
    def token_endpoint(self) -> str:
        """URL where devices get tokens (RFC 6749 §3.2)."""
        return self.authserver.token_endpoint

    @property
    def jwks_uri(self) -> str:
        """URL of the public keys (RFC 7517 §5)."""
        return self.authserver.jwks_uri

    @property
    def introspection_endpoint(self) -> str:
        """URL where a resource server asks about a token (RFC 7662 §2)."""
        return self.authserver.introspection_endpoint

    @property
    def revocation_endpoint(self) -> str:
        """URL where a client gives a token back (RFC 7009 §2)."""
        return self.authserver.revocation_endpoint

    @property
    def mqtt(self) -> Endpoint:
        """Where the broker listens for MQTT over TCP: ``.host``, ``.port``, ``.url``."""
        return self.broker.mqtt

    mqtts: None = None  # these listeners need TLS and WebSocket, which this version does not have yet
    ws: None = None
    wss: None = None
    ca_file: None = None

    def register(
        self,
        client_id: str,
        *,
        publish: Iterable[str] | None = None,
        subscribe: Iterable[str] | None = None,
        lifetime: int | None = None,
        **options: Any,
    ) -> Credentials:
        """Make a device known to the authorization server, and return its credentials.

        Args:
            client_id: the device's name: its OAuth2 client id, and the only MQTT client identifier its tokens
                are good for.  No ``/``, ``+``, ``#``, spaces or control characters.
            publish: topic filters it may publish to; ``["devices/<client_id>/#"]`` by default.
            subscribe: topic filters it may subscribe to; the same by default.
            lifetime: seconds its access tokens live, 1 to 3600; the lab's ``token_lifetime`` by default.
            options: passed on to ``AuthServer.register`` (``grants``, ``auth``…).

        Raises:
            RegistrationRefused: the message says what to change.
        """
        credentials = self.authserver.register(
            client_id,
            publish=publish,
            subscribe=subscribe,
            lifetime=self._token_lifetime if lifetime is None else lifetime,
            **options,
        )
        self._credentials[client_id] = credentials
        return credentials

    def token(self, client_id: str) -> str:
        """A fresh access token for a registered device, fetched over HTTP as the device would.

        Raises:
            RegistrationRefused: no device of that name is registered here.
            TokenRequestFailed: the authorization server gave no token.
        """
        credentials = self._credentials_of(client_id)
        source = TokenSource(
            self.token_endpoint,
            credentials.client_id,
            credentials.client_secret,
            now=self.clock.now,
            record=self.record,
        )
        return source.fetch().access_token

    def device(self, client_id: str, **options: Any) -> Device:
        """A :class:`~labkit.device.Device` with the credentials of a registered device, not yet connected.

        The device that an earlier call made for this name is disconnected: run a cell twice, and the second
        device does not have to fight the first for their client identifier (MQTT 3.1.1 §3.1.4).

        Args:
            client_id: the registered device.
            options: passed on to ``Device`` (``carrier``, ``clean_session``…).

        Raises:
            RegistrationRefused: no device of that name is registered here.
        """
        credentials = self._credentials_of(client_id)
        shared: dict[str, Any] = {"clock": self.clock, "record": self.record}
        if (earlier := self._devices.get(client_id)) is not None:
            earlier.disconnect()
        device = Device(
            credentials.client_id,
            credentials.client_secret,
            token_endpoint=self.token_endpoint,
            host=self.mqtt.host,
            port=self.mqtt.port,
            **shared | options,
        )
        self._devices[client_id] = device
        return device

    def revoke(self, client_id: str) -> None:
        """Take back every token of a device: its refresh tokens die, its live connection ends at once."""
        self.authserver.revoke_client(client_id)

    def _note_keys(self, outcome: int | str) -> None:
        """The broker has asked for the keys: write down how many came, or why none did."""
        if isinstance(outcome, int):
            self.record.add("broker", "keys.fetched", keys=outcome)
        else:
            self.record.add("broker", "keys.failed", reason=outcome)

    def _credentials_of(self, client_id: str) -> Credentials:
        credentials = self._credentials.get(client_id)
        if credentials is None or credentials.client_secret is None:
            known = ", ".join(sorted(self._credentials)) or "none yet"
            raise RegistrationRefused(
                f"no device with a secret is registered as {client_id!r}:"
                f" call lab.register({client_id!r}) first (registered: {known})"
            )
        return credentials

    def __repr__(self) -> str:
        state = "running" if self.broker.running and self.authserver.running else "stopped"
        return f"<Lab {state}: {len(self._credentials)} devices registered>"


_running: "weakref.WeakSet[Lab]" = weakref.WeakSet()


@atexit.register
def _stop_what_still_runs() -> None:
    for lab in list(_running):
        with contextlib.suppress(ServiceFailed, RuntimeError):
            lab.stop()
