"""Fix it: a token endpoint that notices when a refresh token is used twice."""

from typing import Any

from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right, try_answer
from labkit.exercises.lesson11.exhibits import gallery

__all__ = ["refresh"]

#: Who uses which refresh token, in turn, and whether it should work; then what to say if it goes otherwise.
#: Token 1 is the first; each use that works gives the next number.
STORIES: tuple[tuple[str, tuple[tuple[str, int, bool], ...]], ...] = (
    ("without any thief", (("the device", 1, True), ("the device", 2, True), ("the device", 3, True))),
    (
        "a thief comes after the device",
        (("the device", 1, True), ("the thief", 1, False), ("the device", 2, False)),
    ),
    (
        "a thief comes before the device",
        (("the thief", 1, True), ("the device", 1, False), ("the thief", 2, False)),
    ),
    (
        "a thief comes two turns late",
        (("the device", 1, True), ("the device", 2, True), ("the thief", 1, False), ("the device", 3, False)),
    ),
    (
        "a thief insists",
        (("the device", 1, True), ("the thief", 1, False), ("the thief", 1, False), ("the thief", 2, False)),
    ),
)


def _refresh(condition: str, then: str) -> str:
    return f"""
def refresh(family, used, new):
    if {condition}:
        {then}
        return None
    family["current"] = new
    return new


ex.refresh.check(refresh, lab)
"""


def _never(family: Any, used: str, new: str) -> str:
    return new


def _only_refuses(family: Any, used: str, new: str) -> str | None:
    if used != family["current"]:
        return None
    family["current"] = new
    return new


def _keeps(family: Any, used: str, new: str) -> str | None:
    return used if used == family["current"] else None


@exercise(
    question=(
        "Complete the rule: each refresh token works once, and one that is used again ends its family, so "
        "that no token of it works any more."
    ),
    cell=_refresh("____", "____"),
    solution=_refresh('used != family["current"]', 'family["current"] = None'),
    wrong=(
        Wrong(says="a thief comes after the device: the thief uses token 1, and it works", answer=_never),
        Wrong(says="the device uses token 2, and it works", answer=_only_refuses),
        Wrong(says="is the old one again", answer=_keeps),
        Wrong(
            says="without any thief: the device uses token 1, and is refused",
            cell=_refresh('used == family["current"]', 'family["current"] = None'),
        ),
        Wrong(says="and it works", cell=_refresh("used is None", 'family["current"] = None')),
        Wrong(says="It is the newest token", answer=lambda family, used, new: None),
        Wrong(says="new or None", answer=lambda family, used, new: True),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "Two parties hold one token, and the server cannot tell which is the thief. What is safe?",
        'family["current"] is the only token that is good. What else can `used` be, and what does that mean?',
        'if used != family["current"]: family["current"] = None',
    ),
    why=(
        "the second use proves that there is a copy, and not who has it. So both lose, the device asks its "
        "owner again, and the thief cannot (RFC 9700 §4.14.2)."
    ),
)
def refresh(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(refresh, lab).")
    for story, turns in STORIES:
        family: dict[str, Any] = {"current": "token 1"}
        given = 1
        for who, number, works in turns:
            used, new = f"token {number}", f"token {given + 1}"
            said = try_answer(answer, family, used, new)
            if type(said) is str and said == used:
                return not_yet(f"{story}: {who} uses {used}, and what comes back is the old one again.")
            if said is not None and (type(said) is not str or said != new):
                return not_yet(f"it should return new or None, and not {brief(said)}.")
            if (said is not None) != works:
                told = "it works" if said is not None else "is refused"
                return not_yet(f"{story}: {who} uses {used}, and {told}. {_advice(story, works)}")
            given += works
    if gallery["T16"].real(lab):
        return cannot_tell("the lab's own server let the thief in. Run the set-up cell at the top again.")
    return right(
        f"{len(STORIES)} stories: the device refreshes as long as it is alone, and no thief stays in."
    )


def _advice(story: str, works: bool) -> str:
    if works:
        return "It is the newest token, and nobody has used it."
    return "One token was used twice: who of the two is the thief, nobody knows."
