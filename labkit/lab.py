"""The lab: one authorization server, one broker, one clock and one record, wired together.

::

    device ──client credentials──▶ authorization server
      │  ◀──────── JWT ───────────────┘      │ JWK set, by URL only
      └───────── CONNECT(token) ─────▶ broker ┘

The broker knows the authorization server by URL, as in production: stop one and the other lives on.
"""

import atexit
import contextlib
import ssl
import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from labkit.authserver import AuthServer
from labkit.broker import Broker, Limits
from labkit.clock import Clock
from labkit.errors import ServiceFailed
from labkit.record import Record
from labkit.registered import Registered
from labkit.tls import Authority
from labkit.tokens import JwksCache, Mode, new_validator

__all__ = ["Lab"]

#: The name under which the lab's broker may ask for introspection.
RESOURCE_SERVER = "mqtt-broker"


class Lab(Registered):
    """A running authorization server and broker, on loopback, in this process.

    Use it as a context manager, or call :meth:`Lab.start` in a notebook.

    Args:
        host: address both servers listen on.  Beyond loopback it takes ``tls``, and only what is encrypted
            goes there.
        auth_port: TCP port of the authorization server; 0 lets the system choose.
        mqtt_port: TCP port of the broker; 0 lets the system choose.
        ws_port: its TCP port for WebSocket; 0 lets the system choose.
        mqtts_port: its TCP port behind TLS; 0 lets the system choose.
        wss_port: its TCP port for WebSocket behind TLS; 0 lets the system choose.
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
        tls: https for the authorization server, and mqtts and wss beside the plain listeners of the broker.
            Certificates are by a throw-away authority, in ``ca_file``.
        plaintext_anywhere: with ``tls``, let the plain listeners leave loopback, too: tokens go in clear.
    """

    _started: ClassVar["Lab | None"] = None

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        auth_port: int = 0,
        mqtt_port: int = 0,
        ws_port: int = 0,
        mqtts_port: int = 0,
        wss_port: int = 0,
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
        tls: bool = False,
        plaintext_anywhere: bool = False,
    ) -> None:
        super().__init__(token_lifetime)
        self._own_clock = clock is None
        self.clock = clock or Clock()
        self.record = Record(self.clock.now)
        self._closed = threading.Lock()
        off = {"authserver": 0.0, "broker": 0.0} | dict(skew or {})
        if len(off) > 2:
            raise ServiceFailed("skew is for the clocks of 'authserver' and 'broker'; a device takes clock=")
        server_clock, broker_clock = self.clock.skewed(off["authserver"]), self.clock.skewed(off["broker"])
        if token_format == "opaque" and validation != "introspection":  # noqa: S105
            raise ServiceFailed("an opaque token says nothing by itself: choose validation='introspection'")
        self.authority = Authority(host) if tls else None

        def context() -> ssl.SSLContext | None:
            return None if self.authority is None else self.authority.server_context()

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
            tls=context(),
        )
        with contextlib.ExitStack() as undo:
            if self.authority is not None:
                undo.callback(self.authority.close)
            self.authserver.start()  # the issuer is a URL, and holds the port
            undo.callback(self.authserver.stop)
            self.resource_server = self.authserver.register_resource_server(RESOURCE_SERVER)
            self.keys = JwksCache(
                self.jwks_uri, clock=broker_clock, on_fetch=self._note_keys, ca_file=self.ca_file
            )
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
                ca_file=self.ca_file,
            )
            polls = validation != "jwt" and not push_revocation
            self.broker = Broker(
                validator=self.validator,
                clock=broker_clock,
                record=self.record,
                host=host,
                port=mqtt_port,
                ws_port=ws_port,
                mqtts_port=mqtts_port,
                wss_port=wss_port,
                origins=origins,
                limits=limits or Limits(),
                leeway=leeway,
                recheck_every=introspection_ttl if polls else None,
                tls=context(),
                plaintext_anywhere=plaintext_anywhere,
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
            if self.authority is not None:
                self.authority.close()
            if self._own_clock:
                self.clock.close()
        _running.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

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

    def __repr__(self) -> str:
        state = "running" if self.broker.running and self.authserver.running else "stopped"
        return f"<Lab {state}: {len(self._credentials)} devices registered>"


_running: "weakref.WeakSet[Lab]" = weakref.WeakSet()


@atexit.register
def _stop_what_still_runs() -> None:
    for lab in list(_running):
        with contextlib.suppress(ServiceFailed, RuntimeError):
            lab.stop()
