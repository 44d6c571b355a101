"""Containment of topic filters: break three rules that are not it, and write the one that is."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from typing import Any

from labkit import topics
from labkit.exercises import Result, Wrong, brief, exercise, not_yet, right, try_answer
from labkit.exercises.lesson06.carried import matches

__all__ = ["covers", "leaks"]

RULES: dict[int, Callable[[str, str], bool]] = {
    1: lambda grant, wanted: wanted.startswith(grant.removesuffix("#")),
    2: lambda grant, wanted: matches(wanted, grant),
    3: lambda grant, wanted: fnmatchcase(wanted, grant.replace("+", "*").replace("#", "*")),
}


GRANT = "devices/+/state"


@exercise(
    question=(
        "A client is granted devices/+/state, and each of the three rules can be made to say yes to more "
        "than that. Give a wanted filter for each."
    ),
    cell="""
leaks = {
    1: ____,
    2: ____,
    3: ____,
}
ex.leaks.check(leaks)
""",
    solution="""
leaks = {
    1: "devices/+/state-of-alarm",
    2: "#",
    3: "devices/lamp-1/door/state",
}
ex.leaks.check(leaks)
""",
    wrong=(
        Wrong(says="1 says no to #", answer={1: "#", 2: "#", 3: "#"}),
        Wrong(
            says="1 says yes, and rightly",
            answer={1: "devices/+/state", 2: "#", 3: "devices/a/b/state"},
        ),
        Wrong(
            says="2 says no to devices/lamp-1/state",
            answer={1: "devices/+/state/x", 2: "devices/lamp-1/state", 3: "devices/a/b/state"},
        ),
        Wrong(
            says="3 says no to devices/#",
            answer={1: "devices/+/state/x", 2: "devices/#", 3: "devices/#"},
        ),
        Wrong(says="no valid topic filter", answer={1: "devices/+/state+", 2: "#", 3: "devices/a/b/state"}),
        Wrong(says="one filter for each of the rules", answer={1: "devices/+/state/x"}),
    ),
    hints=(
        "1 compares letters, 2 has the two the wrong way round, 3 has a star where + and # were.",
        "1: what else begins with devices/+/state? 2: which filter fits any topic? 3: a star is any number "
        "of levels.",
        "1: devices/+/state, and some more letters. 2: all that there is. 3: one level more than +.",
    ),
    why=(
        "all three give the right answer to whatever an honest device asks. A rule about rights is tested "
        "with what it must refuse."
    ),
)
def leaks(answer: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(RULES):
        return not_yet("give one filter for each of the rules 1 to 3.")
    for number, rule in RULES.items():
        wanted = answer[number]
        if type(wanted) is not str or len(wanted) > 100 or not topics.valid_filter(wanted):
            return not_yet(f"what you give for rule {number} is no valid topic filter, or too long.")
        shown = ascii(wanted)[1:-1]
        if not rule(GRANT, wanted):
            return not_yet(f"rule {number} says no to {shown}.")
        if topics.covers(GRANT, wanted):
            return not_yet(f"rule {number} says yes, and rightly: all topics of {shown} are granted.")
    return right("each rule said yes to more than was granted. The lab's own rule refuses all three.")


#: Grant, wanted, whether it is inside, and what to say to a rule that has another opinion.
STORIES = (
    ("devices/lamp-1/#", "devices/lamp-1/state", True, "that is a topic below the grant"),
    ("devices/lamp-1/#", "devices/lamp-2/state", False, "that is another lamp"),
    ("devices/lamp-1/#", "#", False, "# is everything, and more than any other grant"),
    ("news/+", "news/#", False, "a # is not a level but any number of them, so + does not hold it"),
    ("news/+", "news/berlin", True, "+ holds any one level"),
    ("news/+", "news/+", True, "a filter holds itself"),
    ("news/#", "news/+", True, "# holds any level"),
    ("news/#", "news", True, "# stands for no level, too"),
    ("news/#", "news/#", True, "a filter holds itself"),
    ("news/berlin", "news/+", False, "+ is any city, and one city is granted"),
    ("news/berlin", "news/berlin-internal", False, "that is another level, not the same beginning"),
    ("news/berlin", "news", False, "the grant has a level more"),
    ("news", "news/berlin", False, "the wanted filter has a level more"),
    ("devices/+/state", "devices/lamp-1/door/state", False, "+ is one level, and these are two"),
    ("devices/+/state", "devices/#", False, "a # that comes too soon is more than the grant"),
)


@exercise(
    question=(
        "Complete the rule: it takes a grant and a wanted filter, and returns True if every topic of the "
        "wanted filter is a topic of the grant, and False if not."
    ),
    cell="""
