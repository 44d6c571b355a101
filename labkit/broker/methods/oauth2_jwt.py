"""``OAUTH2-JWT``: the token is the Authentication Data, and that is all."""

from typing import ClassVar

from labkit.broker.methods.steps import Failed, Shown, Step
from labkit.broker.reasons import Refused

__all__ = ["OAuth2Jwt", "shown"]


def shown(data: bytes) -> Step:
    """A token, if it can be one: printable ASCII (RFC 6749 §A.12)."""
    if not data:
        return Failed("no-data")
    text = data.decode("latin-1")
    return Shown(text) if text.isascii() and text.isprintable() else Failed("malformed")


class OAuth2Jwt:
    """One message; the name and the form are those of cloud brokers, no standard has them."""

    name: ClassVar[str] = "OAUTH2-JWT"

    def __init__(self, client_id: str) -> None:
        """Nothing to remember."""

    def begin(self, data: bytes) -> Step:
        """The token."""
        return shown(data)

    def go_on(self, data: bytes) -> Step:
        """Nothing was asked."""
        return Failed("message")

    def regret(self, refused: Refused) -> None:
        """The reason code says enough."""
