"""One socket: whole packets in, bytes out, deadlines, and an orderly end.

::

    arrived ──CONNECT──▶ deciding ──yes──▶ admitted ──▶ ended
       │     ╲AUTH╱         │no                │ last words of MQTT 5
       └──────malformed─────┴──▶ leaving ◀─────┘    they are on their way, nothing more is read (§3.1.4)
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from labkit.broker.admission import Admitted
from labkit.broker.dialect import MQTT4, Dialect, Packet
from labkit.broker.states import State
from labkit.clock import Timer
from labkit.service import untie
from labkit.wire import Framer

if TYPE_CHECKING:
    from labkit.broker.gate import Gate
    from labkit.broker.inner import Session

__all__ = ["Connection", "State"]

#: Seconds for the other side to take what was sent before the socket is cut.
_LINGER = 1.0
#: Unread input above which the socket is no longer read, in bytes.
_READ_AHEAD = 65_536
#: Unsent output above which no more is produced, in bytes.
_WRITE_AHEAD = 262_144
#: How many packets of one client are read before the others get a turn.
_TURN = 32


class Connection(asyncio.Protocol):
    """The gate's side of one TCP connection.  Everything runs on the broker's loop."""

    __slots__ = (
        "_deadline",
        "_eof",
        "_last_packet",
        "_loop",
        "_lost",
        "_patience",
        "_paused",
        "_stall",
        "_taken",
        "_transport",
        "_waiter",
        "code",
        "dialect",
        "exchange",
        "framer",
        "gate",
        "guest",
        "hosted",
        "on_writable",
        "peer",
        "reason",
        "session",
        "state",
        "task",
        "timer",
        "writable",
    )

    def __init__(self, gate: "Gate", loop: asyncio.AbstractEventLoop) -> None:
        self.gate = gate
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None  # CONNECT time-out, then keep alive, then linger
        self._stall: asyncio.TimerHandle | None = None  # a packet that does not end
        self._patience: asyncio.TimerHandle | None = None  # a client that does not read
        self._eof = False
        self._paused = False
        self._last_packet = 0.0
        self._taken = 0
        self.framer = Framer(gate.limits.max_packet)
        self.dialect: Dialect = MQTT4  # until CONNECT says otherwise
        self.exchange: Any = None  # enhanced authentication, where there is one
        self.state = State.ARRIVED
        self.writable = True
        self.on_writable: Callable[[], None] | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.guest: Admitted | None = None  # set at admission, with the next two
        self.session: Session | None = None  # set when its conversation begins
        self.task: asyncio.Task[None] | None = None
        self.timer: Timer | None = None
        self.hosted = False  # whether its conversation has begun
        self.reason: str | None = None  # why it ends; the first reason stays
        self.code: int | None = None  # of the broken rule, if that is why

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._deadline = self._loop.call_later(self.gate.limits.connect_timeout, self.gate.too_slow, self)
        self.gate.arrived(self)

    def data_received(self, data: bytes) -> None:
        if self.state is State.LEAVING:
            return  # [MQTT-3.1.4-5]
        self.framer.feed(data)
        if self.state in (State.ARRIVED, State.EXCHANGING):
            self.gate.knock(self)
        elif self.state is State.ADMITTED:
            self._wake()
        if self.framer.buffered > _READ_AHEAD + self.framer.limit and not self._paused:
            self.pause()

    def eof_received(self) -> bool:
        self._eof = True
        if self.state is State.ADMITTED:
            self._wake()
            # Packets that came before the end still count; TLS and WebSocket cannot be half open.
            return self._transport is not None and self._transport.can_write_eof()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._eof = True
        self._forget()
        untie(self._transport)
        self._transport = None
        for timer in (self._deadline, self._stall, self._patience):
            if timer is not None:
                timer.cancel()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self._wake()
        self.gate.gone(self)

    def pause_writing(self) -> None:
        self.writable = False
        self._patience = self._loop.call_later(self.gate.limits.packet_timeout, self.end, "not-reading")

    def resume_writing(self) -> None:
        self.writable = True
        if self._patience is not None:
            self._patience.cancel()
        if self.on_writable is not None:
            self.on_writable()
        self._wake()

    # What the gate calls before admission.

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._transport.pause_reading()
            self._paused = True

    def admit(self, guest: Admitted) -> None:
        """From now on there is a client."""
        self.guest = guest
        self.state = State.ADMITTED
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        self._last_packet = self._loop.time()
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=_WRITE_AHEAD)
        if guest.keep_alive:
            self._deadline = self._loop.call_later(1.5 * guest.keep_alive, self._check_keep_alive)

    def leave(self, last_words: bytes = b"") -> bool:
        """Say ``last_words``, then nothing; hear nothing; cut the line when the other side does not.

        Closing a socket with unread input would reset it, and the client might never see the answer.  Returns
        whether there is still a socket.
        """
        if self._transport is None or self.state is State.LEAVING:
            return self._transport is not None
        self.state = State.LEAVING
        self.framer.take_all()
        if last_words:
            self._transport.write(last_words)
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(_LINGER, self.abort)
        if not self._transport.is_closing():  # see :meth:`closed`
            if self._eof or not self._transport.can_write_eof():
                self._transport.close()  # TLS and WebSocket send what is written, and have their own end
            else:
                self._transport.write_eof()
                self.resume()
        return True

    def say(self, data: bytes) -> None:
        """Send ``data`` to somebody who is not in."""
        if self._transport is not None and self.state is not State.LEAVING:
            self._transport.write(data)

    def told(self, name: str) -> Any:
        """What the transport knows: ``"bearer"``, ``"ssl_object"``, ``"listener"``."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    def abort(self) -> None:
        """Cut the line."""
        self._forget()
        self.framer.take_all()
        if self._transport is not None:
            self._transport.abort()

    # What the conversation uses after admission.

    async def receive(self) -> Packet | None:
        """The client's next packet, or ``None`` when the connection is over.

        Raises:
            MalformedPacket: what came is no packet that MQTT allows.
        """
        while self.reason is None:
            if self.writable:  # whoever does not read our answers need not send more questions
                raw = self.framer.next_packet()
                if raw is not None:
                    self._last_packet = self._loop.time()
                    self._taken += 1
                    if not self._taken % _TURN:
                        await asyncio.sleep(0)
                        if self.reason is not None:
                            return None
                    return self.dialect.read(raw)
                if self._eof:
                    return None
                if self.framer.buffered and self._stall is None:
                    self._watch_packet()
                self.resume()
            elif self._transport is None:
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        return None

    def send(self, data: bytes) -> None:
        """Hand ``data`` to the socket, if it is still there."""
        if self._transport is not None and self.reason is None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self, reason: str) -> None:
        """Be over, for ``reason``: from this moment no packet is read and none is sent."""
        if self.reason is None:
            self.reason = reason
            self._wake()

    async def closed(self) -> None:
        """Close the socket and wait until it is."""
        transport = self._transport
        if transport is None:
            return
        self._lost = self._loop.create_future()
        if not transport.is_closing():  # TLS that is closed a second time can be neither asked nor aborted
            transport.close()
        if self._stall is not None:
            self._stall.cancel()
        if transport.get_write_buffer_size() or not transport.can_write_eof():
            self._stall = self._loop.call_later(_LINGER, transport.abort)
        await self._lost

    def _forget(self) -> None:
        """A verdict that is still to come finds nobody."""
        self.state = self.state if self.state is State.ADMITTED else State.LEAVING

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def resume(self) -> None:
        """Read on."""
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _check_keep_alive(self) -> None:
        """One timer a connection, looked at when it fires: packets only note the time.  [MQTT-3.1.2-24]"""
        assert self.guest is not None
        rest = self._last_packet + 1.5 * self.guest.keep_alive - self._loop.time()
        if rest > 0:
            self._deadline = self._loop.call_later(rest, self._check_keep_alive)
        elif not self.writable:  # we do not listen while it does not read; that has a time-out of its own
            self._deadline = self._loop.call_later(self.guest.keep_alive, self._check_keep_alive)
        else:
            self.end("keep-alive")

    def _watch_packet(self) -> None:
        limit = self.gate.limits.packet_timeout
        self._stall = self._loop.call_later(limit, self._check_packet, self._taken)

    def _check_packet(self, taken: int) -> None:
        self._stall = None
        if self.framer.buffered and self.writable:
            if taken == self._taken:
                self.end("packet-timeout")
            else:
                self._watch_packet()
