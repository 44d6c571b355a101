"""The broker's side of OAUTHBEARER: find the token in the message."""

from typing import Any, Final

from labkit.exercises import AnswerFailed, Result, Wrong, brief, exercise, name_of, not_yet, right, try_answer

__all__ = ["token_of"]

TOKEN: Final = "a.good.token"  # noqa: S105  # a word in the place of one
PADDED: Final = "b3BhcXVl=="  # an opaque token may end like this: RFC 6750 §2.1


def _message(*pairs: str) -> str:
    return "n,,\x01" + "".join(f"{pair}\x01" for pair in pairs) + "\x01"


AUTH: Final = f"auth=Bearer {TOKEN}"
GOOD: Final = _message(AUTH)
#: More messages, what is in them, and what to say to who finds something else.
CASES: Final[tuple[tuple[str, str | None, str], ...]] = (
    (
        _message("host=broker.example", "port=1883", AUTH),
        TOKEN,
        "other pairs may stand in front of auth, such as host and port: look at each.",
    ),
    (_message(AUTH, "port=1883"), TOKEN, "other pairs may stand behind auth, such as port: look at each."),
    (_message(f"auth=Bearer {PADDED}"), PADDED, "some tokens end with =: cut at the first = only."),
    (_message("host=broker.example"), None, "where no pair is named auth there is no token: return None."),
)
#: What the message would have to look like for an answer that cannot read it.
VARIANTS: Final = (
    ("\x01", "^A", r"^A stands for the byte 1: write \x01, and not the two characters."),
    ("\x01", r"\x01", r'write "\x01" with one backslash: that is one character.'),
    ("=", ":", "name and value have = between them: it is no line of HTTP."),
    ("auth", "Authorization", "the pair is named auth; it is no line of HTTP."),
    ("auth", "Auth", "the pair is named auth, in small letters."),
)


def _made(between: str = "\x01", within: str = "=", wanted: str = "auth") -> Any:
    """Functions like the solution, for wrong answers."""

    def token_of(message: str) -> Any:
        for pair in message.split(between):
            name, _, value = pair.partition(within)
            if name == wanted:
                return value.removeprefix("Bearer ")
        return None

    return token_of


@exercise(
    question=(
        "Now you are the broker. Complete the function: it returns the token in such a message. There may be "
        "more pairs than auth. The byte 1 is written \\x01."
    ),
    cell=r"""
def token_of(message):
    for pair in message.split(____):
        name, _, value = pair.partition(____)
        if name == ____:
            return value.removeprefix("Bearer ")
    return None


ex.token_of.check(token_of)
""",
    solution=r"""
def token_of(message):
    for pair in message.split("\x01"):
        name, _, value = pair.partition("=")
        if name == "auth":
            return value.removeprefix("Bearer ")
    return None


ex.token_of.check(token_of)
""",
    wrong=(
        Wrong(says="not the two characters", answer=_made("^A")),
        Wrong(says="with one backslash", answer=_made(r"\x01")),
        Wrong(says="have = between them", answer=_made(within=":")),
        Wrong(says="the pair is named auth; it is", answer=_made(wanted="Authorization")),
        Wrong(says="in front of auth", answer=lambda m: m.split("\x01")[1].removeprefix("auth=Bearer ")),
        Wrong(says="behind auth", answer=lambda m: m.split(" ")[-1].removesuffix("\x01\x01")),
        Wrong(says="cut at the first =", answer=lambda m: _made()(m) and _made()(m).partition("=")[0]),
        Wrong(says="without the word Bearer", answer=lambda message: "Bearer " + TOKEN),
        Wrong(says="return None", answer=lambda message: _made()(message) or ""),
        Wrong(says="finds no token", answer=_made(",,")),
        Wrong(says="hand over the function itself", answer="auth"),
    ),
    hints=(
        "The cell above shows a message, with ^A in place of the byte 1. What stands between two pairs?",
        'The pairs are cut at the byte 1, "\\x01". Name and value have = between them.',
        r'"\x01", "=", "auth".',
    ),
    why=(
        "the byte 1 ends each pair, and once more the whole list (RFC 7628 §3.1): no value can hold it. "
        "That is odd for MQTT; the same message logs in to mail servers."
    ),
)
def token_of(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(token_of).")
    try:
        if not _is(found := try_answer(answer, GOOD), TOKEN):
            return not_yet(_fault(answer, found))
        for message, wanted, words in CASES:
            if not _is(try_answer(answer, message), wanted):
                return not_yet(words)
    except AnswerFailed as failed:
        return not_yet(f"it falls over a message: {name_of(type(failed.__cause__))}.")
    return right("it finds the token, whatever stands in front of it and behind it.")


def _is(found: object, wanted: str | None) -> bool:
    """Equal; an object of the learner is not asked."""
    return type(found) is type(wanted) and found == wanted


def _fault(answer: Any, found: object) -> str:
    """Why it does not find the token in a plain message."""
    for right_one, wrong_one, words in VARIANTS:
        try:
            if _is(try_answer(answer, GOOD.replace(right_one, wrong_one)), TOKEN):
                return words
        except AnswerFailed:
            continue
    if _is(found, f"Bearer {TOKEN}"):
        return "return the token alone, without the word Bearer and the space."
    if found is None:
        return "it finds no token in the message above: what ends a pair, and what follows its name?"
    return f"it returns {brief(found)}, and the token is another text."
