"""MQTT 3.1.1 control packets, one frozen dataclass each.

Names and order of the fields follow §3 of the standard.  A user name, a password and the payload of a will
never show in a repr: one of the first two is an access token.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

__all__ = [
    "Connack",
    "Connect",
    "Disconnect",
    "Packet",
    "PacketType",
    "Pingreq",
    "Pingresp",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Suback",
    "Subscribe",
    "Unsuback",
    "Unsubscribe",
    "Will",
]


class PacketType(IntEnum):
    """The high four bits of the first byte.  Spec: MQTT 3.1.1 §2.2.1, MQTT 5 §2.1.2."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15  # MQTT 5; reserved in 3.1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the server publishes when the client goes without saying so.  Spec: §3.1.2.5."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client asks to be let in.  Spec: §3.1.

    ``keep_alive`` is in seconds, 0 for none.  Of a ``protocol_level`` other than 4 nothing else is read: the
    layout behind it belongs to another version.
    """

    client_id: str = ""
    clean_session: bool = True
    keep_alive: int = 0
    will: Will | None = None
    username: str | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)
    protocol_name: str = "MQTT"
    protocol_level: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """The server's answer to CONNECT.  Spec: §3.2."""

    session_present: bool = False
    return_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """An application message, in either direction; ``packet_id`` is 0 at QoS 0.  Spec: §3.3."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Puback:
    """QoS 1: the message arrived.  Spec: §3.4."""

    packet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrec:
    """QoS 2, second step: the message arrived.  Spec: §3.5."""

    packet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrel:
    """QoS 2, third step: it will not be sent again.  Spec: §3.6."""

    packet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubcomp:
    """QoS 2, last step: the identifier is free again.  Spec: §3.7."""

    packet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Asks for messages; ``filters`` are pairs of topic filter and wanted QoS.  Spec: §3.8."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suback:
    """One return code for each filter: the granted QoS, or 0x80.  Spec: §3.9."""

    packet_id: int
    return_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Asks for no more messages.  Spec: §3.10."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuback:
    """The subscriptions are gone.  Spec: §3.11."""

    packet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingreq:
    """I am alive.  Spec: §3.12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingresp:
    """So am I.  Spec: §3.13."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """A client leaves in order: its will is forgotten.  Spec: §3.14."""


#: Any packet of MQTT 3.1.1.
Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
)
