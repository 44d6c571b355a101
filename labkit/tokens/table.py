"""How the table of checks works: its rows, its verdicts, and the walk along it.

A row (:class:`Check`) says what it asks for, which standard asks for it, and how a broker answers when it
fails.  Its predicate looks at a :class:`Case`, one token on trial, and leaves in it what it has read for the
rows below.  ``validate``, ``explain``, the lessons, the tests and the reference page all use the same rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeAlias

from labkit.errors import InvalidToken, TokenRejected
from labkit.record import redact
from labkit.tokens.access_token import AccessToken
from labkit.tokens.keys import VerificationKey
from labkit.tokens.policy import Now, Policy

__all__ = [
    "Case",
    "Check",
    "Fault",
    "NotAsked",
    "Verdict",
    "accepted",
    "check",
    "judge",
    "shown",
]

_LONGEST_SHOWN = 60


@dataclass(slots=True, kw_only=True)
class Case:
    """One token on trial.  The first fields are given; the others are filled in on the way."""

    policy: Policy
    clock: Now
    token: Any = field(repr=False)
    client_id: str | None
    proved: Mapping[str, str]
    text: str = field(default="", repr=False)
    segments: list[str] = field(default_factory=list, repr=False)
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)
    asked_at: float | None = None
    key: VerificationKey | None = None
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    @property
    def now(self) -> float:
        """The time at this moment: a row above may have waited for a server."""
        return self.clock.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a predicate has found wrong.  What is left out comes from the row."""

    actual: str | None = None
    expected: str | None = None
    reason: str | None = None
    hint: str | None = None


class NotAsked(Enum):
    """A predicate's answer when the case leaves it nothing to check."""

    NOT_ASKED = "not asked"


Verdict: TypeAlias = Fault | NotAsked | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the table.

    Attributes:
        name: short name, unique in its table.
        where: the part it looks at: ``"token"``, ``"header"``, ``"signature"``, ``"claims"``, ``"binding"``,
            or ``"answer"``: what the authorization server says.
        claim: the header parameter or claim it is about, or ``None``.
        rule: what must be the case, one sentence.
        spec: the section that asks for it, or ``"lab"`` for a rule of ours.
        reason: stable word of the refusal, unless the fault has a closer one.
        refusal: the leaf of :class:`~labkit.errors.TokenRejected` that is raised.
        hint: what to do about it, one sentence.
        predicate: finds the fault, if there is one.  May raise ``TokenRejected`` itself.
    """

    name: str
    where: str
    claim: str | None = None
    rule: str
    spec: str
    reason: str
    refusal: type[TokenRejected] = InvalidToken
    hint: str
    predicate: Callable[[Case], Verdict] = field(repr=False)

    @property
    def return_code(self) -> int:
        """CONNACK return code of the refusal in MQTT 3.1.1."""
        return self.refusal.return_code

    @property
    def reason_code(self) -> int:
        """CONNACK reason code of the refusal in MQTT 5."""
        return self.refusal.reason_code

    def refuse(self, fault: Fault) -> TokenRejected:
        """The exception for ``fault``, ready to be raised."""
        return self.refusal(
            fault.reason or self.reason,
            claim=self.claim,
            expected=fault.expected,
            actual=fault.actual,
            spec=self.spec,
            hint=self.hint if fault.hint is None else fault.hint,
        )


def check(
    name: str,
    *,
    where: str,
    rule: str,
    spec: str,
    reason: str,
    hint: str,
    claim: str | None = None,
    refusal: type[TokenRejected] = InvalidToken,
) -> Callable[[Callable[[Case], Verdict]], Check]:
    """Make a predicate into a row, so that the rule stands beside the code that enforces it."""

    def row(predicate: Callable[[Case], Verdict]) -> Check:
        return Check(
            name=name,
            where=where,
            claim=claim,
            rule=rule,
            spec=spec,
            reason=reason,
            refusal=refusal,
            hint=hint,
            predicate=predicate,
        )

    return row


def judge(checks: Sequence[Check], case: Case) -> None:
    """Walk along ``checks`` and stop at the first fault.

    Raises:
        TokenRejected: a check failed.
    """
    for check in checks:
        verdict = check.predicate(case)
        if verdict is not None and verdict is not NotAsked.NOT_ASKED:
            raise check.refuse(verdict)


def accepted(case: Case) -> AccessToken:
    """The facts in a case that has passed every check."""
    claims = case.claims
    return AccessToken(
        issuer=claims["iss"],
        subject=claims["sub"],
        client_id=claims["client_id"],
        audience=case.audience,
        scopes=case.scopes,
        issued_at=claims["iat"],
        expires_at=min(claims["exp"], case.answer.get("exp", claims["exp"])),
        not_before=claims.get("nbf"),
        jti=claims["jti"],
        key_id=case.key.kid if case.key is not None else None,
        algorithm=case.header.get("alg", "introspection"),
        confirmed_at=case.asked_at,
        claims=MappingProxyType(claims),
    )


def shown(value: object) -> str:
    """``value`` for a person: like JSON, without tokens and control characters, at most 60 characters."""
    # An integer of many digits, or a text of many bytes, is not written out just to be cut.
    if isinstance(value, str):
        text = f'"{redact(value[: 4 * _LONGEST_SHOWN])}"'
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, Mapping):
        text = "an object"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(item) for item in value[:8]) + (", …" if len(value) > 8 else "") + "]"
    else:
        text = f"{value}"
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
