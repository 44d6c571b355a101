"""Outcomes of checks, retold without what differs between runs: moments in words, random values by length."""

import re
from dataclasses import replace
from typing import TypeGuard

from labkit.errors import TokenRejected
from labkit.show.claims import RANDOM, TIMES, length, moment, no_moment
from labkit.tokens import Check, Explanation, Outcome

__all__ = ["is_decision", "retold"]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: What was expected and what was found, for a refusal that compares a claim with the clock.
_SAID = {
    "expired": ("later than now", "a moment in the past"),
    "not-yet-valid": ("now or earlier", "a moment in the future"),
    "issued-in-future": ("now or earlier", "a moment in the future"),
}


def is_decision(thing: object) -> TypeGuard[Explanation]:
    """Whether ``thing`` is an explanation whose outcomes are outcomes; it may have been made by hand."""
    return isinstance(thing, Explanation) and all(
        isinstance(each, Outcome)
        and isinstance(each.check, Check)
        and isinstance(each.refusal, TokenRejected | None)
        and isinstance(each.state, str)
        and isinstance(each.found, str | None)
        for each in thing
    )


def retold(explanation: Explanation) -> Explanation:
    """The same decision, told so that it is the same on every run."""
    issued = next((_number(each.found) for each in explanation if each.check.claim == "iat"), None)
    return Explanation([_retold(each, issued) for each in explanation], explanation.token)


def _retold(outcome: Outcome, issued: float | None) -> Outcome:
    claim, found, refusal = outcome.check.claim, outcome.found, outcome.refusal
    if claim is None or found is None:
        return outcome
    if refusal is not None and refusal.reason in _SAID and _number(found) is not None:
        expected, found = _SAID[refusal.reason]
        return replace(outcome, found=found, refusal=_reworded(refusal, expected, found))
    if outcome.check.name == "lifetime" and refusal is not None:
        found = _moment(claim, found, issued)
        return replace(outcome, found=found, refusal=_reworded(refusal, "later than iat", found))
    if claim in TIMES and refusal is not None and (strange := no_moment(found)):
        return replace(outcome, found=strange, refusal=_reworded(refusal, refusal.expected, strange))
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
    """A moment that was found, relative to issue; a token refused before iat was read does not tell that."""
    number = _number(found)
    if number is None:
        return found
    return moment(claim, number, issued) if issued is not None or claim == "iat" else "in time"


def _length(found: str) -> str:
    """``found`` by its length; it may stand in quotation marks, and may have been cut."""
    return "…" if found.endswith("…") else length(found.strip('"'))
