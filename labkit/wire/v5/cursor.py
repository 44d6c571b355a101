"""The data types that MQTT 5 added, and where its standard has the rules of the older ones."""

from collections.abc import Mapping
from typing import ClassVar

from labkit.errors import MalformedPacket
from labkit.wire import cursor
from labkit.wire.frames import remaining_length

__all__ = ["Cursor"]


class Cursor(cursor.Cursor):
    """A position in a packet of MQTT 5."""

    __slots__ = ()

    sections: ClassVar[Mapping[str, str]] = {
        "byte": "MQTT 5 §2.1.4",
        "number": "MQTT 5 §1.5.2",
        "binary": "MQTT 5 §1.5.6",
        "text": "MQTT 5 §1.5.4",
        "packet identifier": "MQTT 5 §2.2.1",
    }

    def length(self, name: str) -> int:
        """A number of one to four bytes, no more than it needs.  Spec: MQTT 5 §1.5.5, [MQTT-1.5.5-1]."""
        found = remaining_length(self.data, self.at, name, "MQTT 5 §1.5.5")
        if found is None:
            raise MalformedPacket(f"the packet ends within its {name}", spec="MQTT 5 §1.5.5")
        value, self.at = found
        return value

    def four(self, name: str) -> int:
        """Four bytes, the highest first.  Spec: MQTT 5 §1.5.3."""
        at = self.at
        if at + 4 > len(self.data):
            raise MalformedPacket(f"the packet ends within its {name}", spec="MQTT 5 §1.5.3")
        self.at = at + 4
        return int.from_bytes(self.data[at : at + 4])

    def pair(self, name: str) -> tuple[str, str]:
        """Two texts, a name and a value.  Spec: MQTT 5 §1.5.7."""
        return self.text(name + " name"), self.text(name + " value")
