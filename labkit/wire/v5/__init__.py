"""MQTT 5 packets as bytes: read them strictly, write them.  :mod:`labkit.wire` itself speaks 3.1.1.

Everything that is a list is a table: ``PROPERTIES`` (§2.2.2.2) and ``REASONS`` (§2.4).
"""

from labkit.wire.v5.encode import encode, encode_properties, encode_publish
from labkit.wire.v5.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from labkit.wire.v5.parse import parse
from labkit.wire.v5.properties import PROPERTIES, Properties, Property
from labkit.wire.v5.reasons import REASONS, reason_name

__all__ = [
    "PROPERTIES",
    "REASONS",
    "Auth",
    "Connack",
    "Connect",
    "Disconnect",
    "Packet",
    "Pingreq",
    "Pingresp",
    "Properties",
    "Property",
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
    "encode",
    "encode_properties",
    "encode_publish",
    "parse",
    "reason_name",
]
