"""An exercise: a question, a cell with blanks, a judge, three hints, a solution and the reason why.

Everything about an exercise stands in one declaration, so that a test can run its stub, its solution and its
known wrong answers without a notebook, and a notebook can be compared with it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any, Final, Protocol

from labkit.exercises.blank import has_blank
from labkit.exercises.note import Note, progress_chip
from labkit.exercises.outcome import Outcome, Result, cannot_tell, not_attempted, not_yet, wrap
from labkit.exercises.progress import progress
from labkit.exercises.rich import aside, block, code, prose, whole
from labkit.exercises.trying import AnswerFailed, AnswerInterrupted, describe, name_of
from labkit.show.html import bold, chip

__all__ = ["Exercise", "Judge", "Task", "Wrong", "exercise"]

#: Judges an answer; takes the answer, or the answer and the running lab.
Judge = Callable[..., Result]

_NOTHING: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A wrong answer that learners give, and a piece of the text that must come back for it.

    Either ``answer`` is handed to the check, or ``cell`` replaces the whole exercise cell.
    """

    says: str
    answer: Any = None
    cell: str | None = None


class Task(Protocol):
    """What exercises and quizzes have in common: what a lesson lists, a notebook holds and a test runs."""

    name: str
    lesson: str

    @property
    def id(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def stub(self) -> str: ...
    @property
    def solved(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Declaration:
    """What the author of an exercise writes down; see :func:`exercise`."""

    question: str
    cell: str
    solution: str
    wrong: tuple[Wrong, ...]
    hints: tuple[str, str, str]
    why: str
    given: str = ""


class Exercise:
    """One exercise of a lesson: ``check(answer)``, ``hint()`` and ``solution()`` are all a learner needs."""

    lesson = "00"  # the lesson that takes it in writes its number here

    def __init__(self, name: str, judge: Judge, declared: Declaration) -> None:
        self.name = name
        self.declared = declared
        self._judge = judge
        self._needs_lab = len(inspect.signature(judge).parameters) > 1
        self._hints_shown = 0

    @property
    def id(self) -> str:
        """Lesson and name, for example ``"01.read_claims"``."""
        return f"{self.lesson}.{self.name}"

    @property
    def question(self) -> str:
        """What is asked, in a sentence or two."""
        return self.declared.question

    @property
    def stub(self) -> str:
        """The cell as the notebook has it, with blanks."""
        return _cell(self.lesson, self.declared.cell)

    @property
    def solved(self) -> str:
        """The cell with the blanks filled in."""
        return _cell(self.lesson, self.declared.solution)

    def check(self, answer: Any = _NOTHING, lab: Any = None) -> Result:
        """Judge an answer.  Whatever the answer is or does, this returns a result and does not raise.

        Args:
            answer: a value, or a function that the check calls.
            lab: the running lab, for exercises that are judged by what it does.
        """
        try:
            return self._finish(self._outcome(answer, lab))
        except BaseException as error:  # an answer can raise anything, SystemExit included
            return cannot_tell(f"judging the answer ended in {name_of(type(error))}.")

    def hint(self) -> Note:
        """The next of three hints; the third stays."""
        number = self._hints_shown = min(self._hints_shown + 1, 3)
        name, text = f"Hint {number} of 3", self.declared.hints[number - 1]
        after = f"Next: ex.{self.name}.{'solution()' if number == 3 else 'hint()'}"
        return Note(
            wrap(f"{name}: {text}\n{after}"),
            whole(block(chip(name, "violet"), prose(text)), aside(prose(after))),
        )

    def solution(self) -> Note:
        """The filled-in cell, and why it is right."""
        name, cell, why = "One solution", self.declared.solution.strip(), f"Why: {self.declared.why}"
        indented = "\n".join(f"    {line}".rstrip() for line in cell.split("\n"))
        return Note(
            wrap(f"{name}:\n\n{indented}\n\n{why}"),
            whole(block(chip(name, "violet")), code(cell), aside(prose(why))),
        )

    def _outcome(self, answer: Any, lab: Any) -> Result:
        if answer is _NOTHING or has_blank(answer):
            return not_attempted()
        if self._needs_lab and not _running(lab):
            return cannot_tell(
                "this check asks the running lab. Run the set-up cell at the top again, and keep `lab` in "
                f"ex.{self.name}.check(…, lab)."
            )
        try:
            result = self._judge(answer, lab) if self._needs_lab else self._judge(answer)
        except AnswerFailed as failed:
            return not_yet(f"your code raised {describe(failed.__cause__)}.")
        except AnswerInterrupted:
            return not_yet("your code was stopped before it returned. Does a loop in it ever end?")
        except KeyboardInterrupt:
            return cannot_tell("the check was stopped. Run this cell again.")
        except BaseException as error:
            return cannot_tell(
                f"the check itself ended in {describe(error)}. Run the set-up cell at the top again, then "
                "this cell."
            )
        return result if isinstance(result, Result) else cannot_tell("the check gave no outcome.")

    def _finish(self, result: Result) -> Result:
        if result.outcome is Outcome.RIGHT:
            progress.add(self.id)
            return changed(result, more=f"Why: {self.declared.why}")
        if result.outcome is Outcome.CANNOT_TELL:
            return result
        return changed(result, more=f"Stuck? ex.{self.name}.hint()")

    def _told(self) -> tuple[str, str, tuple[str, str, str]]:
        """Its state, its name, and the three calls."""
        state = "done" if self.id in progress.done() else "to do"
        called = f"ex.{self.name}"
        return (
            state,
            f"Exercise {self.name}",
            (f"{called}.check(…)", f"{called}.hint()", f"{called}.solution()"),
        )

    def __repr__(self) -> str:
        state, name, calls = self._told()
        return wrap(f"{name} ({state})\n{self.question}\n{'  '.join(calls)}")

    def _repr_html_(self) -> str:  # what Jupyter asks for
        state, name, calls = self._told()
        return whole(
            block(bold(name), progress_chip(state)),
            block(prose(self.question)),
            aside(prose("  ".join(calls))),
        )


def exercise(
    *,
    question: str,
    cell: str,
    solution: str,
    wrong: tuple[Wrong, ...],
    hints: tuple[str, str, str],
    why: str,
    given: str = "",
) -> Callable[[Judge], Exercise]:
    """Declare an exercise: the decorated function is its judge, and its name the exercise's.

    Args:
        question: one or two sentences; they stand word for word in the notebook above the cell.
        cell: the cell with blanks, without its import line; its last line is the check.
        solution: the same cell, filled in.
        wrong: at least three wrong answers with a piece of the text that each must get.
        hints: three, growing: what to think of, where to look, nearly the answer.
        why: the reason, shown with the right answer and with the solution.
        given: code for what earlier cells of the notebook set up, used by tests only.
    """
    declared = Declaration(
        question=question, cell=cell, solution=solution, wrong=wrong, hints=hints, why=why, given=given
    )
    return lambda judge: Exercise(judge.__name__, judge, declared)


def _cell(lesson: str, body: str) -> str:
    body = body.strip()
    gap = "\n\n\n" if body.startswith(("def ", "class ")) else "\n\n"  # as ruff formats it
    return f"from labkit.exercises.lesson{lesson} import ____, ex{gap}{body}"


def _running(lab: Any) -> bool:
    try:
        return bool(lab.authserver.issuer) and bool(lab.mqtt.port) and callable(lab.token)
    except BaseException:  # anything can be handed in as lab
        return False
