"""What one relying party insists on, checked when it is configured: a bad setting fails at start-up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from labkit.tokens.keys import ALGORITHMS, KeySource

__all__ = ["Answer", "Now", "Policy", "media_type", "strings"]

#: "usually no more than a few minutes", in seconds (RFC 7519 §4.1.4).
MOST_LEEWAY = 300


class Now(Protocol):
    """Anything that tells the time, such as :class:`labkit.clock.Clock`."""

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the authorization server said about a token, and when it was asked, in Unix seconds."""

    claims: dict[str, Any] = field(repr=False)
    asked_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of a relying party; :class:`~labkit.tokens.TokenValidator` tells what they mean.

    Raises:
        ValueError: a setting would make the checks worthless; the message says which, and why.
    """

    issuer: str
    audience: str
    required_scopes: tuple[str, ...]
    leeway: float
    max_token_bytes: int
    algorithms: tuple[str, ...] = ()
    token_types: frozenset[str] = frozenset()
    keys: KeySource | None = None
    ask: Callable[[str], Answer] | None = None

    def __post_init__(self) -> None:
        for name in ("issuer", "audience"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ValueError(f"{name} is a non-empty string: without it, tokens for anybody would pass")
        if type(self.leeway) not in (int, float) or not 0 <= self.leeway <= MOST_LEEWAY:
            raise ValueError(
                f"leeway is 0 to {MOST_LEEWAY} seconds: it makes up for clocks, not for dead tokens"
            )
        if type(self.max_token_bytes) is not int or self.max_token_bytes < 1:
            raise ValueError("max_token_bytes is a whole number of bytes above zero")
        for name in self.algorithms:
            if name not in ALGORITHMS:
                raise ValueError(
                    f"algorithm {name!r} is not allowed here: use {', '.join(ALGORITHMS)}."
                    "  With HS*, whoever can check a token can forge one; with none, everybody can"
                )


def media_type(typ: str) -> str:
    """``typ`` as a full media type in lower case: media types ignore case, and may omit ``application/``.

    Spec: RFC 7515 §4.1.9.
    """
    return (typ if "/" in typ else f"application/{typ}").lower()


def strings(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """``value`` as a tuple.

    Raises:
        ValueError: it is one string, which Python would take apart into letters, or holds something else.
    """
    values = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (None,)
    if not all(isinstance(each, str) and each for each in values):
        raise ValueError(f"{name} is a list of non-empty strings")
    return values  # type: ignore[return-value]
