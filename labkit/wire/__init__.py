"""MQTT packets as bytes: cut a stream into them, read them strictly, write them, show them, tap them.

The names here are those of MQTT 3.1.1.  Those of MQTT 5 are in :mod:`labkit.wire.v5`; :func:`dissect` and
:class:`Tap` know both.
"""

from labkit.wire.bits import Bits
from labkit.wire.dissect import Dissection, Range, dissect
from labkit.wire.encode import encode, frame
from labkit.wire.frames import Framer, remaining_length
from labkit.wire.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from labkit.wire.parse import parse
from labkit.wire.tap import Tap, Tapped

__all__ = [
    "Bits",
    "Connack",
    "Connect",
    "Disconnect",
    "Dissection",
    "Framer",
    "Packet",
    "PacketType",
    "Pingreq",
    "Pingresp",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Range",
    "Suback",
    "Subscribe",
    "Tap",
    "Tapped",
    "Unsuback",
    "Unsubscribe",
    "Will",
    "dissect",
    "encode",
    "frame",
    "parse",
    "remaining_length",
]
