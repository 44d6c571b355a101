"""What one step of a method leads to."""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

from labkit.broker.reasons import Refused

__all__ = ["Challenge", "Failed", "Method", "Shown", "Step"]


@dataclass(frozen=True, slots=True)
class Shown:
    """The client has shown its token, and perhaps proven to hold a key: its RFC 7638 thumbprint."""

    token: str = field(repr=False)
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """The client has to answer this first."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """It is over, for one of the gate's reasons."""

    reason: str


Step: TypeAlias = Shown | Challenge | Failed


class Method(Protocol):
    """One authentication, from the first data to the token."""

    #: As in the property Authentication Method.
    name: ClassVar[str]

    def begin(self, data: bytes) -> Step:
        """The Authentication Data of CONNECT, or of the AUTH that asks to re-authenticate."""
        ...

    def go_on(self, data: bytes) -> Step:
        """The client's answer to a challenge."""
        ...

    def regret(self, refused: Refused) -> bytes | None:
        """What the client is told before the refusal and has to answer; ``None`` when nothing is."""
        ...
