"""One application message inside the broker, from whichever version of MQTT it came."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast

from labkit import wire
from labkit.wire import v5
from labkit.wire.v5 import Properties, Property
from labkit.wire.v5.properties import Value

__all__ = ["ABOUT_MESSAGE", "Bequest", "Message", "Travelling", "of_packet", "of_will"]

#: Names of what the record says about a message.
ABOUT_MESSAGE: Final = ("client_id", "jti", "topic", "qos", "retain", "size")
#: Bytes of an object, whatever is in it.
_OBJECT: Final = 64
#: What travels with a message, unaltered and in order (MQTT 5 §3.3.2.3, [MQTT-3.3.2-4, -15, -16, -18, -20]).
_TRAVELS: Final = (
    Property.PAYLOAD_FORMAT_INDICATOR,
    Property.CONTENT_TYPE,
    Property.RESPONSE_TOPIC,
    Property.CORRELATION_DATA,
    Property.USER_PROPERTY,
)


class Travelling(dict[Property, Value | tuple[Value, ...]]):
    """Properties that go to every subscriber: written once, or thousands of them would be for each."""

    @cached_property
    def written(self) -> bytes:
        """Their bytes, without the length."""
        return v5.encode_properties(self)


_NONE: Final = Travelling()


class Message:
    """Topic, payload and flags; ``properties`` are those that travel with it, for who speaks MQTT 5.

    ``expires_at`` is in seconds of the broker's clock: nobody gets it after that moment (MQTT 5 §3.3.2.3.3);
    ``ids`` are the subscription identifiers that it goes with (§3.3.2.3.8).
    """

    __slots__ = ("expires_at", "ids", "payload", "properties", "qos", "retain", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Travelling = _NONE,
        expires_at: float | None = None,
        ids: tuple[int, ...] = (),
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.expires_at = expires_at
        self.ids = ids

    @property
    def size(self) -> int:
        """Bytes that it takes, as the limits count them."""
        size = len(self.topic) + len(self.payload)
        return size + sum(map(_length, self.properties.values())) if self.properties else size


@dataclass(frozen=True, slots=True, kw_only=True)
class Bequest:
    """A will that waits for its delay to pass.  Spec: MQTT 5 §3.1.3.2.2."""

    will: wire.Will | v5.Will
    jti: str
    due: float


def of_packet(packet: v5.Publish, now: float) -> Message:
    """The message in a PUBLISH of MQTT 5 that arrived ``now``."""
    if not packet.properties:
        return Message(packet.topic, packet.payload, packet.qos, packet.retain)
    return Message(
        packet.topic,
        packet.payload,
        packet.qos,
        packet.retain,
        _travelling(packet.properties),
        _end(packet.properties, now),
    )


def of_will(will: wire.Will | v5.Will, now: float) -> Message:
    """The message that a will becomes when it is published ``now``."""
    properties: Properties = will.properties if isinstance(will, v5.Will) else _NONE
    return Message(
        will.topic, will.payload, will.qos, will.retain, _travelling(properties), _end(properties, now)
    )


def _travelling(properties: Properties) -> Travelling:
    return Travelling({name: properties[name] for name in _TRAVELS if name in properties})


def _end(properties: Mapping[Property, object], now: float) -> float | None:
    lifetime = cast("int | None", properties.get(Property.MESSAGE_EXPIRY_INTERVAL))
    return None if lifetime is None else now + lifetime


def _length(value: object) -> int:
    """What a value takes in memory, about: thousands of empty ones are not nothing."""
    if isinstance(value, str | bytes):
        return _OBJECT + len(value)
    return sum(map(_length, value)) if isinstance(value, Iterable) else _OBJECT
