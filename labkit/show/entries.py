"""A token read for its picture: header parameters and claims as entries, and what is said of the rest."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.errors import InvalidToken
from labkit.show.claims import CLAIMS, HEADER, checked_by, decoded, length, short, told
from labkit.show.signature import Verdict, verdict
from labkit.tokens import peek_unverified

__all__ = ["Entry", "Reading", "read"]

#: How many entries of a part, and how many scopes, are shown.  The rest is counted.
_MOST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A header parameter or claim.  Without a name it is a remark about the whole part.

    Attributes:
        name: as the token writes it, on one line.
        values: one, or one for each scope.
        meaning: from the glossary, or ``""``.
        checks: the broker's checks that look at it, or ``"none"``.
    """

    name: str = ""
    values: Sequence[str]
    meaning: str = ""
    checks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that the picture of a token says.

    Attributes:
        encoded: the three parts as they travel, shortened.
        header: the entries of the header.
        claims: the entries of the payload.
        size: the length of the signature.
        signature: whether it fits.
        strict: what a strict reader has against this token, or ``""``.
    """

    encoded: Sequence[str]
    header: Sequence[Entry]
    claims: Sequence[Entry]
    size: str
    signature: Verdict
    strict: str


def read(token: str, keys: object) -> Reading:
    """What is to say about ``token``, which has three parts; ``keys`` as in :func:`labkit.show.token`."""
    header, claims, signature = parts = token.split(".")
    return Reading(
        encoded=[_encoded(part) for part in parts],
        header=_entries("header", header, HEADER),
        claims=_entries("claims", claims, CLAIMS),
        size=_size(signature),
        signature=verdict(token, keys),
        strict=_strict(token),
    )


def _encoded(part: str) -> str:
    """A part as it travels.  What follows its beginning differs between runs; its length does not."""
    return f"{'eyJ' if part.startswith('eyJ') else ''}{length(part)}"


def _entries(part: str, encoded: str, meanings: Mapping[str, str]) -> list[Entry]:
    values = decoded(encoded)
    if isinstance(values, str):
        return [Entry(values=[values])]
    known = [name for name in meanings if name in values]
    names = [*known, *(name for name in values if name not in meanings)]
    entries = [
        Entry(
            name=short(name) or '""',
            values=_values(name, values),
            meaning=meanings.get(name, ""),
            checks=checked_by(part, name) or "none",
        )
        for name in names[:_MOST]
    ]
    if len(names) > _MOST:
        entries.append(Entry(values=[f"… {len(names) - _MOST} more"]))
    return entries or [Entry(values=["empty"])]


def _values(name: str, values: Mapping[str, Any]) -> list[str]:
    value = told(name, values)
    lines = value.split(" ") if name == "scope" and isinstance(values[name], str) else [value]
    return lines if len(lines) <= _MOST else [*lines[:_MOST], f"… {len(lines) - _MOST} more"]


def _size(part: str) -> str:
    if not part:
        return "empty"
    try:
        size = len(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return "cannot be decoded"
    return f"{size} byte{'s' * (size != 1)}"


def _strict(token: str) -> str:
    """What is shown was read leniently, and a validator may read something else, or nothing."""
    try:
        peek_unverified(token, max_token_bytes=max(len(token), 1))
    except InvalidToken as refusal:
        return f"a strict reader does not take this token: {short(refusal.actual or refusal.reason)}"
    return ""
