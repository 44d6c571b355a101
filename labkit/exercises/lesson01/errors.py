"""Tell good error answers of a token endpoint from bad ones."""

from typing import Any

from labkit.exercises import Result, Wrong, exercise, first_mistake, right

__all__ = ["faults"]

FAULTS = {1: "status", 2: "tells", 3: "format", 4: "code"}
ABOUT = {
    (1, "code"): "invalid_client is a code of the list. Look at the first line of the answer.",
    (1, "format"): "it is JSON, as it should be. Look at the first line of the answer.",
    (2, "code"): "invalid_client is the right code. What does the description give away to a stranger?",
    (2, "status"): "401 is right after a failed Basic login. What does the description give away?",
    (3, "code"): "is there a code at all that a program could find?",
    (3, "status"): "400 is right for a bad request. How would a device find out what was bad?",
    (3, "tells"): "it tells nothing to anybody: a program cannot even read it.",
    (4, "status"): "401 fits. Compare the error code with the list of RFC 6749 §5.2.",
    (4, "tells"): "it tells no more than 401 does. Look at the error code: is it on the list?",
    (4, "format"): "it is JSON, as it should be. Is the error code on the list?",
}


@exercise(
    question=(
        "Four answers of careless servers to a bad token request: what is wrong with each? "
        'Write "code", "format", "status" or "tells".'
    ),
    cell="""
faults = {
    1: ____,
    2: ____,
    3: ____,
    4: ____,
}
ex.faults.check(faults)
""",
    solution="""
faults = {
    1: "status",
    2: "tells",
    3: "format",
    4: "code",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="Look at the first line", answer=FAULTS | {1: "code"}),
        Wrong(says="give away to a stranger", answer=FAULTS | {2: "code"}),
        Wrong(says="a program cannot even read it", answer=FAULTS | {3: "tells"}),
        Wrong(says="Compare the error code with the list", answer=FAULTS | {4: "status"}),
        Wrong(says="one word for each of the answers 1 to 4", answer={1: "status"}),
        Wrong(says="one of the four words", answer=FAULTS | {1: "wrong"}),
    ),
    hints=(
        "Read each answer as the device would: first the status, then the type of the body, then error.",
        "An error answer of a token endpoint is 400 or 401, JSON, with a code of the list above.",
        "One says 200, one sends HTML, one invents a code, and one tells a stranger that a device exists.",
    ),
    why=(
        "a device has nobody to ask. It decides by status and code whether to try again, to ask for another "
        "secret, or to stop; and what a stranger reads must not help to guess."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "look again at its status, its body and its code."
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="answer", otherwise=otherwise):
        return mistake
    return right("a wrong status, a talkative text, a body that is no JSON, and a code from nowhere.")