def covers(grant, wanted):
    levels = wanted.split("/")
    granted = grant.split("/")
    for at, level in enumerate(granted):
        if level == "#":
            return True
        if at == len(levels) or ____ or level not in ("+", levels[at]):
            return False
    return len(levels) == len(granted)


ex.covers.check(covers)
""",
    solution="""
def covers(grant, wanted):
    levels = wanted.split("/")
    granted = grant.split("/")
    for at, level in enumerate(granted):
        if level == "#":
            return True
        if at == len(levels) or levels[at] == "#" or level not in ("+", levels[at]):
            return False
    return len(levels) == len(granted)


ex.covers.check(covers)
""",
    wrong=(
        Wrong(says="so + does not hold it", answer=matches),
        Wrong(says="that is another lamp", answer=lambda grant, wanted: True),
        Wrong(says="a topic below the grant", answer=lambda grant, wanted: False),
        Wrong(
            says="# is everything",
            answer=lambda grant, wanted: matches(wanted, grant) or matches(grant, wanted),
        ),
        Wrong(
            says="a filter holds itself",
            answer=lambda grant, wanted: "#" not in wanted and "+" not in wanted and matches(grant, wanted),
        ),
        Wrong(says="True or False", answer=lambda grant, wanted: None),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "Only one thing is different from matching: the wanted filter can have a # in it.",
        "The grant has a level here that is not #. When can the wanted filter not be inside any more?",
        'levels[at] == "#"',
    ),
    why=(
        "a grant that has come to its # holds everything that follows. As long as it has not, a wanted # "
        "is always too much."
    ),
)
def covers(answer: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(covers).")
    for grant, wanted, inside, why in STORIES:
        found = try_answer(answer, grant, wanted)
        if type(found) is not bool:
            return not_yet(f"it should return True or False, and it returned {brief(found)}.")
        if found != inside:
            return not_yet(f"for the grant {grant} and {wanted} it should return {inside}: {why}.")
    for grant, wanted, inside, plainly in _pairs():
        found = try_answer(answer, grant, wanted)
        if found is not False and not inside:
            outside = _outside(grant, wanted)
            return not_yet(f"for the grant {grant} and {wanted} it should return False: {outside}.")
        if found is not True and plainly:
            return not_yet(f"for the grant {grant} and {wanted} it should return True: nothing is outside.")
    return right(f"{len(_pairs())} pairs of filters, and no grant gives more than it should.")


@cache
def _pairs() -> list[tuple[str, str, bool, bool]]:
    """Grant, wanted, whether it is inside, and whether a rule that goes level by level can know that.

    ``+/#`` holds ``#`` as well, since every topic has a level.  That takes a thought about topics, not about
    levels, and whoever refuses it does no harm.
    """
    found = ["#"]
    for size, names in ((1, ("a", "b", "+", "")), (2, ("a", "b", "+", "")), (3, ("a", "+"))):
        for levels in product(names, repeat=size):
            found += ["/".join(levels), "/".join((*levels, "#"))]
    filters = [each for each in found if each]
    pairs = []
    for grant, wanted in product(filters, repeat=2):
        inside = topics.covers(grant, wanted)
        corner = wanted in ("#", "/#") and grant.count("/") > wanted.count("/")
        pairs.append((grant, wanted, inside, inside and not corner))
    return pairs


def _outside(grant: str, wanted: str) -> str:
    """A topic of ``wanted`` that is none of ``grant``."""
    for size in (1, 2, 3, 4, 5):
        for levels in product(("a", "b", "c"), repeat=size):
            topic = "/".join(levels)
            if topics.matches(wanted, topic) and not topics.matches(grant, topic):
                return f"{topic} is outside"
    return "some of its topics are outside"
