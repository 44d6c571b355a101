"""MQTT 5 control packets, one frozen dataclass each.

Names and order of the fields follow §3 of the standard.  What a packet leaves out has the value that the
standard gives to its absence.  User name, password, properties and the payload of a will never show in a
repr: each of them may hold an access token.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from labkit.wire.v5.properties import Properties

__all__ = [
    "Auth",
    "Connack",
    "Connect",
    "Disconnect",
    "Packet",
    "Pingreq",
    "Pingresp",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Suback",
    "Subscribe",
    "Subscription",
    "Unsuback",
    "Unsubscribe",
    "Will",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the server publishes when the client goes without saying so.  Spec: §3.1.2.5, §3.1.3.2."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client asks to be let in; ``keep_alive`` is in seconds, 0 for none.  Spec: §3.1."""

    client_id: str = ""
    clean_start: bool = True
    keep_alive: int = 0
    properties: Properties = field(default_factory=dict, repr=False)
    will: Will | None = None
    username: str | None = field(default=None, repr=False)
    password: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """The server's answer to CONNECT.  Spec: §3.2."""

    session_present: bool = False
    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """An application message, in either direction; ``packet_id`` is 0 at QoS 0.  Spec: §3.3.

    ``topic`` is empty where a topic alias stands for it.
    """

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Puback:
    """QoS 1: the message arrived, or was refused.  Spec: §3.4."""

    packet_id: int
    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrec:
    """QoS 2, second step: the message arrived, or was refused.  Spec: §3.5."""

    packet_id: int
    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrel:
    """QoS 2, third step: it will not be sent again.  Spec: §3.6."""

    packet_id: int
    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubcomp:
    """QoS 2, last step: the identifier is free again.  Spec: §3.7."""

    packet_id: int
    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One topic filter of a SUBSCRIBE and its options.  Spec: §3.8.3.1."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Asks for messages.  Spec: §3.8."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suback:
    """One reason code for each subscription.  Spec: §3.9."""

    packet_id: int
    reason_codes: tuple[int, ...]
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Asks for no more messages.  Spec: §3.10."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuback:
    """One reason code for each filter.  Spec: §3.11."""

    packet_id: int
    reason_codes: tuple[int, ...]
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingreq:
    """I am alive.  Spec: §3.12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingresp:
    """So am I.  Spec: §3.13."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """Either side leaves, and says why.  Spec: §3.14."""

    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """A step of enhanced authentication, in either direction.  Spec: §3.15, §4.12."""

    reason_code: int = 0
    properties: Properties = field(default_factory=dict, repr=False)


#: Any packet of MQTT 5.
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
    | Auth
)
