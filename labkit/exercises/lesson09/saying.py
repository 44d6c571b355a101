"""The one message of OAUTHBEARER, written by hand."""

from typing import Any, Final

from labkit.broker.methods import Shown
from labkit.broker.methods.oauthbearer import OAuthBearer
from labkit.exercises import AnswerFailed, Result, Wrong, brief, exercise, name_of, not_yet, right, try_answer

__all__ = ["message"]

CLIENT: Final = "check-client-9"
TOKEN: Final = "a.good.token"  # noqa: S105  # a word in the place of one


@exercise(
    question=(
        "Complete the function: it returns the message of OAUTHBEARER as a text, for a device that shows "
        "this token and acts for nobody else. The byte 1 is written \\x01."
    ),
    cell=r"""
def message(token):
    pair = ____ + token
    return "n,," + ____ + pair + ____


ex.message.check(message)
""",
    solution=r"""
def message(token):
    pair = "auth=Bearer " + token
    return "n,," + "\x01" + pair + "\x01\x01"


ex.message.check(message)
""",
    wrong=(
        Wrong(says="behind the pair stand two", answer=lambda t: f"n,,\x01auth=Bearer {t}\x01"),
        Wrong(says="in front of the pair", answer=lambda t: f"n,,auth=Bearer {t}\x01\x01"),
        Wrong(says="the word Bearer", answer=lambda t: f"n,,\x01auth={t}\x01\x01"),
        Wrong(says="named auth", answer=lambda t: f"n,,\x01Authorization: Bearer {t}\x01\x01"),
        Wrong(says="not the two characters", answer=lambda t: f"n,,^Aauth=Bearer {t}^A^A"),
        Wrong(says="the token letter by letter", answer=lambda t: "n,,\x01auth=Bearer eyJ\x01\x01"),
        Wrong(says="return a text", answer=lambda t: None),
        Wrong(says="hand over the function itself", answer="n,,"),
    ),
    hints=(
        "The cell above shows a message, with ^A in place of the byte 1. Go through it piece by piece.",
        "The pair is auth=Bearer, a space, and the token. The byte 1 is its end, and the end of all pairs.",
        r'"auth=Bearer ", then "\x01" in front of the pair, and "\x01\x01" behind it.',
    ),
    why=(
        "the byte 1 ends each pair, and once more the whole list (RFC 7628 §3.1). That is odd for MQTT, and "
        "right for SASL: the same message logs in to mail servers."
    ),
)
def message(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(message).")
    try:
        said = try_answer(answer, TOKEN)
    except AnswerFailed as failed:
        return not_yet(f"it falls over its token: {name_of(type(failed.__cause__))}.")
    if type(said) is not str:
        return not_yet(f"it returns {brief(said)}: return a text.")
    step = OAuthBearer(CLIENT).begin(said.encode("utf-8", "replace"))
    if step == Shown(TOKEN):
        return right("the broker finds the token in it, and nothing else.")
    return not_yet(_fault(said))


def _fault(said: str) -> str:
    if "^A" in said:
        return r"^A stands for the byte 1: write \x01, and not the two characters."
    if "\x01" not in said.partition("auth")[0]:
        return "the list of pairs begins with the byte 1, in front of the pair."
    if "auth=" not in said:
        return "the pair is named auth, with = behind it; it is no line of HTTP."
    if "bearer " not in said.lower():
        return "in front of the token stands the word Bearer, and a space."
    if TOKEN not in said:
        return "it does not hold the token letter by letter."
    if not said.endswith("\x01\x01"):
        return "behind the pair stand two bytes 1: the end of the pair, and the end of the list."
    return "the broker cannot read this: compare it with the message in the cell above."
