"""The judge of "find the fault": one word for each of several faulty things."""

from collections.abc import Mapping
from typing import Any

from labkit.exercises.outcome import Result, not_yet

__all__ = ["first_mistake"]

_NUMBERS = {3: "three", 4: "four", 5: "five", 6: "six"}


def first_mistake(
    answer: Any,
    faults: Mapping[Any, str],
    about: Mapping[tuple[Any, str], str],
    *,
    thing: str,
    otherwise: str,
) -> Result | None:
    """What to say about the first wrong word in ``answer``; ``None`` when every word is right.

    Args:
        answer: what the learner wrote: a dict from the name of each thing to a word.
        faults: the right word for each.
        about: what to say when this thing is given that wrong word.
        thing: what is faulty, in the singular, for example ``"client"``.
        otherwise: what to say to a wrong word that ``about`` does not know.
    """
    if type(answer) is not dict or set(answer) != set(faults):
        names = list(faults)
        return not_yet(f"give one word for each of the {thing}s {names[0]} to {names[-1]}.")
    words = sorted(set(faults.values()))
    for name, fault in faults.items():
        said = answer[name]
        word = said.strip().lower() if type(said) is str else ""
        if word not in words:
            listed = ", ".join(f'"{each}"' for each in words)
            return not_yet(f"{thing} {name} needs one of the {_NUMBERS[len(words)]} words: {listed}.")
        if word != fault:
            return not_yet(f"{thing} {name}: {about.get((name, word), otherwise)}")
    return None
