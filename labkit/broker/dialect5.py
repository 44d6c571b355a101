"""MQTT 5 as the broker speaks it, to one client with its wishes of CONNECT.

What the broker cannot do is announced in CONNACK, or refused with the reason: :data:`LIMITATIONS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from labkit.broker.dialect import Dialect, Packet
from labkit.broker.limits import Limits
from labkit.broker.message import Message
from labkit.broker.reasons import GOODBYES, Refused
from labkit.wire import v5
from labkit.wire.v5 import Properties, Property
from labkit.wire.v5.properties import Value

__all__ = ["LIMITATIONS", "RECEIVE_MAXIMUM", "Dialect5", "Limitation"]

#: How many messages of QoS 1 and 2 a client may have under way to us.  Spec: §3.2.2.3.3.
RECEIVE_MAXIMUM: Final = 100
_P = Property
_NOT_AUTHORIZED = 0x87


@dataclass(frozen=True, slots=True)
class Limitation:
    """Something of MQTT 5 that the broker does not do, and how a client learns."""

    feature: str
    told_by: str
    spec: str


#: In the order of the standard.
LIMITATIONS: Final = (
    Limitation("a client identifier made up by the server", "CONNACK 0x85", "§3.1.3.1"),
    Limitation(
        "topic aliases, in both directions",
        "Topic Alias Maximum absent; DISCONNECT 0x94; no PUBLISH has one",
        "§3.2.2.3.8",
    ),
    Limitation("shared subscriptions", "Shared Subscription Available 0; DISCONNECT 0x9E", "§3.2.2.3.13"),
    Limitation("response information", "the property absent from CONNACK", "§3.2.2.3.15"),
    Limitation("another server to use", "no Server Reference", "§3.2.2.3.16"),
    Limitation("checking the payload's format", "0x99 is never sent", "§3.3.2.3.2"),
    Limitation("0x10 No matching subscribers", "PUBACK and PUBREC say 0x00", "§3.4.2.1"),
    Limitation(
        "publishing to topics that begin with `$`, whatever the token allows",
        "PUBACK, PUBREC and, for a will, CONNACK 0x87",
        "§4.7.2",
    ),
)


class Dialect5(Dialect):
    """MQTT 5.

    Args:
        properties: those of the client's CONNECT.
        now: the broker's clock.
    """

    __slots__ = ("_longest", "_now", "_talkative", "authentication_method", "server_keep_alive", "window")

    version = 5
    standard = "MQTT 5"

    def __init__(self, properties: Properties, now: Callable[[], float]) -> None:
        self._now = now
        self._longest = cast("int", properties.get(_P.MAXIMUM_PACKET_SIZE, 0xFFFF_FFFF))
        self._talkative = properties.get(_P.REQUEST_PROBLEM_INFORMATION, 1) == 1
        self.window = cast("int", properties.get(_P.RECEIVE_MAXIMUM, 0xFFFF))
        #: Set by enhanced authentication: CONNACK repeats it ([MQTT-4.12.0-5]).
        self.authentication_method: str | None = None
        #: Seconds, where the client has to keep to ours ([MQTT-3.2.2-21]).
        self.server_keep_alive: int | None = None

    def read(self, raw: bytes) -> Packet:
        return v5.parse(raw)

    def connack(self, present: bool, limits: Limits) -> bytes:
        """The answer to a good CONNECT, all of it: :meth:`takes` has been asked before."""
        properties: dict[Property, Value] = {
            _P.RECEIVE_MAXIMUM: RECEIVE_MAXIMUM,
            _P.MAXIMUM_PACKET_SIZE: limits.max_packet,
            _P.SHARED_SUBSCRIPTION_AVAILABLE: 0,
        }
        if self.authentication_method is not None:
            properties[_P.AUTHENTICATION_METHOD] = self.authentication_method
        if self.server_keep_alive is not None:
            properties[_P.SERVER_KEEP_ALIVE] = self.server_keep_alive
        return v5.encode(v5.Connack(session_present=present, properties=properties))

    def takes(self, data: bytes) -> bool:
        """Whether the client takes a packet of that length.  Spec: §3.1.2.11.4."""
        return len(data) <= self._longest

    def refusal(self, refused: Refused) -> bytes:
        # A CONNACK may hold a reason string whatever the client asked for (§3.1.2.11.7).
        bare = v5.encode(v5.Connack(reason_code=refused.reason_code))
        if not refused.hint:
            return self._fitting(bare)
        why: Properties = {_P.REASON_STRING: refused.hint}
        return self._fitting(v5.encode(v5.Connack(reason_code=refused.reason_code, properties=why)), bare)

    def code(self, refused: Refused) -> int:
        return refused.reason_code

    def publish(self, message: Message, packet_id: int = 0, *, dup: bool = False) -> bytes | None:
        properties = message.properties.written
        if message.expires_at is not None:  # what is left of it: [MQTT-3.3.2-6]
            left = max(0, math.ceil(message.expires_at - self._now()))
            properties += v5.encode_properties({_P.MESSAGE_EXPIRY_INTERVAL: left})
        if message.ids:
            properties += v5.encode_properties({_P.SUBSCRIPTION_IDENTIFIER: message.ids})
        packet = v5.Publish(
            topic=message.topic,
            payload=message.payload,
            qos=message.qos,
            retain=message.retain,
            dup=dup,
            packet_id=packet_id,
        )
        data = v5.encode_publish(packet, properties)
        return data if self.takes(data) else None  # [MQTT-3.1.2-24]

    def puback(self, packet_id: int, code: int = 0) -> bytes:
        return self._answer(v5.Puback, packet_id, code)

    def pubrec(self, packet_id: int, code: int = 0) -> bytes:
        return self._answer(v5.Pubrec, packet_id, code)

    def pubrel(self, packet_id: int, code: int = 0) -> bytes:
        return self._fitting(v5.encode(v5.Pubrel(packet_id=packet_id, reason_code=code)))

    def pubcomp(self, packet_id: int, code: int = 0) -> bytes:
        return self._fitting(v5.encode(v5.Pubcomp(packet_id=packet_id, reason_code=code)))

    def suback(self, packet_id: int, codes: tuple[int, ...]) -> bytes:
        return self._fitting(v5.encode(v5.Suback(packet_id=packet_id, reason_codes=codes)))

    def unsuback(self, packet_id: int, codes: tuple[int, ...]) -> bytes:
        return self._fitting(v5.encode(v5.Unsuback(packet_id=packet_id, reason_codes=codes)))

    def parting(self, reason: str | None, code: int | None = None) -> int | None:
        """The code of DISCONNECT; ``None`` where the client has said it already."""
        found = GOODBYES.get(reason or "")
        # A broken rule has a code of its own, unless only another packet may say it (§4.13.1).
        return found if not found or code is None or v5.reason_name(14, code) is None else code

    def goodbye(self, reason: str | None, code: int | None = None) -> bytes:
        """DISCONNECT (§3.14), unless the client has said it already."""
        number = self.parting(reason, code)
        if number is None or reason is None:
            return b""
        bare = v5.encode(v5.Disconnect(reason_code=number))
        why: Properties = {_P.REASON_STRING: reason}
        return self._fitting(v5.encode(v5.Disconnect(reason_code=number, properties=why)), bare)

    def _answer(self, kind: type[v5.Puback | v5.Pubrec], packet_id: int, code: int) -> bytes:
        """An acknowledgement; with the reason, where there is one and the client wants it (§3.1.2.11.7)."""
        bare = v5.encode(kind(packet_id=packet_id, reason_code=code))
        if code != _NOT_AUTHORIZED or not self._talkative:
            return self._fitting(bare)
        why: Properties = {_P.REASON_STRING: "This connection may not publish to this topic."}
        return self._fitting(v5.encode(kind(packet_id=packet_id, reason_code=code, properties=why)), bare)

    def _fitting(self, *choices: bytes) -> bytes:
        """The first that is not too long for the client; nothing, if all are.  Spec: §3.1.2.11.4."""
        return next(filter(self.takes, choices), b"")
