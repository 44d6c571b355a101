"""Why the gate says no by itself, before or after the validator: its own reasons, each with answer and hint.

The validator's reasons stand in its table of checks; together they are all that ``connect.refused`` can say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from labkit.errors import MalformedPacket
from labkit.wire.v5 import reason_name

__all__ = ["GOODBYES", "REASONS", "Carrier", "Reason", "Refused", "malformed", "refused"]

#: What carries the token: a field of CONNECT, the header of a WebSocket upgrade, or enhanced authentication.
Carrier: TypeAlias = Literal["username", "password", "header", "enhanced"]


@dataclass(frozen=True, slots=True)
class Reason:
    """The code of CONNACK in both versions (MQTT 3.1.1 §3.2.2.3, MQTT 5 §3.2.2.2), and what to do."""

    return_code: int
    reason_code: int
    hint: str


REASONS: Final[Mapping[str, Reason]] = {
    "version": Reason(1, 0x84, "Connect with MQTT 3.1.1 or 5: protocol level 4 or 5."),
    "client-id-empty": Reason(
        2, 0x85, "Send the client identifier that the token was issued to: none is made up."
    ),
    "client-id-characters": Reason(
        2, 0x85, "Choose a client identifier without / + # and control characters."
    ),
    "no-token": Reason(4, 0x86, "Put the access token into the password, and any name into the user name."),
    "ambiguous": Reason(4, 0x86, "Send one token, in one field (RFC 6750 §2)."),
    "malformed": Reason(
        4, 0x86, "An access token is printable ASCII: send it as it came from the token endpoint."
    ),
    "revoked": Reason(4, 0x86, "Somebody has taken this token back: get a new one."),
    "expired": Reason(4, 0x86, "The token ended while it was looked at: refresh earlier."),
    "client-id": Reason(5, 0x87, "Connect with the client identifier that the token was issued to."),
    "will-topic": Reason(5, 0x87, "Leave a will only on a topic that the token allows to publish to."),
    "busy": Reason(3, 0x89, "Many wait for keys, or for an answer about their token: try again later."),
    "server-full": Reason(3, 0x89, "As many are connected as the broker takes: try again later."),
    "stopping": Reason(3, 0x88, "The broker is going down: try again later."),
    "timeout": Reason(3, 0x88, "The decision took too long: try again later."),
    "method": Reason(4, 0x8C, "Choose an authentication method that this broker knows."),
    "no-data": Reason(4, 0x87, "Put the access token into the Authentication Data, as the method says."),
    "message": Reason(4, 0x87, "Send the Authentication Data in the form and order of the method."),
    "proof": Reason(4, 0x87, "Sign the nonce that came last, with the key that the token is bound to."),
    "no-room": Reason(0, 0x95, "Raise Maximum Packet Size: the challenge is longer than you take."),
    "validator-failed": Reason(3, 0x88, "The validator has a fault: see the log of whoever wrote it."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No: what CONNACK says (§3.2.2.3), and the reason, for the record."""

    return_code: int
    reason_code: int
    reason: str
    carrier: Carrier | None = None
    hint: str = ""


def refused(reason: str, carrier: Carrier | None = None) -> Refused:
    """The gate's own no, for a reason in :data:`REASONS`."""
    row = REASONS[reason]
    return Refused(
        return_code=row.return_code,
        reason_code=row.reason_code,
        reason=reason,
        carrier=carrier,
        hint=row.hint,
    )


def malformed(error: MalformedPacket) -> Refused:
    """The no to a CONNECT that breaks a rule; only MQTT 5 has words for it (§3.1.4, §4.13)."""
    code = error.reason_code if reason_name(2, error.reason_code) else 0x81
    return Refused(return_code=0, reason_code=code, reason="protocol-error")


#: Why a connection ends → what DISCONNECT says in MQTT 5 (§3.14.2.1).  No row: nothing is said.
GOODBYES: Final[Mapping[str, int]] = {
    "expired": 0x87,
    "revoked": 0x87,
    "unconfirmed": 0x87,
    "not-authorized": 0x87,
    "taken-over": 0x8E,
    "stopped": 0x8B,
    "disconnected": 0x98,
    "keep-alive": 0x8D,
    "packet-timeout": 0x83,
    "not-reading": 0x97,
    "protocol-error": 0x82,
    "internal-error": 0x83,
}
