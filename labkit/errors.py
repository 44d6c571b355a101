"""Everything labkit raises on purpose, in one tree.

::

    LabkitError                     catch this one to catch them all
    ├── TokenRejected               the relying party refuses an access token
    │   ├── InvalidToken            the token itself is bad             CONNACK 4 / 0x86
    │   ├── NotAllowed              a good token, but not for this      CONNACK 5 / 0x87
    │   └── Undecided               keys or server not reachable        CONNACK 3 / 0x88
    ├── MalformedPacket             bytes that are no MQTT packet
    ├── TokenRequestFailed          a device did not get a token
    ├── ConnectionFailed            a device did not get a connection
    ├── RegistrationRefused         a device cannot be registered like that
    └── ServiceFailed               a server could not start, stop or answer

A message is one or two sentences: what is wrong, then what to do about it.  No message and no attribute
ever holds a token, a secret or a password.
"""

from typing import ClassVar

__all__ = [
    "ConnectionFailed",
    "InvalidToken",
    "LabkitError",
    "MalformedPacket",
    "NotAllowed",
    "RegistrationRefused",
    "ServiceFailed",
    "TokenRejected",
    "TokenRequestFailed",
    "Undecided",
]


class LabkitError(Exception):
    """Root of everything labkit raises on purpose."""


class TokenRejected(LabkitError):
    """An access token was refused; the attributes say why and what to answer.

    ``TokenValidator.validate`` raises this and nothing else.  The three leaves stand for the three answers a
    broker can give; ``reason`` tells the causes within a leaf apart.

    Attributes:
        reason: stable word for programs, for example ``"expired"``.
        claim: the claim or header parameter that failed, or ``None``.
        expected: what the relying party wanted, for people, or ``None``.
        actual: what it found, shortened, for people, or ``None``.  Never the token.
        spec: section of the standard that asks for the check, for example ``"RFC 9068 §4"``.
        hint: one sentence on what to do next.
        error: the error code of RFC 6750 §3.1 for the same refusal over HTTP.
        return_code: CONNACK return code in MQTT 3.1.1 (§3.2.2.3).
        reason_code: CONNACK reason code in MQTT 5 (§3.2.2.2).
    """

    error: ClassVar[str] = "invalid_token"
    return_code: ClassVar[int] = 4
    reason_code: ClassVar[int] = 0x86

    def __init__(
        self,
        reason: str,
        *,
        claim: str | None = None,
        expected: str | None = None,
        actual: str | None = None,
        spec: str = "",
        hint: str = "",
    ) -> None:
        self.reason = reason
        self.claim = claim
        self.expected = expected
        self.actual = actual
        self.spec = spec
        self.hint = hint
        super().__init__(reason)

    def __str__(self) -> str:
        text = self.reason
        if self.claim is not None:
            text += f" ({self.claim})"
        if self.expected is not None:
            text += f": expected {self.expected}"
        if self.actual is not None:
            text += f"{',' if self.expected is not None else ':'} got {self.actual}"
        if self.spec:
            text += f" [{self.spec}]"
        return f"{text}. {self.hint}" if self.hint else text


class InvalidToken(TokenRejected):
    """The token itself is bad: malformed, forged, expired, for somebody else.  Spec: RFC 6750 §3.1."""


class NotAllowed(TokenRejected):
    """The token is good, but gives no right to what was asked.  Spec: RFC 6750 §3.1."""

    error = "insufficient_scope"
    return_code = 5
    reason_code = 0x87


class Undecided(TokenRejected):
    """Nobody could tell: the keys or the introspection endpoint were out of reach.  The door stays shut."""

    error = "temporarily_unavailable"
    return_code = 3
    reason_code = 0x88


class MalformedPacket(LabkitError):
    """Bytes that MQTT does not allow here.

    Attributes:
        spec: the rule, for example ``"MQTT 3.1.1 §1.5.3"``.
        reason_code: what to answer in MQTT 5 (§4.13.1): 0x81 Malformed Packet, 0x82 Protocol Error, or a more
            specific one.
    """

    def __init__(self, message: str, *, spec: str = "", reason_code: int = 0x81) -> None:
        self.spec = spec
        self.reason_code = reason_code
        super().__init__(f"{message} [{spec}]" if spec else message)


class TokenRequestFailed(LabkitError):
    """The authorization server gave no token.

    Attributes:
        error: its error code (RFC 6749 §5.2), or ``None`` when no usable answer came.
        status: the HTTP status, or ``None``.
        retry_after: seconds the server asked to wait, or ``None``.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.error = error
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class ConnectionFailed(LabkitError):
    """The broker refused the connection, closed it, or did not answer in time.

    Attributes:
        return_code: CONNACK return code (3.1.1) or reason code (5), or ``None`` when no CONNACK came.
    """

    def __init__(self, message: str, *, return_code: int | None = None) -> None:
        self.return_code = return_code
        super().__init__(message)


class RegistrationRefused(LabkitError):
    """A client cannot be registered with this identifier, topics or keys; the message says what to change."""


class ServiceFailed(LabkitError):
    """A server could not start, stop or answer in time; the message says what to do."""
