"""A server's JSON answer, as text only: indented JSON is already the form in which it reads best."""

import json
import re
from typing import Any

from labkit.show.claims import RANDOM, TIMES, length, plain, told
from labkit.show.text import Shown, masked
from labkit.tokens.claims import is_date

__all__ = ["answer"]

_CODE = re.compile(r"(user_code=)[\w-]+")
#: Members of a JWK that are random (RFC 7518 §6), the private ones among them.
_KEY_MEMBERS = ("x", "y", "n", "d", "p", "q", "dp", "dq", "qi", "k")


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
            return _shown(str(body))
    try:
        return _shown(json.dumps(_without_secrets(body), indent=2, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return Shown(f"no JSON: an object of type {plain(type(body).__name__)}")


def _shown(text: str) -> Shown:
    lines = masked(text).replace("\r\n", "\n").expandtabs().split("\n")
    return Shown("\n".join(map(plain, lines)))


def _without_secrets(body: Any) -> Any:
    """``body`` with random values told by their length and times relative to issue."""
    if isinstance(body, list):
        return [_without_secrets(item) for item in body]
    if not isinstance(body, dict):
        return _CODE.sub(r"\1…", body) if isinstance(body, str) else body
    return {name: _member(name, value, body) for name, value in body.items()}


def _member(name: Any, value: Any, body: dict[Any, Any]) -> Any:
    if (name in RANDOM and isinstance(value, str)) or (name in TIMES and is_date(value)):
        return told(name, body)
    opaque = name == "access_token" and not str(value).startswith("eyJ")  # a JWT keeps its first letters
    if isinstance(value, str) and (opaque or ("kty" in body and name in _KEY_MEMBERS)):
        return length(value)
    return _without_secrets(value)
