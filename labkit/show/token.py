"""A token, decoded: its header, its claims with their meaning, its signature's size.

Times are told relative to issue, and random values by their length, so that the text is the same on every
run.  Showing is not checking: nothing here verifies a signature.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from labkit.show.text import Shown, masked, seconds, table

__all__ = ["RANDOM", "TIMES", "answer", "length", "moment", "token"]

#: Header parameters and claims, in the order of the standards, with their meaning.
HEADER: Final[Mapping[str, str]] = {
    "typ": "kind of token (RFC 9068 §2.1)",
    "alg": "signature algorithm (RFC 7515 §4.1.1)",
    "kid": "which key signed it (RFC 7515 §4.1.4)",
}
CLAIMS: Final[Mapping[str, str]] = {
    "iss": "issuer: who made the token",
    "sub": "subject: whom it speaks about",
    "aud": "audience: whom it is meant for",
    "client_id": "client: who asked for it",
    "iat": "issued at",
    "nbf": "not valid before",
    "exp": "expires",
    "jti": "this token's own number",
    "scope": "what it allows",
}
#: Claims that are moments.
TIMES = ("iat", "nbf", "exp")
#: Members whose values are random or secret.
RANDOM = ("jti", "kid", "refresh_token", "device_code", "user_code", "client_secret")
_CODE = re.compile(r"(user_code=)[\w-]+")
_LONGEST = 60


def token(text: object) -> Shown:
    """The parts of a JWT, decoded and explained; a sentence where it is none.  Never raises.

    Args:
        text: the token as it travels.  Objects of any other kind are described, not decoded.
    """
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str):
        return Shown(f"no token: a {type(text).__name__}")
    parts = text.split(".")
    if len(parts) != 3:
        return Shown(
            f"no JWT: {len(parts)} part{'s' * (len(parts) != 1)}, and a JWT has three, joined by dots"
        )
    header, claims = _decode(parts[0]), _decode(parts[1])
    return Shown(
        "\n".join(
            [
                *_section("header", header, HEADER),
                *_section("claims", claims, CLAIMS),
                f"signature\n  {_size(parts[2])}, not checked here",
            ]
        )
    )


def answer(body: object) -> Shown:
    """A JSON answer of a server, indented, with tokens and ports shortened.  Never raises.

    Args:
        body: the JSON as text, bytes, lines (what ``!curl`` returns) or already parsed.
    """
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, list) and all(isinstance(line, str) for line in body):
        body = "\n".join(body)
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return Shown(masked(str(body)))
    try:
        text = json.dumps(_without_secrets(body), indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return Shown(f"no JSON: a {type(body).__name__}")
    return Shown(masked(text))


def _without_secrets(body: Any) -> Any:
    """``body`` with random values told by their length and times relative to issue."""
    if isinstance(body, list):
        return [_without_secrets(item) for item in body]
    if not isinstance(body, dict):
        return _CODE.sub(r"\1…", body) if isinstance(body, str) else body
    return {
        name: _value(name, body)
        if (name in RANDOM and isinstance(value, str)) or (name in TIMES and _is_number(value))
        else _without_secrets(value)
        for name, value in body.items()
    }


def _decode(part: str) -> dict[str, Any] | str:
    """The JSON object inside a part, or what is wrong with it."""
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return "cannot be decoded"
    return value if isinstance(value, dict) else "no JSON object"


def _section(title: str, values: dict[str, Any] | str, meanings: Mapping[str, str]) -> list[str]:
    if isinstance(values, str):
        return [title, f"  {values}"]
    known = [name for name in meanings if name in values]
    rows: list[tuple[str, str, str]] = []
    for name in [*known, *(name for name in values if name not in meanings)]:
        first, *more = _value(name, values).split(" ") if name == "scope" else [_value(name, values)]
        rows.append((_short(name), first, meanings.get(name, "")))
        rows += [("", scope, "") for scope in more]  # one scope a line
    return [title, table(rows)] if rows else [title, "  empty"]


def _value(name: str, values: dict[str, Any]) -> str:
    value = values[name]
    if name in TIMES and _is_number(value):
        return moment(name, value, values.get("iat"))
    if name in RANDOM and isinstance(value, str):
        return length(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(_short(scope) for scope in text.split(" ")) if name == "scope" else _short(text)


def length(text: str) -> str:
    """A random value by its length."""
    return f"… ({len(text)} characters)"


def moment(name: str, value: float, issued: object) -> str:
    """The time in a claim, relative to the moment of issue."""
    if name == "iat":
        return "the moment of issue"
    if not _is_number(issued):
        return "a time, without iat to compare it with"
    span = value - issued  # type: ignore[operator]
    if span == 0:
        return "at issue"
    return f"{seconds(abs(span))} {'after' if span > 0 else 'before'} issue"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _short(text: str) -> str:
    clean = "".join(c if c.isprintable() else "�" for c in masked(text))
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def _size(part: str) -> str:
    if not part:
        return "empty: nobody signed this"
    try:
        return f"{len(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))} bytes"
    except ValueError:
        return "cannot be decoded"
