"""How a packet is read and written in the version of MQTT that a client speaks.

The conversation works on :class:`Message` and reason codes; what 3.1.1 has no words for is left out here.
"""

from struct import pack

from labkit.broker.limits import Limits
from labkit.broker.message import Message
from labkit.broker.reasons import Refused
from labkit.wire import Connack, Pubcomp, Pubrel, Suback, Unsuback, encode, frame, parse, v5
from labkit.wire import Packet as Packet4

__all__ = ["MQTT4", "Dialect", "Packet"]

#: What a client may have sent.
Packet = Packet4 | v5.Packet

_FAILURE = 0x80  # §3.9.3


class Dialect:
    """MQTT 3.1.1, and the interface of both."""

    __slots__ = ()

    #: The protocol level.
    version: int = 4
    #: How many messages of QoS 1 and 2 the client takes at a time.
    window: int = 0xFFFF
    #: The name of the standard.
    standard: str = "MQTT 3.1.1"

    def read(self, raw: bytes) -> Packet:
        """A packet of the client.

        Raises:
            MalformedPacket: it breaks a rule.
        """
        return parse(raw)

    def connack(self, present: bool, limits: Limits) -> bytes:
        """Yes: §3.2."""
        return encode(Connack(session_present=present))

    def refusal(self, refused: Refused) -> bytes:
        """No, and as much of the reason as the version can say."""
        return encode(Connack(return_code=refused.return_code))

    def code(self, refused: Refused) -> int:
        """The code that :meth:`refusal` sends."""
        return refused.return_code

    def publish(self, message: Message, packet_id: int = 0, *, dup: bool = False) -> bytes | None:
        """A message for the client; ``None`` when it is too long for it."""
        topic = message.topic.encode()
        head = pack("!H", len(topic)) + topic
        if message.qos:
            head += pack("!H", packet_id)
        return frame(0x30 | dup << 3 | message.qos << 1 | message.retain, head + message.payload)

    def puback(self, packet_id: int, code: int = 0) -> bytes:
        """QoS 1 has arrived; 3.1.1 cannot say that it was refused ([MQTT-3.3.5-2])."""
        return pack("!BBH", 0x40, 2, packet_id)

    def pubrec(self, packet_id: int, code: int = 0) -> bytes:
        """QoS 2 has arrived."""
        return pack("!BBH", 0x50, 2, packet_id)

    def pubrel(self, packet_id: int, code: int = 0) -> bytes:
        """QoS 2 will not come again."""
        return encode(Pubrel(packet_id=packet_id))

    def pubcomp(self, packet_id: int, code: int = 0) -> bytes:
        """QoS 2 is done."""
        return encode(Pubcomp(packet_id=packet_id))

    def suback(self, packet_id: int, codes: tuple[int, ...]) -> bytes:
        """One code a filter; all failures are one in 3.1.1."""
        return encode(Suback(packet_id=packet_id, return_codes=tuple(min(code, _FAILURE) for code in codes)))

    def unsuback(self, packet_id: int, codes: tuple[int, ...]) -> bytes:
        """The subscriptions are gone."""
        return encode(Unsuback(packet_id=packet_id))

    def parting(self, reason: str | None, code: int | None = None) -> int | None:
        """The code of the server's last words, if it has any; 3.1.1 has none."""
        return None

    def goodbye(self, reason: str | None, code: int | None = None) -> bytes:
        """The server's last words."""
        return b""


#: It remembers nothing, so one is enough.
MQTT4 = Dialect()
