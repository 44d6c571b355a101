"""The door of the broker: reads one CONNECT, decides, and only then lets a connection through to amqtt.

Everything here runs on the broker's loop, except what a slow validator does: that has threads of its own, so
that a key that has to be fetched never holds up those who are already in.
"""

import asyncio
import concurrent.futures
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from labkit.broker.admission import Admitted, Presented, Validator, decide, examine
from labkit.broker.connection import Connection, State
from labkit.broker.inner import InnerBroker
from labkit.broker.limits import Limits, descriptors
from labkit.broker.reasons import Refused, refused
from labkit.broker.revocations import Revocations
from labkit.clock import Clock
from labkit.errors import MalformedPacket
from labkit.record import Record
from labkit.wire import Connack, Connect, encode, parse

__all__ = ["Gate"]

#: Seconds to wait for a conversation to end before it is cancelled.
_PATIENCE = 5.0
_CONNECT = 0x10  # its first byte: type 1, flags 0
_WORKERS = 8


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
        self._validator = validator
        self._inner = inner
        self._clock = clock
        self._record = record
        self._leeway = leeway
        self._revocations = revocations
        self._max_pending = min(limits.max_pending, max(16, descriptors() // 4))
        self._loop = asyncio.get_running_loop()
        self._outside: dict[Connection, None] = {}  # not admitted, or on its way out; oldest first
        self._hosted: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="labkit-validate")
        self._deciding: set[Future[Admitted | Refused]] = set()
        self._closing = False

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
            connect = self._read_connect(connection)
        except MalformedPacket as error:  # [MQTT-3.1.4-1]: no CONNACK
            self._record.add("broker", "protocol.error", reason=str(error))
            connection.leave()
            return
        if connect is None:
            return
        presented = examine(connect)
        if isinstance(presented, Refused):
            self._refuse(connection, connect, presented)
            return
        connection.state = State.DECIDING
        try:
            ready = self._validator.ready_for(presented.token)
        except Exception:  # then it fails in decide() as well, and is recorded there
            ready = True
        if ready:
            self._settle(connection, connect, decide(presented, self._validator))
        elif len(self._deciding) >= self.limits.max_deciding:
            self._refuse(connection, connect, refused("busy", presented.carrier))
        else:
            self._decide_aside(connection, presented)

    def too_slow(self, connection: Connection) -> None:
        """The time for CONNECT is up."""
        if connection.state is State.DECIDING:
            late = refused("timeout")
            self._record.add("broker", "connect.refused", reason=late.reason, return_code=late.return_code)
            connection.leave(encode(Connack(return_code=late.return_code)))
        else:
            self._record.add("broker", "protocol.error", reason="no CONNECT in time")
            connection.leave()

    def gone(self, connection: Connection) -> None:
        """The socket is closed."""
        self._outside.pop(connection, None)

    def _read_connect(self, connection: Connection) -> Connect | None:
        if connection.framer.first_byte != _CONNECT:
            raise MalformedPacket("the first packet is not CONNECT", spec="MQTT 3.1.1 §3.1")
        raw = connection.framer.next_packet()
        if raw is None:
            return None
        connect = parse(raw)
        assert isinstance(connect, Connect)
        return connect

    def _decide_aside(self, connection: Connection, presented: Presented) -> None:
        connection.pause()
        client_id, carrier = presented.connect.client_id[:128], presented.carrier
        self._record.add("broker", "decision.pending", client_id=client_id, carrier=carrier)
        work = self._pool.submit(decide, presented, self._validator)
        self._deciding.add(work)
        work.add_done_callback(partial(self._hand_back, connection, presented.connect))

    def _hand_back(
        self, connection: Connection, connect: Connect, work: "Future[Admitted | Refused]"
    ) -> None:
        """On a worker's thread: let the loop go on with the verdict."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._decided, connection, connect, work)

    def _decided(self, connection: Connection, connect: Connect, work: "Future[Admitted | Refused]") -> None:
        self._deciding.discard(work)
        if connection.state is State.DECIDING and not work.cancelled():
            self._settle(connection, connect, work.result())

    # Verdict.

    def _settle(self, connection: Connection, connect: Connect, verdict: Admitted | Refused) -> None:
        if isinstance(verdict, Admitted):
            objection = self._objection(verdict)
            if objection is None:
                self._admit(connection, verdict)
                return
            verdict = objection
        self._refuse(connection, connect, verdict)

    def _refuse(self, connection: Connection, connect: Connect, refused: Refused) -> None:
        # The client identifier is the caller's own text: the record cuts and escapes it.
        self._record.add(
            "broker",
            "connect.refused",
            client_id=connect.client_id[:128],
            reason=refused.reason,
            return_code=refused.return_code,
            carrier=refused.carrier,
        )
        connection.leave(encode(Connack(return_code=refused.return_code)))

    def _objection(self, guest: Admitted) -> Refused | None:
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
        connection.timer = self._clock.call_at(
            guest.token.expires_at + self._leeway,
            partial(self.end_from_outside, connection, "expired", "token.expired"),
        )
        del self._outside[connection]
        older = self.live.get(guest.client_id)
        self.live[guest.client_id] = connection
        connection.admit(guest)
        self._record.add(
            "broker",
            "connect.accepted",
            client_id=guest.client_id,
            jti=guest.token.jti,
            carrier=guest.carrier,
            expires_in=round(guest.token.expires_at - self._clock.now(), 3),
        )
        if older is not None:  # [MQTT-3.1.4-2]
            self._end(older, "taken-over", "taken-over")
        connection.task = self._loop.create_task(self._host(connection, older))
        self._hosted.add(connection.task)
        if guest.token in self._revocations:  # since _objection: revoked() looked for us before we were in
            self._end(connection, "revoked", "token.revoked")
        connection.task.add_done_callback(self._hosted.discard)

    async def _host(self, connection: Connection, older: Connection | None) -> None:
        """The life of an admitted connection, which starts when that of an older one has ended."""
        guest = connection.guest
        assert guest is not None
        try:
            if older is not None and older.task is not None:
                await _finished(older.task)
            if connection.reason is None:
                connection.hosted = True
                await self._inner.host(connection)
            connection.end("closed-by-client")
        except MalformedPacket as error:
            self._record.add("broker", "protocol.error", client_id=guest.client_id, reason=str(error))
            connection.end("protocol-error")
        except Exception as error:  # a fault of ours must not leave a socket open
            self._record.add(
                "broker", "internal.error", client_id=guest.client_id, reason=type(error).__name__
            )
            connection.end("internal-error")
        finally:
            if connection.timer is not None:
                connection.timer.cancel()
            if self.live.get(guest.client_id) is connection:
                del self.live[guest.client_id]
            self._record.add(
                "broker",
                "connection.closed",
                client_id=guest.client_id,
                jti=guest.token.jti,
                reason=connection.reason,
            )
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

    def end_from_outside(self, connection: Connection, reason: str, kind: str) -> "Future[None] | None":
        """From any thread: end ``connection``; the future is done when its socket is closed."""
        done: Future[None] = Future()

        def finish(_: object) -> None:
            if not done.done():
                done.set_result(None)

        def act() -> None:
            self._end(connection, reason, kind)
            if connection.task is None or connection.task.done():
                finish(None)
            else:
                connection.task.add_done_callback(finish)

        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:  # the loop has ended, and with it every connection
            return None
        return done

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
                await _finished(task)
        for work in self._deciding:
            work.cancel()
        undecided = concurrent.futures.wait(self._deciding, _PATIENCE).not_done
        self._pool.shutdown(wait=not undecided, cancel_futures=True)
        await asyncio.sleep(0)  # one turn for the aborted sockets


async def _finished(task: "asyncio.Task[None]") -> None:
    """Wait for a conversation to end; cancel it when it does not."""
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=_PATIENCE)
