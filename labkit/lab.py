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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from labkit.addresses import Addresses
from labkit.authserver import AuthServer, Credentials
from labkit.broker import Broker, Limits
from labkit.clock import Clock
from labkit.device import Device, TokenSource
from labkit.errors import RegistrationRefused, ServiceFailed
from labkit.record import Record
from labkit.tokens import JwksCache, Mode, new_validator

__all__ = ["Lab"]

#: The name under which the lab's broker may ask for introspection.
RESOURCE_SERVER = "mqtt-broker"


class Lab(Addresses):
    """A running authorization server and broker, on loopback, in this process.

    Use it as a context manager, or call :meth:`Lab.start` in a notebook.

    Args:
        host: address both servers listen on.  Anything but loopback needs TLS and is refused.
        auth_port: TCP port of the authorization server; 0 lets the system choose.
        mqtt_port: TCP port of the broker; 0 lets the system choose.
        ws_port: its TCP port for WebSocket; 0 lets the system choose.
        origins: web origins whose pages may connect by WebSocket; those of this machine always may.
        algorithm: signature algorithm of access tokens: ``"ES256"``, ``"RS256"`` or ``"EdDSA"``.
        audience: identifier of the broker, the ``aud`` claim of every token (RFC 9068 §3).
        token_lifetime: seconds that a device's tokens live when ``register`` does not say otherwise.
        leeway: seconds of clock difference that the broker forgives, 0 to 300.
        validation: how the broker judges tokens: by itself (``"jwt"``), by asking (``"introspection"``), or
            ``"both"``.
        introspection_ttl: seconds that it uses an answer again; a revoked token may live on for as long.
        token_format: ``"jwt"``, or ``"opaque"`` for tokens that a broker has to ask about.
        push_revocation: have the authorization server tell the broker about revoked tokens at once.  Without
            it, a broker that asks asks again about each live connection, every ``introspection_ttl`` seconds.
        skew: seconds that the clock of ``"authserver"`` or ``"broker"`` is ahead of the lab's.
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
        ws_port: int = 0,
        origins: Iterable[str] = (),
        algorithm: str = "ES256",
        audience: str = "https://mqtt.lab",
        token_lifetime: int = 300,
        leeway: float = 0,
        validation: Mode = "jwt",
        introspection_ttl: float = 10.0,
        token_format: str = "jwt",  # noqa: S107  # a format, not a token
        push_revocation: bool = True,
        skew: Mapping[str, float] | None = None,
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
        off = {"authserver": 0.0, "broker": 0.0} | dict(skew or {})
        if len(off) > 2:
            raise ServiceFailed("skew is for the clocks of 'authserver' and 'broker'; a device takes clock=")
        server_clock, broker_clock = self.clock.skewed(off["authserver"]), self.clock.skewed(off["broker"])
        if token_format == "opaque" and validation != "introspection":  # noqa: S105
            raise ServiceFailed("an opaque token says nothing by itself: choose validation='introspection'")
        self.authserver = AuthServer(
            audience=audience,
            clock=server_clock,
            record=self.record,
            host=host,
            port=auth_port,
            algorithm=algorithm,
            token_format=token_format,
            database=database,
            password_grant=password_grant,
        )
        with contextlib.ExitStack() as undo:
            self.authserver.start()  # the issuer is a URL, and holds the port
            undo.callback(self.authserver.stop)
            self.resource_server = self.authserver.register_resource_server(RESOURCE_SERVER)
            self.keys = JwksCache(self.jwks_uri, clock=broker_clock, on_fetch=self._note_keys)
            self.validator = new_validator(
                validation,
                issuer=self.issuer,
                audience=audience,
                keys=self.keys,
                endpoint=self.introspection_endpoint,
                client_id=RESOURCE_SERVER,
                client_secret=self.resource_server.client_secret or "",
                algorithms=(algorithm,),
                leeway=leeway,
                ttl=introspection_ttl,
                clock=broker_clock,
            )
            polls = validation != "jwt" and not push_revocation
            self.broker = Broker(
                validator=self.validator,
                clock=broker_clock,
                record=self.record,
                host=host,
                port=mqtt_port,
                ws_port=ws_port,
                origins=origins,
                limits=limits or Limits(),
                leeway=leeway,
                recheck_every=introspection_ttl if polls else None,
            )
            self.broker.start()
            undo.pop_all()
        if push_revocation:
            broker = self.broker
            self.authserver.on_revoked.append(
                lambda jti, client_id: broker.revoked(jti, client_id, at=server_clock.now())
            )
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
            self.validator.close()  # whoever waits for an answer gets none
            self.keys.close()
            self.broker.stop()
            self.authserver.stop()
            if self._own_clock:
                self.clock.close()
        _running.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

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
            publish: topic filters it may publish to; ``["devices/{client_id}/#"]`` by default, and in any
                filter ``{client_id}`` stands for its name.
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

    def rotate_keys(self) -> float:
        """Have the next key sign tokens, and return the Unix time from which on: nearly always now."""
        return self.authserver.rotate_keys()

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
