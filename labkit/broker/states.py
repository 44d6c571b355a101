"""How far a connection has come; :mod:`labkit.broker.connection` has the picture."""

from enum import Enum, auto

__all__ = ["State"]


class State(Enum):
    """How far a connection has come."""

    ARRIVED = auto()
    EXCHANGING = auto()  # AUTH to and fro before the verdict (MQTT 5 §4.12)
    DECIDING = auto()
    ADMITTED = auto()
    LEAVING = auto()
