"""MQTT in WebSocket frames: the upgrade, the frames, and the way in and out that a :class:`Connection` sees.

::

    TCP or TLS ──bytes──▶ WebSocket ──MQTT──▶ Connection
                             ▲  101, frames       │
                             └──────── Line ◀─────┘    what the connection takes for its transport

The frames are the business of the library ``websockets`` (its part without I/O).  Where one packet ends and
the next begins has nothing to do with frames.  Spec: RFC 6455; MQTT 3.1.1 and 5 §6.
"""

import asyncio
from typing import cast

from websockets.exceptions import InvalidUpgrade
from websockets.frames import OP_BINARY, OP_CLOSE, OP_CONT, OP_TEXT, CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from labkit.broker.connection import Connection
from labkit.broker.limits import Limits
from labkit.broker.line import Line
from labkit.broker.upgrade import (
    HEAD_LIMIT,
    HEAD_TOO_LONG,
    LINE_TOO_LONG,
    NO_HTTP,
    NO_KEY,
    NO_UPGRADE,
    SILENT,
    TOO_SLOW,
    Rules,
    Turned,
)
from labkit.record import Record
from labkit.service import untie

__all__ = ["WebSocket"]

#: Seconds for the other side to close, after an answer or a Close frame.
_LINGER = 1.0
#: Bytes that are cut into frames before the others get a turn.
_TURN = 8192
#: Bytes of a frame, above those of the longest packet.
_MORE = 65_536


