"""Which reason code of DISCONNECT goes with which end."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, exercise, first_mistake, right

__all__ = ["codes"]

CODES: Final = {
    "expired": "0x87",
    "taken over": "0x8e",
    "going down": "0x8b",
    "sent away": "0x98",
    "silent": "0x8d",
}
ABOUT: Final = {
    ("expired", "0x8d"): "0x8D is about silence. This device was not silent, its token was old.",
    ("expired", "0x98"): "nobody decided that: the token had come to its end.",
    ("taken over", "0x87"): "its token was good. Somebody else came under the same client identifier.",
    ("taken over", "0x98"): "no person decided that: another connection came.",
    ("going down", "0x98"): "0x98 is about one client. Here the whole broker goes.",
    ("sent away", "0x87"): "its token was good: a person decided.",
    ("sent away", "0x8b"): "the broker stays: only this client has to go.",
}


@exercise(
    question=(
        "With which reason code does each of these connections end? "
        'Write "0x87", "0x8b", "0x8d", "0x8e" or "0x98".'
    ),
    cell="""
codes = {
    "expired": ____,
    "taken over": ____,
    "going down": ____,
    "sent away": ____,
    "silent": ____,
}
ex.codes.check(codes)
""",
    solution="""
codes = {
    "expired": "0x87",
    "taken over": "0x8e",
    "going down": "0x8b",
    "sent away": "0x98",
    "silent": "0x8d",
}
ex.codes.check(codes)
""",
    wrong=(
        Wrong(says="about silence", answer=CODES | {"expired": "0x8d"}),
        Wrong(says="under the same client identifier", answer=CODES | {"taken over": "0x87"}),
        Wrong(says="the whole broker goes", answer=CODES | {"going down": "0x98"}),
        Wrong(says="a person decided", answer=CODES | {"sent away": "0x87"}),
        Wrong(says="look at the list again", answer=CODES | {"going down": "0x87"}),
        Wrong(says="one word for each of the ends", answer={"expired": "0x87"}),
    ),
    hints=(
        "The cell above has ended five connections, and the text below it names one more code.",
        "0x87 is for a token that is no good any more, 0x8B for a server that goes down.",
        "0x87, 0x8E, 0x8B, 0x98 and 0x8D, in the order of the cell.",
    ),
    why=(
        "a device can do something with each of them. 0x87: get another token. 0x8E: find out who else uses "
        "its name, and do not come back at once. 0x8B: try later. 0x98: ask a person. 0x8D: mend the network."
    ),
)
def codes(answer: Any) -> Result:
    otherwise = "look at the list again: what happened before the end?"
    if mistake := first_mistake(answer, CODES, ABOUT, thing="end", otherwise=otherwise):
        return mistake
    return right("five ends, five codes: in 3.1.1 all of them are the same silence.")
