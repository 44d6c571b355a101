"""What a tap writes down: the packets that passed, up to a limit of memory."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from labkit.errors import MalformedPacket
from labkit.wire.dissect import Dissection, dissect
from labkit.wire.frames import Framer, check_first_byte, remaining_length
from labkit.wire.parse import protocol_level

__all__ = ["LONGEST", "Cutter", "Recording", "Sender", "Tapped"]

LONGEST: Final = 1 << 20  # bytes of one packet
_MOST_PACKETS: Final = 20_000
_MOST_BYTES: Final = 64 << 20

#: Which side sent it.
Sender: TypeAlias = Literal["client", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tapped:
    """One packet that passed: on which connection (from 1), from which side, and its bytes.

    ``version`` is that of the connection: 4 for MQTT 3.1.1, 5 for MQTT 5.  Of a packet longer than 1 MiB only
    the beginning is kept; ``cut`` tells how many bytes are not.

    The bytes may hold a token, so the repr leaves them out; as text, they are shown field by field with the
    token cut short.
    """

    connection: int
    sender: Sender
    data: bytes = field(repr=False)
    version: int = 4
    cut: int = 0

    def dissect(self, *, secrets: bool = False) -> Dissection:
        """What every byte means."""
        return dissect(self.data, self.version, secrets=secrets)

    def __str__(self) -> str:
        cut = f" ({self.cut} bytes more are not kept)" if self.cut else ""
        return f"{self.sender}{cut}:\n{self.dissect()}"


class Cutter:
    """Cuts what one side sends into packets.

    What does not start as MQTT does (TLS, HTTP) is not cut: each piece comes out as it came in, and so does
    everything behind bytes that cannot be a packet.
    """

    def __init__(self) -> None:
        self._framer = Framer(LONGEST)
        self._started = False
        self._opaque = False
        self._skip = 0

    @property
    def version(self) -> int:
        """4 for MQTT 3.1.1, 5 for MQTT 5: what a CONNECT has told, or the other side's cutter."""
        return self._framer.version

    @version.setter
    def version(self, version: int) -> None:
        self._framer.version = version

    def feed(self, data: bytes) -> list[tuple[bytes, int]]:
        """The packets that ``data`` completes, each with the number of bytes that are left out of it."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        data = data[skipped:]
        if self._opaque or not data:
            return [(data, 0)] if data else []
        self._framer.feed(data)
        found: list[tuple[bytes, int]] = []
        try:
            if not self._started:
                check_first_byte(data[0], self.version)
                self._started = True
            while (packet := self._framer.next_packet()) is not None:
                found.append((packet, 0))
                level = protocol_level(packet)
                if level is not None:
                    self.version = 5 if level == 5 else 4
        except MalformedPacket:
            piece = self._framer.take_all()
            self._skip = _missing(piece)
            self._opaque = not self._skip
            found.append((piece, self._skip))
        return found

    def end(self) -> list[tuple[bytes, int]]:
        """A packet that was never finished."""
        rest = self._framer.take_all()
        return [(rest, 0)] if rest else []


def _missing(piece: bytes) -> int:
    """How much of a packet that is too long to keep is still to come; 0 for what is no packet."""
    try:
        header = remaining_length(piece, 1)
    except MalformedPacket:
        return 0
    size = sum(header) if header is not None else 0
    return size - len(piece) if size > LONGEST else 0


class Recording:
    """Packets in the order in which they passed, for any thread.

    It keeps the first 20,000 packets or 64 MiB; how many came later is in ``missed``.
    """

    def __init__(self) -> None:
        self.missed = 0
        self._packets: list[Tapped] = []
        self._bytes = 0
        self._changed = threading.Condition()

    def add(self, packets: Iterable[Tapped]) -> None:
        """Write down some packets."""
        with self._changed:
            for packet in packets:
                if len(self._packets) < _MOST_PACKETS and self._bytes + len(packet.data) <= _MOST_BYTES:
                    self._packets.append(packet)
                    self._bytes += len(packet.data)
                else:
                    self.missed += 1
            self._changed.notify_all()

    @property
    def packets(self) -> list[Tapped]:
        """Every packet so far."""
        with self._changed:
            return list(self._packets)

    def wait(self, count: int, timeout: float) -> list[Tapped]:
        """The packets, as soon as there are ``count`` of them; see :meth:`labkit.wire.Tap.wait`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._packets) >= count, timeout):
                raise TimeoutError(f"{len(self._packets)} of {count} packets within {timeout:g} s")
            return list(self._packets)
