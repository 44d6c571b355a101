"""Messages on their way to one client: sent, acknowledged, kept while it is away, sent again when it is back.

It lives as long as the session, not the connection: QoS 1 and 2 survive a cut (MQTT 3.1.1 §4.1, §4.4).
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from labkit.broker.dialect import MQTT4, Dialect
from labkit.broker.limits import Limits
from labkit.broker.message import Message

__all__ = ["Outbox"]


class Line(Protocol):
    """What the outbox needs of a connection."""

    @property
    def writable(self) -> bool:
        """Whether the client keeps up with what is sent."""
        ...

    def send(self, data: bytes) -> None:
        """Send one packet."""
        ...

    def end(self, reason: str) -> None:
        """Give the client up."""
        ...


class Outbox:
    """The outgoing half of a session; ``now`` tells which messages have expired."""

    __slots__ = (
        "_again",
        "_bytes",
        "_dialect",
        "_fleeting",
        "_in_flight",
        "_last_id",
        "_limits",
        "_line",
        "_now",
        "_queue",
        "_sent",
        "_window",
        "dropped",
    )

    def __init__(self, limits: Limits, now: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._now = now
        self._dialect = MQTT4
        self._window = limits.max_inflight
        self._queue: deque[Message] = deque()
        self._bytes = 0
        self._fleeting = 0  # how many of the queue have QoS 0: a newer one must not overtake them (§4.6)
        # What waits for PUBACK or PUBREC; None stands for a PUBREL that waits for PUBCOMP.
        self._in_flight: dict[int, Message | None] = {}
        self._again: deque[int] = deque()  # of those, what has not gone over this connection yet
        self._last_id = 0
        self._line: Line | None = None
        self._sent: Callable[[Message], object] = _unheard
        self.dropped = 0  # since the client is here

    def attach(
        self,
        line: Line,
        may_receive: Callable[[str], bool],
        sent: "Callable[[Message], object] | None" = None,
        dialect: Dialect = MQTT4,
    ) -> None:
        """The client is here: what was in flight goes out again, then what has waited; ``sent`` hears of it.

        What the token of this connection may not receive is dropped.  Spec: §4.4 [MQTT-4.4.0-1], §4.6.
        """
        self._dialect = dialect
        self._window = min(self._limits.max_inflight, dialect.window)  # MQTT 5 [MQTT-3.3.4-9]
        self._line = line
        self._sent = sent or _unheard
        self.dropped = 0
        self._again = deque(self._in_flight)
        self.restrict(may_receive)

    def detach(self) -> None:
        """The client has gone; what is in flight stays so."""
        self._line = None
        self._sent = _unheard  # it knows the connection
        self._again.clear()
        self._keep(lambda message: message.qos > 0)

    def offer(self, message: Message) -> bool:
        """Send ``message`` now or later; ``False`` when it was dropped, because too much waits already.

        QoS 0 is not kept for a client that is away.
        """
        line = self._line
        if not message.qos:
            if line is None:
                return True
            if line.writable and not self._fleeting:
                return self._fling(message, line)
        elif line is not None and not self._queue and self._may_fly(line):
            return self._launch(message, line)
        size = _size(message)
        # What is retained is there anyway, and a subscriber gets all of it [MQTT-3.3.1-6].
        limit = self._limits.max_queued + (self._limits.max_retained if message.retain else 0)
        if len(self._queue) >= limit or self._bytes + size > self._limits.max_queued_bytes:
            self.dropped += 1
            if line is not None and not line.writable:
                line.end("not-reading")
            return False
        self._queue.append(message)
        self._bytes += size
        self._fleeting += not message.qos
        return True

    def flush(self) -> None:
        """Send what waits, as far as the client takes it."""
        line = self._line
        if line is None:
            return
        if self._again:
            self._repeat(line)
        while self._queue and line.writable:
            if self._queue[0].qos and not self._may_fly(line):
                return
            message = self._queue.popleft()
            self._bytes -= _size(message)
            self._fleeting -= not message.qos
            if message.expires_at is not None and message.expires_at <= self._now():
                continue  # MQTT 5 [MQTT-3.3.2-5]
            if message.qos:
                self._launch(message, line)
            else:
                self._fling(message, line)

    def puback(self, packet_id: int) -> None:
        """QoS 1 is done.  Spec: §4.3.2."""
        message = self._in_flight.get(packet_id)
        if message is not None and message.qos == 1:
            del self._in_flight[packet_id]
            self.flush()

    def pubrec(self, packet_id: int, code: int = 0) -> None:
        """QoS 2 has arrived: release it; an unknown one, too, or the client waits for ever.  Spec: §4.3.3."""
        message = self._in_flight.get(packet_id)
        unknown = packet_id not in self._in_flight
        if message is not None:
            if message.qos != 2:
                return
            if code >= 0x80:  # MQTT 5: it does not want it (§4.3.3)
                del self._in_flight[packet_id]
                self.flush()
                return
            del self._in_flight[packet_id]  # and back at the end: PUBRELs keep the order of PUBRECs (§4.6)
            self._in_flight[packet_id] = None
        elif code >= 0x80:
            return
        if self._line is not None:
            self._line.send(self._dialect.pubrel(packet_id, 0x92 if unknown else 0))

    def pubcomp(self, packet_id: int) -> None:
        """QoS 2 is done."""
        if packet_id in self._in_flight and self._in_flight[packet_id] is None:
            del self._in_flight[packet_id]
            self.flush()

    def restrict(self, may_receive: Callable[[str], bool]) -> None:
        """The client has these rights now: forget what waits and is not for it, and send the rest."""
        self._keep(lambda message: may_receive(message.topic))
        for packet_id in list(self._again):
            message = self._in_flight[packet_id]
            if message is not None and not may_receive(message.topic):
                self._again.remove(packet_id)
                del self._in_flight[packet_id]
        self.flush()

    def _keep(self, wanted: Callable[[Message], bool]) -> None:
        if self._queue:
            self._queue = deque(filter(wanted, self._queue))
            self._bytes = sum(map(_size, self._queue))
            self._fleeting = sum(not message.qos for message in self._queue)

    def _may_fly(self, line: Line) -> bool:
        return line.writable and len(self._in_flight) < self._window and not self._again

    def _repeat(self, line: Line) -> None:
        """What was in flight when the last connection ended, as much at a time as the client takes."""
        while self._again and len(self._in_flight) - len(self._again) < self._window:
            packet_id = self._again.popleft()
            message = self._in_flight.get(packet_id)
            if message is not None:
                data = self._dialect.publish(message, packet_id, dup=True)
                if data is None:  # too long for it: as if it had been sent (MQTT 5 [MQTT-3.1.2-25])
                    del self._in_flight[packet_id]
                    continue
                line.send(data)
                self._sent(message)
            elif packet_id in self._in_flight:
                line.send(self._dialect.pubrel(packet_id))

    def _launch(self, message: Message, line: Line) -> bool:
        packet_id = self._last_id
        while True:  # ends: far fewer than 65,535 are in flight
            packet_id = packet_id % 0xFFFF + 1
            if packet_id not in self._in_flight:
                break
        data = self._dialect.publish(message, packet_id)
        if data is None:
            self.dropped += 1
            return False
        self._last_id = packet_id
        self._in_flight[packet_id] = message
        line.send(data)
        self._sent(message)
        return True

    def _fling(self, message: Message, line: Line) -> bool:
        data = self._dialect.publish(message)
        if data is None:
            self.dropped += 1
            return False
        line.send(data)
        self._sent(message)
        return True


def _unheard(message: Message) -> None:
    """Nobody wants to know."""


def _size(message: Message) -> int:
    """Bytes that are kept for this client alone."""
    return 0 if message.retain else message.size
