"""Cut a stream of bytes into MQTT packets, without reading more than a limit allows.

A packet says its own length in its first two to five bytes.  A server that skips what it does not understand,
instead of believing that length, reads the payload of one packet as the next (and lets it do things).
"""

from labkit.errors import MalformedPacket

__all__ = ["Framer", "check_first_byte", "remaining_length"]


def check_first_byte(byte: int, version: int = 4) -> None:
    """What the first byte of a packet tells by itself: its type exists, and its flags are allowed.

    Args:
        byte: the first byte.
        version: 4 for MQTT 3.1.1, 5 for MQTT 5, which has one type more.

    Raises:
        MalformedPacket: not so.

    Spec: MQTT 3.1.1 §2.2.1, §2.2.2 (table 2.2), §3.3.1; MQTT 5 §2.1.2, §2.1.3 (table 2-2), §3.3.1.
    """
    kind, flags = byte >> 4, byte & 0x0F
    if kind == 0 or (kind == 15 and version < 5):
        raise MalformedPacket(f"packet type {kind} is reserved", spec=_spec(version, "2.2.1", "2.1.2"))
    if kind == 3:  # PUBLISH: DUP, QoS (two bits), RETAIN
        if flags & 0b0110 == 0b0110:
            raise MalformedPacket("QoS 3 does not exist", spec=_spec(version, "3.3.1.2", "3.3.1.2"))
        if flags & 0b1110 == 0b1000:
            raise MalformedPacket(
                "a QoS 0 message cannot be a duplicate", spec=_spec(version, "3.3.1.1", "3.3.1.1")
            )
    elif flags != (0b0010 if kind in (6, 8, 10) else 0):  # PUBREL, SUBSCRIBE, UNSUBSCRIBE
        raise MalformedPacket(
            "reserved flags of the fixed header are wrong", spec=_spec(version, "2.2.2", "2.1.3")
        )


def _spec(version: int, old: str, new: str) -> str:
    return f"MQTT 5 §{new}" if version == 5 else f"MQTT 3.1.1 §{old}"


def remaining_length(
    data: bytes | bytearray, at: int, name: str = "remaining length", spec: str = "MQTT 3.1.1 §2.2.3"
) -> tuple[int, int] | None:
    """The variable-length number at ``data[at]`` and where it ends, or ``None`` when bytes are still to come.

    MQTT 5 has more such numbers, under other names.

    Raises:
        MalformedPacket: it takes more than four bytes, or more than it needs.

    Spec: MQTT 3.1.1 §2.2.3; MQTT 5 §1.5.5.
    """
    value = 0
    for place in range(4):
        if at + place >= len(data):
            return None
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            # A number has one spelling.  3.1.1 implies it, MQTT 5 §1.5.5 says it.
            if place and not byte:
                raise MalformedPacket(f"the {name} has needless bytes", spec=spec)
            return value, at + place + 1
    raise MalformedPacket(f"the {name} has more than four bytes", spec=spec)


class Framer:
    """Collects bytes and gives out whole packets.

    Args:
        limit: the longest packet accepted, in bytes, its fixed header included.  A longer one is refused as
            soon as its length is known, before its body is buffered.
        version: 4 for MQTT 3.1.1, 5 for MQTT 5; may be set later, when CONNECT has told it.
    """

    __slots__ = ("_at", "_buffer", "limit", "version")

    def __init__(self, limit: int, version: int = 4) -> None:
        self.limit = limit
        self.version = version
        self._buffer = bytearray()
        self._at = 0  # where the next packet starts: cutting the front off for each would copy the rest

    def feed(self, data: bytes) -> None:
        """Take in what came from the network."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def next_packet(self) -> bytes | None:
        """The next whole packet, or ``None`` when more bytes are needed.

        Raises:
            MalformedPacket: the bytes start no packet, or too long a one.
        """
        header = remaining_length(self._buffer, self._at + 1)
        if header is None:
            self._check_start()
            return None
        length, body = header
        if body - self._at + length > self.limit:
            raise MalformedPacket(
                f"a packet of more than {self.limit} bytes", spec="limit of this server", reason_code=0x95
            )
        end = body + length
        if end > len(self._buffer):
            self._check_start()
            return None
        packet = bytes(memoryview(self._buffer)[self._at : end])
        if end == len(self._buffer):
            self._buffer.clear()
            self._at = 0
        else:
            self._at = end
        return packet

    def _check_start(self) -> None:
        """Nobody needs to wait for the rest of what cannot be a packet."""
        if self._at < len(self._buffer):
            check_first_byte(self._buffer[self._at], self.version)

    @property
    def first_byte(self) -> int | None:
        """Type and flags of the packet that comes next, once its first byte is here."""
        return self._buffer[self._at] if self._at < len(self._buffer) else None

    @property
    def buffered(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._buffer) - self._at

    def take_all(self) -> bytes:
        """Everything buffered, packets or not; nothing is left."""
        data = bytes(self._buffer[self._at :])
        self._buffer.clear()
        self._at = 0
        return data
