"""Read one packet field by field: the data types of MQTT, each with its rule.

The parser walks a packet with a :class:`Cursor`; ``dissect`` walks it with one that remembers where each
field lay.  So the layout of a packet is written down once, in ``parse`` and ``v5.parse``.
"""

from collections.abc import Mapping
from typing import ClassVar

from labkit.errors import MalformedPacket
from labkit.wire.frames import remaining_length

__all__ = ["Cursor"]


class Cursor:
    """A position in ``data``; each method reads the field at it and moves on.

    Every method raises :class:`MalformedPacket` when the packet ends too early or breaks the field's rule.
    The ``name`` is for :mod:`labkit.wire.dissect`.
    """

    __slots__ = ("at", "data")

    #: Where the standard has the rule of each data type.
    sections: ClassVar[Mapping[str, str]] = {
        "byte": "MQTT 3.1.1 §2.2.3",
        "number": "MQTT 3.1.1 §1.5.2",
        "binary": "MQTT 3.1.1 §1.5.3",
        "text": "MQTT 3.1.1 §1.5.3",
        "packet identifier": "MQTT 3.1.1 §2.3.1",
    }

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at

    def byte(self, name: str) -> int:
        """One byte.  Spec: MQTT 3.1.1 §1.5.1."""
        at = self.at
        if at >= len(self.data):
            raise MalformedPacket(f"the packet ends before its {name}", spec=self.sections["byte"])
        self.at = at + 1
        return self.data[at]

    def length(self, name: str) -> int:
        """A number of one to four bytes.  Spec: §2.2.3."""
        found = remaining_length(self.data, self.at)
        if found is None:
            raise MalformedPacket(f"the packet ends within its {name}", spec="MQTT 3.1.1 §2.2.3")
        value, self.at = found
        return value

    def number(self, name: str) -> int:
        """Two bytes, the high one first.  Spec: §1.5.2."""
        at = self.at
        if at + 2 > len(self.data):
            raise MalformedPacket(f"the packet ends within its {name}", spec=self.sections["number"])
        self.at = at + 2
        return self.data[at] << 8 | self.data[at + 1]

    def binary(self, name: str) -> bytes:
        """Two bytes of length, then so many bytes.  Spec: §3.1.3.3, §3.1.3.5; MQTT 5 §1.5.6."""
        start = self.at + 2
        size = self.number(name + " length")
        end = start + size
        if end > len(self.data):
            raise MalformedPacket(f"the packet ends within its {name}", spec=self.sections["binary"])
        self.at = end
        return self.data[start:end]

    def text(self, name: str) -> str:
        """Two bytes of length, then well-formed UTF-8 without U+0000.

        Spec: §1.5.3, [MQTT-1.5.3-1/-2]; MQTT 5 §1.5.4.
        """
        raw = self.binary(name)
        try:
            text = raw.decode()  # strict: no surrogates, no overlong forms
        except UnicodeDecodeError:
            raise MalformedPacket(f"the {name} is not UTF-8", spec=self.sections["text"]) from None
        if "\0" in text:
            raise MalformedPacket(f"the {name} holds U+0000", spec=self.sections["text"])
        return text

    def packet_id(self, name: str = "packet identifier") -> int:
        """A packet identifier, which is never 0.  Spec: §2.3.1, [MQTT-2.3.1-1]; MQTT 5 §2.2.1."""
        value = self.number(name)
        if not value:
            raise MalformedPacket("the packet identifier is 0", spec=self.sections["packet identifier"])
        return value

    def rest(self, name: str) -> bytes:
        """Everything up to the end of the packet."""
        at, self.at = self.at, len(self.data)
        return self.data[at:]

    def blame(self, name: str) -> None:
        """Say that the rule reported next was broken by an earlier field, the latest of that name."""
