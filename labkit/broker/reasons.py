"""Why the gate says no by itself, before or after the validator: its own reasons, each with answer and hint.

The validator's reasons stand in its table of checks; together they are all that ``connect.refused`` can say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["REASONS", "Carrier", "Reason", "Refused", "refused"]

#: The field of CONNECT that carries the token.
Carrier: TypeAlias = Literal["username", "password"]


@dataclass(frozen=True, slots=True)
class Reason:
    """The return code of CONNACK (MQTT 3.1.1 §3.2.2.3), and one sentence on what to do."""

    return_code: int
    hint: str


REASONS: Final[Mapping[str, Reason]] = {
    "version": Reason(1, "Connect with MQTT 3.1.1: protocol level 4."),
    "client-id-empty": Reason(2, "Send the client identifier that the token was issued to: none is made up."),
    "client-id-characters": Reason(2, "Choose a client identifier without / + # and control characters."),
    "no-token": Reason(4, "Put the access token into the password, and any name into the user name."),
    "ambiguous": Reason(4, "Send one token, in one field (RFC 6750 §2)."),
    "malformed": Reason(4, "An access token is printable ASCII: send it as it came from the token endpoint."),
    "revoked": Reason(4, "Somebody has taken this token back: get a new one."),
    "expired": Reason(4, "The token ended while it was looked at: refresh earlier."),
    "client-id": Reason(5, "Connect with the client identifier that the token was issued to."),
    "will-topic": Reason(5, "Leave a will only on a topic that the token allows to publish to."),
    "busy": Reason(3, "Many wait for keys, or for an answer about their token: try again later."),
    "server-full": Reason(3, "As many are connected as the broker takes: try again later."),
    "stopping": Reason(3, "The broker is going down: try again later."),
    "timeout": Reason(3, "The decision took too long: try again later."),
    "validator-failed": Reason(3, "The validator has a fault: see the log of whoever wrote it."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No: what CONNACK says (§3.2.2.3), and the reason, for the record."""

    return_code: int
    reason: str
    carrier: Carrier | None = None


def refused(reason: str, carrier: Carrier | None = None) -> Refused:
    """The gate's own no, for a reason in :data:`REASONS`."""
    return Refused(return_code=REASONS[reason].return_code, reason=reason, carrier=carrier)
