"""A decision as text: the table of checks, with moments in words and random values by their length."""

import re
from dataclasses import replace

from labkit.errors import TokenRejected
from labkit.show.text import Shown, masked
from labkit.show.token import RANDOM, TIMES, length, moment
from labkit.tokens import Explanation, Outcome

__all__ = ["decision"]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: What was expected and what was found, for a refusal that compares a claim with the clock.
_SAID = {
    "expired": ("later than now", "a moment in the past"),
    "not-yet-valid": ("now or earlier", "a moment in the future"),
    "issued-in-future": ("now or earlier", "a moment in the future"),
}


def decision(explanation: object) -> Shown:
    """The table of checks with their outcomes: what ``TokenValidator.explain`` returned."""
    if isinstance(explanation, Explanation):
        issued = next((_number(each.found) for each in explanation if each.check.claim == "iat"), None)
        explanation = Explanation([_told(each, issued) for each in explanation], explanation.token)
    return Shown(masked(str(explanation)))


def _told(outcome: Outcome, issued: float | None) -> Outcome:
    """The same outcome, without what differs between runs."""
    claim, found, refusal = outcome.check.claim, outcome.found, outcome.refusal
    if claim is None or found is None:
        return outcome
    if refusal is not None and refusal.reason in _SAID and _number(found) is not None:
        expected, found = _SAID[refusal.reason]
        return replace(outcome, found=found, refusal=_reworded(refusal, expected, found))
    if outcome.check.name == "lifetime" and refusal is not None:
        found = _moment(claim, found, issued)
        return replace(outcome, found=found, refusal=_reworded(refusal, "later than iat", found))
    if claim in TIMES and refusal is None:
        return replace(outcome, found=_moment(claim, found, issued))
    if claim in RANDOM and refusal is None:
        return replace(outcome, found=_length(found))
    if refusal is not None and refusal.reason == "unknown-key" and " " not in found:
        found = _length(found)
        return replace(outcome, found=found, refusal=_reworded(refusal, refusal.expected, found))
    return outcome


def _reworded(refusal: TokenRejected, expected: str | None, actual: str) -> TokenRejected:
    return type(refusal)(
        refusal.reason,
        claim=refusal.claim,
        expected=expected,
        actual=actual,
        spec=refusal.spec,
        hint=refusal.hint,
    )


def _number(found: str | None) -> float | None:
    return float(found) if found is not None and _NUMBER.fullmatch(found) else None


def _moment(claim: str, found: str, issued: float | None) -> str:
    number = _number(found)
    return found if number is None else moment(claim, number, issued)


def _length(found: str) -> str:
    """``found`` by its length; it may stand in quotation marks, and may have been cut."""
    return "…" if found.endswith("…") else length(found.strip('"'))
