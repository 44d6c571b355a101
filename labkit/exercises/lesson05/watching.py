"""Tell a stolen token from a bad network by how often a client is taken over."""

from typing import Any

from labkit.exercises import AnswerFailed, Result, Wrong, exercise, not_yet, right, try_answer
from labkit.record import Event, Record

__all__ = ["suspects"]

#: Moments of take-overs, in seconds; who of them is suspect, and what to say when the answer differs.
STORIES = {
    "roaming-1": ((0, 3600, 7200, 10_800), False, "four in three hours are a bad network"),
    "unlucky-1": ((500, 501), False, "two are not yet three"),
    "flapping-1": ((100, 110, 125), True, "three in 25 s are a fight"),
    "border-1": ((1000, 1030, 1060), True, "three in exactly 60 s still count"),
    "slow-1": ((2000, 2030, 2060.5), False, "three in 60.5 s are too slow for the alarm"),
    "late-1": ((50, 4000, 8000, 8010, 8020), True, "the last three came within 20 s"),
    "pairs-1": ((0, 10, 2000, 2010), False, "never were there three within 60 s, only pairs"),
    "early-1": ((60, 70, 80, 9000), True, "the first three came within 20 s"),
}


def _events() -> list[Event]:
    moment = 0.0
    record = Record(lambda: moment)
    taken = sorted((at, name) for name, (times, _, _) in STORIES.items() for at in times)
    for at, name in taken:
        moment = 1e9 + at
        record.add("broker", "taken-over", client_id=name, jti="made-up")
    return record.events()


@exercise(
    question=(
        "Complete the alarm: from take-overs in the order of time it returns the client ids that were taken "
        "over three times or more within 60 seconds."
    ),
    cell="""
def suspects(events):
    moments = {}
    for event in events:
        moments.setdefault(event["client_id"], []).append(event.at)
    return {name for name, at in moments.items() if ____}


ex.suspects.check(suspects)
""",
    solution="""
def suspects(events):
    moments = {}
    for event in events:
        moments.setdefault(event["client_id"], []).append(event.at)
    return {
        name
        for name, at in moments.items()
        if any(third - first <= 60 for first, third in zip(at, at[2:]))
    }


ex.suspects.check(suspects)
""",
    wrong=(
        Wrong(
            says="four in three hours",
            answer=lambda events: {e["client_id"] for e in events if _count(events, e["client_id"]) > 2},
        ),
        Wrong(says="two are not yet three", answer=lambda events: set(STORIES) - {"roaming-1"}),
        Wrong(says="the last three came", answer=lambda events: {"flapping-1", "border-1"}),
        Wrong(says="three in exactly 60 s", answer=lambda events: {"flapping-1", "late-1"}),
        Wrong(says="only pairs", answer=lambda events: {"flapping-1", "border-1", "late-1", "pairs-1"}),
        Wrong(says="the first three came", answer=lambda events: {"flapping-1", "border-1", "late-1"}),
        Wrong(says="three in 25 s", answer=lambda events: set()),
        Wrong(says="fewer than three", answer=lambda events: {"flapping-1"} if [][2] else set()),
        Wrong(says="a set of client ids", answer=lambda events: True),
        Wrong(says="hand over the function itself", answer={"flapping-1"}),
    ),
    hints=(
        "at is a list of moments in seconds, oldest first. Three in a row: the first, the next, the third.",
        "zip(at, at[2:]) gives each moment together with the one two places later.",
        "any(third - first <= 60 for first, third in zip(at, at[2:]))",
    ),
    why=(
        "an honest device is taken over now and then, when its network went away without a word. Two parties "
        "with one client id throw each other out again and again, and nothing else looks like that."
    ),
)
def suspects(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(suspects).")
    try:
        found = try_answer(answer, _events())
    except AnswerFailed as failed:
        if isinstance(failed.__cause__, IndexError):
            return not_yet(
                "your code raised IndexError: some clients were taken over fewer than three times."
            )
        raise
    if type(found) not in (set, frozenset, list, tuple) or not all(type(name) is str for name in found):
        return not_yet("it should return a set of client ids.")
    for name, (_, suspect, message) in STORIES.items():
        if suspect != (name in found):
            return not_yet(f"{name} should {'' if suspect else 'not '}be a suspect: {message}.")
    return right("four suspects found, and four honest devices left alone.")


def _count(events: list[Event], name: str) -> int:
    return sum(event["client_id"] == name for event in events)
