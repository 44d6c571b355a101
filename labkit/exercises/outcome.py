"""What a check answers: one of four outcomes, and a text for the learner."""

import textwrap
from dataclasses import dataclass
from enum import Enum
from typing import Final

from markupsafe import Markup

from labkit.exercises.rich import aside, block, prose, visible, whole
from labkit.show.html import chip

__all__ = ["Outcome", "Result", "cannot_tell", "not_attempted", "not_yet", "right", "wrap"]

#: Columns of the texts a cell shows.
WIDTH = 88


class Outcome(Enum):
    """The four outcomes of a check."""

    NOT_ATTEMPTED = "Not attempted"
    NOT_YET = "Not yet"
    RIGHT = "Right"
    CANNOT_TELL = "Cannot tell"

    @property
    def chip(self) -> Markup:
        """The outcome as a label on a ground of its own colour; only what is right has a tick."""
        return chip(f"{self.value} ✓" if self is Outcome.RIGHT else self.value, _TINTS[self])


_TINTS: Final = {
    Outcome.NOT_ATTEMPTED: "grey",
    Outcome.NOT_YET: "amber",
    Outcome.RIGHT: "green",
    Outcome.CANNOT_TELL: "blue",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer of a check; a cell that ends with it shows it in colour, and ``print`` its text.

    Attributes:
        outcome: one of the four.
        text: what there is to say about this very answer.
        more: what to do next, or why the right answer is right.
        each: the results of the parts, when an answer has several.
    """

    outcome: Outcome
    text: str = ""
    more: str = ""
    each: "tuple[Result, ...]" = ()

    def __str__(self) -> str:
        parts = [f"{number}. {part._said()}" for number, part in enumerate(self.each, 1)]
        return wrap("\n".join(line for line in (self._said(), *parts, self.more) if line))

    def _said(self) -> str:
        return visible(f"{self.outcome.value}: {self.text}" if self.text else f"{self.outcome.value}.")

    def __repr__(self) -> str:  # what a cell shows
        return str(self)

    def _repr_html_(self) -> str:  # what Jupyter asks for
        parts = [part._line(f"{number}.") for number, part in enumerate(self.each, 1)]
        return whole(self._line(), *parts, aside(prose(self.more)) if self.more else "")

    def _line(self, number: str = "") -> Markup:
        return block(number, self.outcome.chip, prose(visible(self.text)))


def right(text: str = "") -> Result:
    """The answer holds; ``text`` says what was seen."""
    return Result(outcome=Outcome.RIGHT, text=text)


def not_yet(text: str) -> Result:
    """The answer does not hold yet; ``text`` says what is wrong with it in a way that helps."""
    return Result(outcome=Outcome.NOT_YET, text=text)


def cannot_tell(text: str) -> Result:
    """The check could not judge; ``text`` says why, and what to do about it."""
    return Result(outcome=Outcome.CANNOT_TELL, text=text)


def not_attempted(text: str = "replace ____ and run the cell again.") -> Result:
    """There is still a blank in the answer."""
    return Result(outcome=Outcome.NOT_ATTEMPTED, text=text)


def wrap(text: str) -> str:
    """``text`` with every long line folded at 88 columns; lines that start with spaces are left alone."""
    fold = textwrap.TextWrapper(WIDTH, break_on_hyphens=False, break_long_words=False).fill
    return "\n".join(line if line[:1] in ("", " ") else fold(line) for line in text.split("\n"))
