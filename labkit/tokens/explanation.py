"""The walk along the table, written down: what a lesson shows and an operator reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from labkit.errors import TokenRejected
from labkit.tokens.access_token import AccessToken
from labkit.tokens.table import Case, Check, Fault, NotAsked, accepted, shown

__all__ = ["Explanation", "Outcome", "explain"]


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


def _found(check: Check, case: Case) -> str | None:
    if check.claim is None:
        return None
    parts = {"header": case.header, "signature": case.header, "answer": case.answer}
    part = parts.get(check.where, case.claims)
    return shown(part[check.claim]) if check.claim in part else None
