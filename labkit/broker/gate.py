"""The door of the broker: reads one CONNECT, decides, and only then lets a connection through to amqtt.

Everything here runs on the broker's loop, except what a slow validator does: that has threads of its own, so
that a key that has to be fetched never holds up those who are already in.
"""

import asyncio
import contextlib
from concurrent.futures import Future
from functools import partial

from labkit.broker.admission import Admitted, AnyConnect, Presented, Validator, examine
from labkit.broker.certificates import thumbprint
from labkit.broker.connection import Connection
from labkit.broker.enhanced import Enhanced
from labkit.broker.inner import InnerBroker
from labkit.broker.judging import Judge, Verdict
from labkit.broker.limits import Limits, descriptors
from labkit.broker.reading import read_connect
from labkit.broker.reasons import Refused, malformed, refused
from labkit.broker.refusing import note
from labkit.broker.revocations import Revocations
from labkit.broker.states import State
from labkit.broker.waiting import PATIENCE, finished, followed
from labkit.clock import Clock
from labkit.errors import MalformedPacket
from labkit.record import Record

__all__ = ["Gate"]

#: Seconds that last words may take when everybody is sent away.
_FAREWELL = 0.5


class Gate:
    """Admission, the list of who is in, and every way out."""

    def __init__(
        self,
        *,
        validator: Validator,
        inner: InnerBroker,
        clock: Clock,
        record: Record,
        limits: Limits,
        leeway: float,
        revocations: Revocations,
    ) -> None:
        self.limits = limits
        self.live: dict[str, Connection] = {}
        self.judge = Judge(validator, limits.max_deciding)
        self._inner = inner
        self._clock = clock
        self._record = record
        self._leeway = leeway
        self._revocations = revocations
        self._max_pending = min(limits.max_pending, max(16, descriptors() // 4))
        self._loop = asyncio.get_running_loop()
        self._outside: dict[Connection, None] = {}  # not admitted, or on its way out; oldest first
        self._hosted: set[asyncio.Task[None]] = set()
        self.enhanced = Enhanced(self, record)
        self._closing = False
        self._deserted = asyncio.Event()

    # Arrival.

    def arrived(self, connection: Connection) -> None:
        """A socket is there; nobody knows yet whose."""
        if self._closing:
            connection.abort()
        elif len(self._outside) >= self._max_pending:
            oldest = next(iter(self._outside))
            del self._outside[oldest]
            oldest.abort()
        self._outside[connection] = None

    def knock(self, connection: Connection) -> None:
        """Bytes came from somebody who is not in."""
        try:
            if connection.state is State.EXCHANGING:
                self.enhanced.go_on(connection)
                return
            connect = read_connect(connection, self._clock.now)
        except MalformedPacket as error:  # [MQTT-3.1.4-1]: no CONNACK in 3.1.1
            self._record.add("broker", "protocol.error", reason=str(error))
            five = connection.dialect.version == 5
            connection.leave(connection.dialect.refusal(malformed(error)) if five else b"")
            return
        if connect is None:
            return
        presented = examine(connect, connection.told("bearer"))
        if isinstance(presented, Refused):
            self.refuse(connection, connect, presented)
            return
        presented.certificate = thumbprint(connection.told("ssl_object"))
        if presented.carrier == "enhanced":
            self.enhanced.begin(connection, presented)
        else:
            self.decide(connection, presented)

    def decide(self, connection: Connection, presented: Presented) -> None:
        """Let the judge say whether this one comes in."""
        connection.state = State.DECIDING

        def waiting() -> None:
            connection.pause()
            client_id, carrier = presented.connect.client_id[:128], presented.carrier
            self._record.add("broker", "decision.pending", client_id=client_id, carrier=carrier)

        self.judge.ask(presented, waiting, partial(self._settle, connection, presented))

    def too_slow(self, connection: Connection) -> None:
        """The time for CONNECT is up."""
        if connection.state in (State.DECIDING, State.EXCHANGING):
            # A no that the client does not want to hear is a no, not a decision that took too long.
            late = None if connection.exchange is None else connection.exchange.verdict
            if late is None:
                late = refused("timeout")
                note(self._record, connection, late)
            connection.leave(connection.dialect.refusal(late))
        else:
            self._record.add("broker", "protocol.error", reason="no CONNECT in time")
            connection.leave()

    def gone(self, connection: Connection) -> None:
        """The socket is closed."""
        self._outside.pop(connection, None)
        if self._closing and not self._outside:
            self._deserted.set()

    # Verdict.

    def _settle(self, connection: Connection, presented: Presented, verdict: Verdict) -> None:
        if connection.state is not State.DECIDING:  # it has gone
            return
        if isinstance(verdict, Admitted):
            objection = self.objection(verdict)
            if objection is None:
                self._admit(connection, verdict)
                return
            verdict = objection
        if connection.exchange is not None:
            self.enhanced.refuse(connection, presented, verdict)
        else:
            self.refuse(connection, presented.connect, verdict)

    def refuse(self, connection: Connection, connect: AnyConnect, refused: Refused) -> None:
        """Say no and close."""
        note(self._record, connection, refused, connect)
        connection.leave(connection.dialect.refusal(refused))

    def objection(self, guest: Admitted) -> Refused | None:
        """What only the gate knows: who was revoked, who is in, and what the time is now."""
        if guest.token in self._revocations:
            return refused("revoked", guest.carrier)
        if self._clock.now() >= guest.token.expires_at + self._leeway:
            return refused("expired", guest.carrier)
        if self._closing:
            return refused("stopping", guest.carrier)
        if guest.client_id not in self.live and len(self.live) >= self.limits.max_connections:
            return refused("server-full", guest.carrier)
        return None

    def _admit(self, connection: Connection, guest: Admitted) -> None:
        self._arm(connection, guest)
        del self._outside[connection]
        older = self.live.get(guest.client_id)
        self.live[guest.client_id] = connection
        connection.admit(guest)
        if connection.exchange is not None:
            connection.exchange.over()
        self._note_entry("connect.accepted", guest)
        if older is not None:  # [MQTT-3.1.4-2]
            self._end(older, "taken-over", "taken-over")
        connection.task = self._loop.create_task(self._host(connection, older))
        self._hosted.add(connection.task)
        if guest.token in self._revocations:  # since objection: revoked() looked for us before we were in
            self._end(connection, "revoked", "token.revoked")
        connection.task.add_done_callback(self._hosted.discard)

    def _arm(self, connection: Connection, guest: Admitted) -> None:
        """The connection ends with this token, unless it has another by then."""
        connection.timer = self._clock.call_at(
            guest.token.expires_at + self._leeway,
            partial(self.end_from_outside, connection, "expired", "token.expired", guest.token.jti),
        )

    def renew(self, connection: Connection, guest: Admitted) -> None:
        """A live connection has another token: other rights, and another end.  Spec: MQTT 5 §4.12.1."""
        if connection.timer is not None:
            connection.timer.cancel()
        self._arm(connection, guest)
        connection.guest = guest
        self._note_entry("reauth.accepted", guest)
        if connection.session is not None:
            connection.session.change_rights(guest.permissions)
        if guest.token in self._revocations:  # since objection: see :meth:`_admit`
            self._end(connection, "revoked", "token.revoked")

    def _note_entry(self, kind: str, guest: Admitted) -> None:
        left = round(guest.token.expires_at - self._clock.now(), 3)
        about = {"client_id": guest.client_id, "jti": guest.token.jti, "carrier": guest.carrier}
        self._record.add("broker", kind, **about, expires_in=left)

    async def _host(self, connection: Connection, older: Connection | None) -> None:
        """The life of an admitted connection, which starts when that of an older one has ended."""
        guest = connection.guest
        assert guest is not None
        try:
            if older is not None and older.task is not None:
                await finished(older.task)
            if connection.reason is None:
                connection.hosted = True
                await self._inner.host(connection)
            connection.end("closed-by-client")
        except MalformedPacket as error:
            self._record.add("broker", "protocol.error", client_id=guest.client_id, reason=str(error))
            connection.code = error.reason_code
            connection.end("protocol-error")
        except Exception as error:  # a fault of ours must not leave a socket open
            self._record.add(
                "broker", "internal.error", client_id=guest.client_id, reason=type(error).__name__
            )
            connection.end("internal-error")
        finally:
            guest = connection.guest or guest  # it may have another token by now
            if connection.timer is not None:
                connection.timer.cancel()
            if self.live.get(guest.client_id) is connection:
                del self.live[guest.client_id]
            code = connection.dialect.parting(connection.reason, connection.code)
            self._record.add(
                "broker",
                "connection.closed",
                client_id=guest.client_id,
                jti=guest.token.jti,
                reason=connection.reason,
                **({} if code is None else {"reason_code": code}),
            )
            words = connection.dialect.goodbye(connection.reason, connection.code)
            if words and connection.leave(words):
                self._outside[connection] = None  # until :meth:`gone`
            else:
                await connection.closed()

    # Ways out.

    def _end(self, connection: Connection, reason: str, kind: str) -> None:
        """End an admitted connection and say so, once."""
        guest = connection.guest
        if guest is not None and connection.reason is None:
            self._record.add("broker", kind, client_id=guest.client_id, jti=guest.token.jti)
            connection.end(reason)
            if not connection.hosted:  # it still waits for its forerunner, and nothing was promised to it
                connection.abort()

    def end_from_outside(
        self, connection: Connection, reason: str, kind: str, jti: str | None = None
    ) -> "Future[None] | None":
        """From any thread: end ``connection``; the future is done when its socket is closed.

        With a ``jti``, only if it still has this token.  ``None``: the loop has ended, and all with it.
        """

        def act() -> asyncio.Task[None] | None:
            guest = connection.guest
            if jti is not None and guest is not None and guest.token.jti != jti:
                return None
            self._end(connection, reason, kind)
            return connection.task

        return followed(self._loop, act)

    def shut(self) -> None:
        """Let nobody in any more."""
        self._closing = True

    async def close(self) -> None:
        """Send everybody away and wait until they are gone; :meth:`shut` goes before."""
        for connection in list(self._outside):
            connection.abort()
        for connection in list(self.live.values()):
            connection.end("stopped")
        if self._hosted:
            for task in list(self._hosted):
                await finished(task)
        self.judge.close(PATIENCE)
        self._deserted.clear()
        if self._outside:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._deserted.wait(), _FAREWELL)
        for connection in list(self._outside):
            connection.abort()
        await asyncio.sleep(0)  # one turn for the aborted sockets
