"""What every translation returns."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Action", "Rendered"]

Action: TypeAlias = Literal["publish", "subscribe", "receive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Rights in a foreign format.

    Attributes:
        format: the name of the format.
        document: the rights as plain data, ready for ``json.dumps``.
        claims: the claims of an access token that carry it; empty where the rights travel outside the token.
        notes: a sentence for each right that is narrower here, or left out.
        limits: sentences that hold for whatever is said in this format.
    """

    format: str
    document: Any
    claims: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    _allows: Callable[[Any, Action, str], bool] = field(repr=False, compare=False)

    @property
    def exact(self) -> bool:
        """Whether every right has come through as it was; :attr:`limits` apart."""
        return not self.notes

    def may_publish(self, topic: str) -> bool:
        """Whether a broker that reads the document lets a message go to ``topic``."""
        return self._allows(self.document, "publish", topic)

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether a broker that reads the document lets ``topic_filter`` be subscribed to."""
        return self._allows(self.document, "subscribe", topic_filter)

    def __str__(self) -> str:
        # Keys and values can hold whatever a topic can: JSON escapes all but printable ASCII.
        lines = [self.format, json.dumps(self.document, indent=2)]
        for heading, sentences in (("Lost on the way", self.notes), ("Always", self.limits)):
            lines += [f"{heading}:", *(f"- {sentence}" for sentence in sentences)] if sentences else []
        return "\n".join(lines)
