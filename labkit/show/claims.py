"""The glossary of a token: what its header parameters and claims mean, who checks them, how they are told.

Times are told relative to issue and random values by their length, so that the text is the same on every run.
Who checks what is not said here: it is read from the table of checks, :data:`labkit.tokens.CHECKS`.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from labkit.show.text import masked, seconds
from labkit.tokens import CHECKS
from labkit.tokens.claims import is_date

__all__ = [
    "CLAIMS",
    "HEADER",
    "RANDOM",
    "TIMES",
    "checked_by",
    "decoded",
    "length",
    "moment",
    "no_moment",
    "plain",
    "short",
    "told",
]

#: Header parameters in the order of the standards, with their meaning (RFC 7515 §4.1, RFC 9068 §2.1).
HEADER: Final[Mapping[str, str]] = {
    "typ": "kind of token",
    "alg": "signature algorithm",
    "kid": "which key signed it",
    "cty": "kind of payload",
    "crit": "what must be understood",
    "jku": "where to fetch keys",
    "jwk": "a key it brings along",
    "x5u": "where to fetch a key",
    "x5c": "a key it brings along",
}
#: Claims in the order of the standards, with their meaning (RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800 §3.1).
CLAIMS: Final[Mapping[str, str]] = {
    "iss": "issuer: who made it",
    "sub": "subject: whom it is about",
    "aud": "audience: whom it is for",
    "client_id": "client: who asked for it",
    "iat": "issued at",
    "nbf": "not valid before",
    "exp": "expires",
    "jti": "its own number",
    "scope": "what it allows",
    "cnf": "the key it is bound to",
}
#: Claims that are moments.
TIMES: Final = ("iat", "nbf", "exp")
#: Members whose values are random or secret.
RANDOM: Final = ("jti", "kid", "refresh_token", "device_code", "user_code", "client_secret")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def checked_by(part: str, name: str) -> str:
    """The broker's checks that look at a header parameter or claim, by their names in the table of checks.

    Args:
        part: ``"header"`` or ``"claims"``.
        name: the header parameter or claim.
    """
    places = ("header",) if part == "header" else ("claims", "binding")
    rows = [row for row in CHECKS if row.where in places]
    # One row looks at two parameters, and its name is theirs: "enc, zip".
    return ", ".join(
        row.name for row in rows if name == row.claim or (", " in row.name and name in row.name.split(", "))
    )


def decoded(part: str) -> dict[str, Any] | str:
    """The JSON object inside a part of a token, or what is wrong with it.  Lenient, as it only looks."""
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return "cannot be decoded"
    return value if isinstance(value, dict) else "no JSON object"


def told(name: str, values: Mapping[str, Any]) -> str:
    """The value of a header parameter or claim for a person; scopes are separated by single spaces."""
    value = values[name]
    try:
        spelled = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "nested too deeply"
    if name in TIMES:
        when = moment(name, value, values.get("iat")) if is_date(value) else no_moment(spelled)
        return when or short(spelled)
    if name in RANDOM and isinstance(value, str):
        return length(value)
    if name == "scope" and isinstance(value, str):
        return " ".join(short(scope) for scope in value.split(" ")) or '""'
    return short((value or '""') if isinstance(value, str) else spelled)


def length(text: str) -> str:
    """A random value by its length."""
    return f"… ({len(text)} characters)"


def moment(name: str, value: float, issued: object) -> str:
    """The time in a claim, relative to the moment of issue."""
    if name == "iat":
        return "the moment of issue"
    if not is_date(issued):
        return "a time, without iat to compare it with"
    span = value - issued  # type: ignore[operator]
    if span == 0:
        return "at issue"
    return f"{seconds(abs(span))} {'after' if span > 0 else 'before'} issue"


def no_moment(text: str) -> str:
    """What stands in place of a time, where it is a number; as such it would differ between runs.

    Args:
        text: the value, spelled as in JSON.
    """
    if _NUMBER.fullmatch(text):
        return "a number beyond the year 9999"
    return "a number as text" if _NUMBER.fullmatch(text.strip('" ')) else ""


def short(text: str, longest: int = 60) -> str:
    """``text`` on one line, masked, without control characters, at most ``longest`` characters."""
    clean = plain(masked(text))
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def plain(text: str) -> str:
    """``text`` with ``�`` for every character that could move a cursor or turn the direction of reading."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)
