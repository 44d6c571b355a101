"""What a device does when the broker has ended its connection with this reason code."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, exercise, first_mistake, right

__all__ = ["reaction"]

REACTIONS: Final = {
    "0x87": "token",
    "0x8B": "again",
    "0x8D": "again",
    "0x8E": "report",
    "0x98": "report",
}
ABOUT: Final = {
    ("0x87", "again"): "the broker has said that this token is no good. Coming back with it changes nothing.",
    ("0x87", "report"): "tokens end every few minutes: nobody wants a call about each.",
    ("0x8B", "token"): "the broker goes down. Its token is as good as it was before.",
    ("0x8B", "report"): "brokers are restarted now and then. Must somebody drive to every device?",
    ("0x8D", "token"): "the broker has heard nothing for too long: that says nothing about the token.",
    ("0x8D", "report"): "a network that was away for a minute is no news.",
    ("0x8E", "token"): "its token was good. A new one does not change who else uses its name.",
    ("0x8E", "again"): "then it throws the other one out, who comes back as well, and so on, all night.",
    ("0x98", "token"): "its token was good: a person wanted it to go.",
    ("0x98", "again"): "a person has just sent it away. It would be back before they look.",
}


@exercise(
    question=(
        'Nobody is near. What should a device do after each of these? Write "token", "again" or "report".'
    ),
    cell="""
reaction = {
    "0x87": ____,
    "0x8B": ____,
    "0x8D": ____,
    "0x8E": ____,
    "0x98": ____,
}
ex.reaction.check(reaction)
""",
    solution="""
reaction = {
    "0x87": "token",
    "0x8B": "again",
    "0x8D": "again",
    "0x8E": "report",
    "0x98": "report",
}
ex.reaction.check(reaction)
""",
    wrong=(
        Wrong(says="Coming back with it changes nothing", answer=REACTIONS | {"0x87": "again"}),
        Wrong(says="tokens end every few minutes", answer=REACTIONS | {"0x87": "report"}),
        Wrong(says="as good as it was before", answer=REACTIONS | {"0x8B": "token"}),
        Wrong(says="says nothing about the token", answer=REACTIONS | {"0x8D": "token"}),
        Wrong(says="all night", answer=REACTIONS | {"0x8E": "again"}),
        Wrong(says="before they look", answer=REACTIONS | {"0x98": "again"}),
        Wrong(says="one of the three words", answer=REACTIONS | {"0x98": "wait"}),
        Wrong(says="one word for each of the codes", answer={"0x87": "token"}),
    ),
    hints=(
        "For each code, ask first: was anything wrong with the token?",
        "Only 0x87 is about the token. Then ask: is it better to be back soon, or may that do harm?",
        "0x8E and 0x98 are for a person, 0x8B and 0x8D pass by themselves, 0x87 wants another token.",
    ),
    why=(
        "this is what the codes are for: in 3.1.1 all five ends look the same, and a device that can only "
        "try again does the wrong thing in three of them."
    ),
)
def reaction(answer: Any) -> Result:
    if mistake := first_mistake(answer, REACTIONS, ABOUT, thing="code", otherwise="read the text again."):
        return mistake
    return right("another token, a little patience, or a person: the code tells which.")
