"""The broker as a service: a relying party that lets devices in by access token."""

import asyncio
import contextlib
import gc
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from labkit.broker.admission import Validator
from labkit.broker.connection import Connection
from labkit.broker.gate import Gate
from labkit.broker.inner import InnerBroker
from labkit.broker.limits import Limits
from labkit.broker.listeners import Door, Listeners, doors
from labkit.broker.reasons import Carrier
from labkit.broker.recheck import Rechecks, Repeating
from labkit.broker.revocations import Revocations
from labkit.broker.sessions import State
from labkit.broker.upgrade import PATH, Rules
from labkit.broker.websocket import WebSocket
from labkit.clock import Clock
from labkit.errors import ServiceFailed
from labkit.record import Record
from labkit.service import Endpoint, Service

__all__ = ["Broker", "Client"]

_SHUTDOWN = 2.0  # seconds for amqtt to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A connected client, as :attr:`Broker.connections` shows it; ``expires_at`` in Unix seconds."""

    client_id: str
    jti: str
    expires_at: float
    carrier: Carrier
    peer: tuple[str, int]


class Broker(Service):
    """An MQTT broker, 3.1.1 and 5 (amqtt behind a gate) that takes access tokens.

    Sessions, subscriptions and retained messages outlive ``stop`` and ``start`` of the same object.

    Args:
        validator: says whether a token is good: a TokenValidator or an IntrospectionClient.
        clock: the time by which tokens expire; keep alive and time-outs run in real time.
        record: where accepted, refused, expired and closed connections are written down.
        host: where to listen.  Tokens in clear go to no other machine (RFC 6750 §5.3): beyond loopback it
            takes ``tls``, and what is plain stays on 127.0.0.1.
        port: TCP port; 0 takes a free one, and keeps it over a restart.
        ws_port: the same for MQTT in WebSocket frames, at the path ``/mqtt``.
        mqtts_port: the same as ``port`` behind ``tls``.
        wss_port: the same as ``ws_port`` behind ``tls``.
        origins: web origins, as ``"https://shop.example"``, whose pages may connect by WebSocket.  Pages from
            this machine always may (RFC 6455 §10.2).
        limits: what one client, or all of them, may take.
        leeway: seconds that a connection may outlive its token.
        recheck_every: seconds after which the validator asks again about the token of a live connection; it
            must be one that can.  ``None``: somebody calls :meth:`revoked`, or a token is good until ``exp``.
        tls: the server's side of TLS: listen for mqtts and wss, too.
        plaintext_anywhere: let plain MQTT leave loopback all the same.

    Raises:
        ServiceFailed: plain MQTT would leave loopback, a port is for TLS and there is none, an origin is no
            origin, or there is nobody to ask again.
    """

    name = "broker"

    def __init__(
        self,
        *,
        validator: Validator,
        clock: Clock,
        record: Record,
        host: str = "127.0.0.1",
        port: int = 0,
        ws_port: int = 0,
        mqtts_port: int = 0,
        wss_port: int = 0,
        origins: Iterable[str] = (),
        limits: Limits | None = None,
        leeway: float = 0,
        recheck_every: float | None = None,
        tls: ssl.SSLContext | None = None,
        plaintext_anywhere: bool = False,
    ) -> None:
        super().__init__()
        self.limits = limits or Limits()
        self._recheck_every = recheck_every
        self._validator = validator if recheck_every is None else _repeating(validator, recheck_every)
        self._clock = clock
        self._record = record
        ports = {"mqtt": port, "ws": ws_port, "mqtts": mqtts_port, "wss": wss_port}
        ways = doors(host, ports=ports, path=PATH, tls=tls, plaintext_anywhere=plaintext_anywhere)
        self._rules = {way.scheme: Rules(way.host, origins) for way in ways}
        self._listeners = Listeners(
            ways,
            handshake_time=self.limits.connect_timeout,
            most_handshakes=self.limits.max_pending,
            failed=lambda at, why: self._record.add("broker", "tls.failed", listener=at, reason=why),
        )
        self._leeway = leeway
        self._inner: InnerBroker | None = None
        self._gate_keeper: Gate | None = None
        self._rechecks: Rechecks | None = None
        self._kept: State | None = None
        self._revocations = Revocations()

    @property
    def mqtt(self) -> Endpoint:
        """Where devices connect over TCP.

        Raises:
            ServiceFailed: not known before the first start.
        """
        return self._listeners.endpoint("mqtt")

    @property
    def ws(self) -> Endpoint:
        """Where they connect by WebSocket, with the subprotocol ``mqtt``.

        Raises:
            ServiceFailed: not known before the first start.
        """
        return self._listeners.endpoint("ws")

    @property
    def mqtts(self) -> Endpoint | None:
        """The same over TLS, or ``None`` without it."""
        return self._listeners.endpoint("mqtts") if "mqtts" in self._listeners else None

    @property
    def wss(self) -> Endpoint | None:
        """By WebSocket over TLS, or ``None`` without it."""
        return self._listeners.endpoint("wss") if "wss" in self._listeners else None

    @property
    def connections(self) -> list[Client]:
        """Who is connected now, in the order of admission."""
        gate = self._gate_keeper
        return [] if gate is None else [_client(connection) for connection in list(gate.live.values())]

    def disconnect(self, client_id: str) -> bool:
        """Close the connection of ``client_id`` and return when it is closed; whether there was one."""
        return self._close_one(client_id, None, "disconnected", "disconnected")

    def revoked(self, jti: str | None, client_id: str, *, at: float | None = None) -> None:
        """A token (``None``: every token of the client) is good no more: close its connection at once.

        It is not let in again either.  May be called from any thread, running or not.  ``at`` is the moment
        by the clock that wrote ``iat``, in Unix seconds; without it, our own clock has to do.
        """
        if jti is not None:
            self._revocations.add(jti)
        else:
            self._revocations.add_all_of(client_id, self._clock.now() if at is None else at)
            live = self._live(client_id)
            if live is not None and live.guest is not None:
                self._revocations.add(live.guest.token.jti)  # even if it was issued this very second
        self._close_one(client_id, jti, "revoked", "token.revoked")

    def _close_one(self, client_id: str, jti: str | None, reason: str, kind: str) -> bool:
        gate, connection = self._gate_keeper, self._live(client_id)
        if gate is None or connection is None or connection.guest is None:
            return False
        if jti is not None and connection.guest.token.jti != jti:
            return False
        closed = gate.end_from_outside(connection, reason, kind, jti)
        if closed is not None and threading.current_thread() is not self._thread:
            with contextlib.suppress(TimeoutError):
                closed.result(10)
        return True

    def _live(self, client_id: str) -> Connection | None:
        gate = self._gate_keeper
        return gate.live.get(client_id) if gate is not None else None

    async def _open(self) -> None:
        inner = InnerBroker(limits=self.limits, record=self._record, clock=self._clock)
        await inner.start()
        if self._kept is not None:
            inner.take_over(self._kept)
        gate = Gate(
            validator=self._validator,
            inner=inner,
            clock=self._clock,
            record=self._record,
            limits=self.limits,
            leeway=self._leeway,
            revocations=self._revocations,
        )
        await self._listeners.open(partial(self._protocol_of, gate))
        self._inner, self._gate_keeper = inner, gate
        self._record.add("broker", "server.started")
        # A full collection walks every object of the process and stops the loop for some 100 ms.  What is
        # there before the first client stays out of it; the collector itself stays on.
        gc.freeze()
        if self._recheck_every is not None:
            self._rechecks = Rechecks(
                live=gate.live,
                end=gate.end_from_outside,
                clock=self._clock,
                record=self._record,
                every=self._recheck_every,
            )

    def _protocol_of(self, gate: Gate, door: Door) -> Callable[[], asyncio.Protocol]:
        """What takes a new connection at a door."""
        loop = asyncio.get_running_loop()
        if not door.path:
            return lambda: Connection(gate, loop)
        return lambda: WebSocket(
            Connection(gate, loop),
            rules=self._rules[door.scheme],
            limits=self.limits,
            record=self._record,
            listener=door.scheme,
        )

    async def _close(self) -> None:
        gate, inner = self._gate_keeper, self._inner
        assert gate is not None
        assert inner is not None
        gate.shut()
        if self._rechecks is not None:
            self._rechecks.close()
        await self._listeners.close()
        await gate.close()
        self._record.add("broker", "server.stopped")
        self._gate_keeper = None
        gc.unfreeze()
        self._kept = inner.give_away()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(inner.shutdown(), _SHUTDOWN)


def _repeating(validator: Validator, every: float) -> Validator:
    if not callable(getattr(validator, "ask_again", None)):
        raise ServiceFailed("only a validator that asks the authorization server can ask again")
    if not 0 < every < float("inf"):
        raise ServiceFailed(f"cannot ask again every {every:g} s: choose more than zero")
    return Repeating(validator)  # type: ignore[arg-type]


def _client(connection: Connection) -> Client:
    guest = connection.guest
    assert guest is not None
    return Client(
        client_id=guest.client_id,
        jti=guest.token.jti,
        expires_at=guest.token.expires_at,
        carrier=guest.carrier,
        peer=connection.peer,
    )
