"""Four ways to name devices, each with a fault."""

from typing import Any

from labkit.exercises import Result, Wrong, exercise, first_mistake, right

__all__ = ["schemes"]

FAULTS = {1: "topic", 2: "person", 3: "changes", 4: "secret"}
ABOUT = {
    (1, "person"): "nobody lives in hall 3. Put the name into devices/%c/# and count the levels.",
    (1, "changes"): "it may change, when the device moves. But what do its slashes do right now?",
    (2, "topic"): "an @ is harmless in a topic. Who can read the name, and in how many logs?",
    (2, "secret"): "nobody takes a mail address for a secret. Whose address is it?",
    (3, "secret"): "random, but not used as a secret. Which client does the next start register?",
    (3, "topic"): "there is no slash and no wildcard in it. What happens to it at the next start?",
    (4, "changes"): "the engineers never change it: that is part of the trouble. What do they rely on?",
    (4, "topic"): "there is no slash and no wildcard in it. What do the engineers rely on?",
}


@exercise(
    question=(
        'Four fleets, and how they name their devices: what is the fault of each? Write "changes", "person", '
        '"secret" or "topic".'
    ),
    cell="""
faults = {
    1: ____,
    2: ____,
    3: ____,
    4: ____,
}
ex.schemes.check(faults)
""",
    solution="""
faults = {
    1: "topic",
    2: "person",
    3: "changes",
    4: "secret",
}
ex.schemes.check(faults)
""",
    wrong=(
        Wrong(says="count the levels", answer=FAULTS | {1: "person"}),
        Wrong(says="Whose address is it?", answer=FAULTS | {2: "secret"}),
        Wrong(says="at the next start?", answer=FAULTS | {3: "topic"}),
        Wrong(says="What do they rely on?", answer=FAULTS | {4: "changes"}),
        Wrong(says="one word for each of the fleets", answer={1: "topic"}),
        Wrong(says="one of the four words", answer=FAULTS | {2: "wrong"}),
    ),
    hints=(
        "A client id stands in topics, in logs and in tokens, for years. What follows for each fleet?",
        "One has slashes, one names a human being, one is new at every start, one is taken for a password.",
        "1 adds levels to devices/%c/#, 3 is a new device at every start, 4 lets a name do a token's work.",
    ),
    why=(
        "a client id is a name: harmless in a topic, the same for years, nobody's private matter, and no "
        "secret. What proves who a device is, is its secret or its key (RFC 6749 §2.2)."
    ),
)
def schemes(answer: Any) -> Result:
    otherwise = "where does such a name turn up, who reads it, and what is it good for tomorrow?"
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="fleet", otherwise=otherwise):
        return mistake
    return right("levels in a topic, a person in every log, a new device at every start, a name as password.")
