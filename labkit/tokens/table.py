"""How the table of checks works: its rows, its verdicts, and the walk along it.

A row (:class:`Check`) says what it asks for, which standard asks for it, and how a broker answers when it
fails.  Its predicate looks at a :class:`Case`, one token on trial, and leaves in it what it has read for the
rows below.  ``validate``, ``explain``, the lessons, the tests and the reference page all use the same rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeAlias, overload

from labkit.errors import InvalidToken, TokenRejected
from labkit.record import redact
from labkit.tokens.access_token import AccessToken
from labkit.tokens.keys import VerificationKey
from labkit.tokens.policy import Policy

__all__ = [
    "Case",
    "Check",
    "Explanation",
    "Fault",
    "NotAsked",
    "Outcome",
    "Verdict",
    "accepted",
    "check",
    "explain",
    "judge",
    "shown",
]

_LONGEST_SHOWN = 60


@dataclass(slots=True, kw_only=True)
class Case:
    """One token on trial.  The first fields are given; the others are filled in on the way."""

    policy: Policy
    token: Any = field(repr=False)
    now: float
    client_id: str | None
    proved: Mapping[str, str]
    text: str = field(default="", repr=False)
    segments: list[str] = field(default_factory=list, repr=False)
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    key: VerificationKey | None = None
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


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
        where: the part it looks at: ``"token"``, ``"header"``, ``"signature"``, ``"claims"``, ``"binding"``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one check.

    Attributes:
        check: the row.
        state: ``"passed"``, ``"failed"``, ``"not asked"`` (nothing to check) or ``"not reached"``.
        found: the value it looked at, shortened, or ``None``.  Never a token or a signature.
        refusal: the exception that ``validate`` raises for it, when it failed.
    """

    check: Check
    state: str
    found: str | None = None
    refusal: TokenRejected | None = None


class Explanation(Sequence[Outcome]):
    """Every check with its outcome, in order.  ``str()`` gives a table in plain text.

    Attributes:
        token: the accepted :class:`AccessToken`, or ``None``.
        refusal: what ``validate`` raises, or ``None`` when the token is accepted.
    """

    def __init__(self, outcomes: Sequence[Outcome], token: AccessToken | None) -> None:
        self._outcomes = tuple(outcomes)
        self.token = token
        self.refusal = next((o.refusal for o in self._outcomes if o.refusal is not None), None)

    @property
    def accepted(self) -> bool:
        """Whether every check that was asked has passed."""
        return self.refusal is None

    @overload
    def __getitem__(self, index: int) -> Outcome: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Outcome, ...]: ...
    def __getitem__(self, index: int | slice) -> Outcome | tuple[Outcome, ...]:
        return self._outcomes[index]

    def __len__(self) -> int:
        return len(self._outcomes)

    def __str__(self) -> str:
        rows = [("check", "outcome", "found")]
        rows += [(outcome.check.name, outcome.state, outcome.found or "") for outcome in self]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = [
            f"{name:<{widths[0]}}  {state:<{widths[1]}}  {found}".rstrip() for name, state, found in rows
        ]
        lines.insert(1, f"{'-' * widths[0]}  {'-' * widths[1]}  {'-' * len('found')}")
        if self.refusal is None:
            return "\n".join([*lines, "", "accepted"])
        codes = f"CONNACK {self.refusal.return_code} (MQTT 5: 0x{self.refusal.reason_code:02X})"
        return "\n".join([*lines, "", f"refused with {codes}: {self.refusal}"])

    def __repr__(self) -> str:
        verdict = "accepted" if self.refusal is None else f"refused: {self.refusal.reason}"
        return f"<Explanation of {len(self)} checks, {verdict}>"


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
        expires_at=claims["exp"],
        not_before=claims.get("nbf"),
        jti=claims["jti"],
        key_id=case.key.kid if case.key is not None else None,
        algorithm=case.header.get("alg", "introspection"),
        claims=MappingProxyType(claims),
    )


def explain(checks: Sequence[Check], case: Case) -> Explanation:
    """Walk along ``checks`` like :func:`judge`, and write down every step instead of raising."""
    outcomes: list[Outcome] = []
    refusal: TokenRejected | None = None
    for check in checks:
        if refusal is not None:
            outcomes.append(Outcome(check=check, state="not reached"))
            continue
        try:
            verdict = check.predicate(case)
            if isinstance(verdict, Fault):
                refusal = check.refuse(verdict)
        except TokenRejected as rejected:
            refusal, verdict = rejected, None
        if refusal is not None:
            outcomes.append(Outcome(check=check, state="failed", found=refusal.actual, refusal=refusal))
        elif verdict is NotAsked.NOT_ASKED:
            outcomes.append(Outcome(check=check, state="not asked"))
        else:
            outcomes.append(Outcome(check=check, state="passed", found=_found(check, case)))
    return Explanation(outcomes, None if refusal is not None else accepted(case))


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


def _found(check: Check, case: Case) -> str | None:
    if check.claim is None:
        return None
    part = case.header if check.where in ("header", "signature") else case.claims
    return shown(part[check.claim]) if check.claim in part else None
