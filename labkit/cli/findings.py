"""What a check of the doctor found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Finding", "fail", "note", "ok"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``, ``subject``, and ``detail`` with what to do unless it is ok."""

    state: Literal["ok", "note", "FAIL"]
    subject: str
    detail: str


Check = Callable[[], Iterator[Finding]]


def ok(subject: str, detail: str) -> Finding:
    """All is well."""
    return Finding("ok", subject, detail)


def note(subject: str, detail: str) -> Finding:
    """It works, but the learner should know this."""
    return Finding("note", subject, detail)


def fail(subject: str, detail: str) -> Finding:
    """The lessons will not run; ``detail`` says what to do."""
    return Finding("FAIL", subject, detail)