class WebSocket(asyncio.Protocol):
    """One TCP or TLS connection that becomes a WebSocket, and with it an MQTT connection.

    Args:
        connection: the gate's side.  It has its deadlines from the first byte, the upgrade included.
        rules: which requests are let through.
        limits: how long a packet may be, and how long it may take.
        record: where refused requests and broken frames are written down.
        listener: ``"ws"`` or ``"wss"``.
    """

    def __init__(
        self, connection: Connection, *, rules: Rules, limits: Limits, record: Record, listener: str
    ) -> None:
        self._connection = connection
        self._rules = rules
        self._limits = limits
        self._record = record
        self.listener = listener
        self.bearer: str | None = None
        self._loop = asyncio.get_running_loop()
        self._tcp: asyncio.Transport | None = None
        self._frames = ServerProtocol(
            subprotocols=[Subprotocol("mqtt")], max_size=limits.max_packet + _MORE, logger=SILENT
        )
        self._input = bytearray()
        self._upgraded = False
        self._digesting = False
        self._writable = True
        self._wanted = True  # whether the connection wants to read
        self._ended = False  # nothing more will come
        self._over = False  # nothing of what comes is looked at any more
        self._count = 0  # frames so far
        self._stall: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast(asyncio.Transport, transport)
        self._connection.connection_made(Line(self, self._tcp))

    def data_received(self, data: bytes) -> None:
        if not self._over:
            self._input += data
            if not self._digesting:
                self._digest()

    def eof_received(self) -> bool:
        self._ended = True
        if not self._digesting:
            self._leave_behind()
        return self._digesting

    def _leave_behind(self) -> None:
        """The client has left without a Close frame."""
        if not self._over:
            self._over = True
            self._connection.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._over = True
        for timer in (self._stall, self._linger):
            if timer is not None:
                timer.cancel()
        untie(self._tcp)
        self._tcp = None
        self._frames.parser.close()  # it holds its owner: see untie
        self._connection.connection_lost(error)

    def pause_writing(self) -> None:
        self._writable = False
        self._read_or_wait()  # or Pongs would pile up
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._writable = True
        self._read_or_wait()
        self._connection.resume_writing()

    # Bytes in.

    def _digest(self) -> None:
        """Take a piece of the input; the rest waits until others have had their turn."""
        self._digesting = False
        if self._over or self._tcp is None:
            self._input.clear()
            return
        if not self._upgraded and not self._upgrade():
            return
        piece = bytes(self._input[:_TURN])
        del self._input[:_TURN]
        if piece:
            self._take(piece)
        if self._input and not self._over:
            self._digesting = True
            self._loop.call_soon(self._digest)
        elif self._ended:
            self._leave_behind()
            self._finish()
        self._read_or_wait()

    def _upgrade(self) -> bool:
        """Answer the request, once it is there; whether frames follow."""
        end = self._input.find(b"\r\n\r\n", 0, HEAD_LIMIT)
        if end < 0:
            if len(self._input) >= HEAD_LIMIT:
                self.turn_away(HEAD_TOO_LONG)
            return False
        head = bytes(self._input[: end + 4])
        del self._input[: end + 4]
        self._frames.receive_data(head)
        request = next(iter(self._frames.events_received()), None)
        if not isinstance(request, Request):
            too_long = any(len(line) > 8190 for line in head.split(b"\r\n"))
            self.turn_away(LINE_TOO_LONG if too_long else NO_HTTP)
            return False
        verdict = self._rules.judge(request)
        if isinstance(verdict, Turned):
            self.turn_away(verdict)
            return False
        response = self._frames.accept(request)
        if response.status_code != 101:
            self.turn_away(NO_UPGRADE if isinstance(self._frames.handshake_exc, InvalidUpgrade) else NO_KEY)
            return False
        self.bearer = verdict.bearer
        self._frames.send_response(response)
        self._flush()
        self._upgraded = True
        return True

    def turn_away(self, why: Turned) -> None:
        """Answer a request with no, and end."""
        if self._tcp is not None and not self._over:
            self._record.add("broker", "upgrade.refused", reason=why.reason, status=why.status)
            self._tcp.write(why.answer())
            self._finish()
            self._connection.leave()

    def _take(self, piece: bytes) -> None:
        self._frames.receive_data(piece)
        events = cast("list[Frame]", self._frames.events_received())
        self._count += len(events)
        self._flush()
        for frame in events:
            if frame.opcode is OP_TEXT:
                self._frames.fail(CloseCode.UNSUPPORTED_DATA, "MQTT comes in binary frames")
                self._broken("a WebSocket text frame [MQTT-6.0.0-1]")
                return
            if frame.opcode in (OP_BINARY, OP_CONT) and frame.data:
                self._connection.data_received(bytes(frame.data))
            elif frame.opcode is OP_CLOSE:
                self._over = True
                if not self._connection.eof_received():
                    self.close()
                return
        if self._frames.parser_exc is not None:
            self._broken("a WebSocket frame that breaks RFC 6455, or is too long")
        elif self._frames.reader.buffer and self._stall is None:
            self._watch_frame()

    def _broken(self, reason: str) -> None:
        """The other side does not keep to the protocol."""
        self._over = True
        self._record.add("broker", "protocol.error", reason=reason)
        self._flush()
        if self._connection.guest is None:
            self._connection.leave()
        else:
            self._connection.end("protocol-error")

    def _watch_frame(self) -> None:
        self._stall = self._loop.call_later(self._limits.packet_timeout, self._check_frame, self._count)

    def _check_frame(self, count: int) -> None:
        """A frame that has begun must end, as a packet must."""
        self._stall = None
        if self._frames.reader.buffer and not self._over:
            if count == self._count and self._writable and self._wanted:
                self._broken("a WebSocket frame that does not end")
            else:
                self._watch_frame()

    # Bytes out, and the end.

    def send(self, data: bytes) -> None:
        """One binary frame, if frames can still be sent."""
        if self._upgraded and self._frames.state is State.OPEN and self._tcp is not None:
            self._frames.send_binary(data)
            self._flush()

    def _flush(self) -> None:
        for piece in self._frames.data_to_send():
            if self._tcp is None:
                return
            if piece:
                self._tcp.write(piece)
            else:
                self._finish()  # both sides have sent Close, or we fail the connection

    def close(self) -> None:
        """Say that it is over, and cut the line when the other side does not answer."""
        if not self._upgraded:
            self.turn_away(TOO_SLOW)
        elif self._frames.state is State.OPEN:
            self._frames.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
            self._wait_a_little()
            self.want(True)  # for the other side's Close
        else:
            self._finish()

    def _finish(self) -> None:
        """Nothing more is sent.  With unread input, closing at once would reset the connection instead."""
        self._over = True
        self._input.clear()
        if self._tcp is None or self._tcp.is_closing():
            return
        self._wait_a_little()
        if self._tcp.can_write_eof():
            self._tcp.write_eof()
            self._tcp.resume_reading()
        else:
            self._tcp.close()

    def _wait_a_little(self) -> None:
        if self._linger is None and self._tcp is not None:
            self._linger = self._loop.call_later(_LINGER, self._tcp.abort)

    def want(self, reading: bool) -> None:
        """Whether the connection wants to read on."""
        self._wanted = reading
        self._read_or_wait()

    def _read_or_wait(self) -> None:
        if self._tcp is None or self._tcp.is_closing():
            return
        if self._over or (self._writable and self._wanted and not self._digesting):
            self._tcp.resume_reading()
        else:
            self._tcp.pause_reading()

    @property
    def ending(self) -> bool:
        """Whether nothing can be sent any more."""
        closed = self._upgraded and self._frames.state is not State.OPEN
        return closed or self._tcp is None or self._tcp.is_closing()
