"""Which reason code of DISCONNECT goes with which end."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, exercise, first_mistake, right

__all__ = ["codes"]

CODES: Final = {"expired": 0x87, "taken over": 0x8E, "going down": 0x8B, "sent away": 0x98}
ABOUT: Final = {
    ("expired", 0x8D): "0x8D is about silence. This device was not silent, its token was old.",
    ("expired", 0x98): "nobody decided that: the token had come to its end.",
    ("taken over", 0x87): "its token was good. Somebody else came under the same client identifier.",
    ("taken over", 0x98): "no person decided that: another connection came.",
    ("going down", 0x98): "0x98 is about one client. Here the whole broker goes.",
    ("sent away", 0x87): "its token was good: a person decided.",
    ("sent away", 0x8B): "the broker stays: only this client has to go.",
}


@exercise(
    question=(
        "With which reason code does each of these connections end? Write 0x87, 0x8B, 0x8D, 0x8E or 0x98; "
        "one of the five is not needed."
    ),
    cell="""
codes = {
    "expired": ____,
    "taken over": ____,
    "going down": ____,
    "sent away": ____,
}
ex.codes.check(codes)
""",
    solution="""
codes = {
    "expired": 0x87,
    "taken over": 0x8E,
    "going down": 0x8B,
    "sent away": 0x98,
}
ex.codes.check(codes)
""",
    wrong=(
        Wrong(says="about silence", answer=CODES | {"expired": 0x8D}),
        Wrong(says="under the same client identifier", answer=CODES | {"taken over": 0x87}),
        Wrong(says="the whole broker goes", answer=CODES | {"going down": 0x98}),
        Wrong(says="a person decided", answer=CODES | {"sent away": 0x87}),
        Wrong(says="look at the list again", answer=CODES | {"going down": 0x87}),
        Wrong(says="one code for each", answer={"expired": 0x87}),
    ),
    hints=(
        "The cell above has ended four connections: its lines have the codes.",
        "0x87 is for a token that is no good any more, 0x8B for a server that goes down.",
        "0x87, 0x8E, 0x8B, 0x98.",
    ),
    why=(
        "a device can do something with each of them: 0x87, get another token; 0x8E, find out who else uses "
        "its name, and do not come back at once; 0x8B, try later; 0x98, ask a person."
    ),
)
def codes(answer: Any) -> Result:
    otherwise = "look at the list again: what happened before the end?"
    if mistake := first_mistake(answer, CODES, ABOUT, thing="end", otherwise=otherwise):
        return mistake
    return right("four ends, four codes: in 3.1.1 all of them are the same silence.")
