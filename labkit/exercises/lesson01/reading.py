"""Read the claims of a token by hand."""

import base64
import json
from typing import Any

from labkit.exercises import AnswerFailed, Result, Wrong, brief, exercise, not_yet, right, try_answer
from labkit.exercises.trying import describe

__all__ = ["read_claims"]


def _claims(token: str, part: int = 1) -> Any:
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@exercise(
    question="Complete the function: it takes any token of this server and returns its claims as a dict.",
    cell="""
def claims(token):
    part = token.split(".")[____]
    return json.loads(____(part + ____))


ex.read_claims.check(claims, lab)
""",
    solution="""
def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


ex.read_claims.check(claims, lab)
""",
    wrong=(
        Wrong(says="that is the header", answer=lambda token: _claims(token, part=0)),
        Wrong(
            says="whole fours of characters",
            answer=lambda token: json.loads(base64.urlsafe_b64decode(token.split(".")[1])),
        ),
        Wrong(
            says="- and _ in place of + and /",
            answer=lambda token: json.loads(base64.b64decode(token.split(".")[1] + "==")),
        ),
        Wrong(
            says="bytes or text, and not yet a dict",
            answer=lambda token: base64.urlsafe_b64decode(token.split(".")[1] + "=="),
        ),
        Wrong(
            says="the signature is no JSON",
            answer=lambda token: json.loads(base64.urlsafe_b64decode(token.split(".")[2] + "==")),
        ),
        Wrong(says="not decoded", answer=lambda token: json.loads(token.split(".")[1])),
        Wrong(says="another token", answer=lambda token: {"iss": "me"}),
        Wrong(says="it returns None", answer=lambda token: None),
        Wrong(says="hand over the function itself", answer={"iss": "me"}),
    ),
    hints=(
        "Three parts, joined by dots. Which one holds the claims, counted from 0?",
        "It is base64url without padding, and base64.urlsafe_b64decode wants a multiple of 4 characters.",
        'Add the padding: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).',
    ),
    why=(
        "the claims are encoded, not encrypted (RFC 7515 §3.1): everyone who sees a token can read it, so no "
        "secret belongs in it."
    ),
    given="import base64\nimport json",
)
def read_claims(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(claims, lab).")
    trouble = _which_part(answer) or _real_tokens(answer, lab)
    return not_yet(trouble) if trouble else right("tokens of eight devices, all read.")


def _which_part(answer: Any) -> str:
    """What is wrong with the answer's way to a token whose three parts are all JSON, whole fours long."""
    names = {0: "header", 1: "claims", 2: "signature"}
    parts = [json.dumps({"part": name}).ljust(24).encode() for name in names.values()]
    try:
        found = try_answer(answer, ".".join(base64.urlsafe_b64encode(part).decode() for part in parts))
    except AnswerFailed as failed:
        if isinstance(failed.__cause__, json.JSONDecodeError):
            return "the part is not decoded: it is base64url, and json.loads wants what is inside."
        return f"your code raised {describe(failed.__cause__)}."
    if found is None:
        return "it returns None: the dict has to be returned."
    if type(found) in (str, bytes, bytearray):
        return "it returns bytes or text, and not yet a dict: json.loads makes one of them."
    if type(found) is not dict:
        return f"it returns {brief(found)}, and not a dict."
    if found == {"part": "header"}:
        return "that is the header: it tells how the token is signed. The claims come next."
    if found == {"part": "signature"}:
        return "the signature is no JSON in a real token. Which part comes before it?"
    if found != {"part": "claims"}:
        return "these are not the claims of the token it was given: try it with another token, too."
    return ""


def _real_tokens(answer: Any, lab: Any) -> str:
    """The same for tokens of the server: every remainder of the length, then every letter of base64url."""
    for topic in ("plain", "~?~?~?"):
        for length in range(4):
            name = f"check-{'r' * length}"
            lab.register(name, publish=[f"devices/{name}/{topic}"])
            token = lab.token(name)
            try:
                found = try_answer(answer, token)
            except AnswerFailed as failed:
                told = describe(failed.__cause__)
                right_so_far = False
            else:
                told = "the claims come out wrong"
                right_so_far = type(found) is dict and found == _claims(token)
            if not right_so_far and topic == "plain":
                return (
                    f"{told}. The decoder wants whole fours of characters, and a JWT leaves the = at the end "
                    "out."
                )
            if not right_so_far:
                return (
                    f"{told}. It reads some tokens, but not all: base64url has - and _ in place of + and /, "
                    "and b64decode does not know them."
                )
    return ""
