"""Four brokers, each with a fault in how it judges topics."""

from typing import Any

from labkit.exercises import Result, Wrong, exercise, first_mistake, right

__all__ = ["faults"]

FAULTS = {1: "text", 2: "will", 3: "once", 4: "matching"}
ABOUT = {
    (1, "will"): "its will did not arrive. Which message did that should not, and what is its topic like?",
    (1, "once"): "when the right ended, the news ended. Which message arrived that should not?",
    (1, "matching"): "it refused both news/# and #. Compare the topics that it let be published to.",
    (2, "text"): "it tells probe-1 from probe-10. By which way did alarm/fire get out?",
    (2, "once"): "when the right ended, the news ended. By which way did alarm/fire get out?",
    (2, "matching"): "it refused both news/# and #. By which way did alarm/fire get out?",
    (3, "text"): "it tells probe-1 from probe-10. What happens after the right has ended?",
    (3, "will"): "its will did not arrive. What happens after the right has ended?",
    (3, "matching"): "it refused both news/# and #. What happens after the right has ended?",
    (4, "text"): "it tells probe-1 from probe-10. Which filter does it grant that the others refuse?",
    (4, "will"): "its will did not arrive. Which filter does it grant that the others refuse?",
    (4, "once"): "when the right ended, the news ended. Which filter does it grant that the others refuse?",
}


@exercise(
    question=(
        'Four brokers, and how they judge topics: what is the fault of each? Write "matching", "once", '
        '"text" or "will".'
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
    1: "text",
    2: "will",
    3: "once",
    4: "matching",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="Compare the topics", answer=FAULTS | {1: "matching"}),
        Wrong(says="By which way did alarm/fire get out", answer=FAULTS | {2: "once"}),
        Wrong(says="after the right has ended", answer=FAULTS | {3: "will"}),
        Wrong(says="Which filter does it grant", answer=FAULTS | {4: "text"}),
        Wrong(says="one word for each of the brokers", answer={1: "text"}),
        Wrong(says="one of the four words", answer=FAULTS | {2: "wrong"}),
    ),
    hints=(
        "Go through the table line by line. In which line does one broker differ from the three others?",
        "probe-10 begins like probe-1. A will is published by the broker, when the client cannot any more.",
        "1 lets probe-10 through, 2 the will, 3 what it once granted, and 4 takes # for a level.",
    ),
    why=(
        "rights are asked for at four moments: CONNECT (the will), PUBLISH, SUBSCRIBE, and delivery. And "
        "each time level by level. This table is a small acceptance test: try it with your broker."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "in which line does it differ from the three others?"
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="broker", otherwise=otherwise):
        return mistake
    return right("letters for levels, a will that nobody asked about, a right that never ends, # as a level.")
