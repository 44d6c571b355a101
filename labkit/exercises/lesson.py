"""A lesson: the exercises and the quiz of one notebook, under one short name."""

import importlib
import pkgutil
from collections.abc import Callable

from labkit.exercises.exercise import Declaration, Exercise, Judge, Note, Task, Wrong
from labkit.exercises.progress import progress
from labkit.exercises.quiz import Question, Quiz

__all__ = ["Lesson", "lessons", "status"]


class Lesson:
    """The exercises of one notebook, as attributes: ``ex.read_claims``, ``ex.quiz``.

    Args:
        number: the number of the notebook, for example ``"01"``.
        title: what the notebook is about, in a few words.
    """

    def __init__(self, number: str, title: str) -> None:
        self.number = number
        self.title = title
        self.tasks: dict[str, Task] = {}

    def exercise(
        self,
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

        def declare(judge: Judge) -> Exercise:
            exercise = Exercise(self.number, judge.__name__, judge, declared)
            self.tasks[exercise.name] = exercise
            return exercise

        return declare

    def ask(self, *questions: Question) -> Quiz:
        """Declare the quiz: three questions."""
        first, second, third = questions
        quiz = Quiz(self.number, (first, second, third))
        self.tasks[quiz.name] = quiz
        return quiz

    def status(self) -> Note:
        """What is done in this lesson, and a short code for the chat that says no more than that."""
        done = progress.done()
        lines = [f"Lesson {self.number}, {self.title}"]
        lines += [
            f"  {'done ' if task.id in done else 'to do'}  ex.{name}" for name, task in self.tasks.items()
        ]
        return Note("\n".join([*lines, f"For the chat: {self.code()}"]))

    def code(self) -> str:
        """Lesson, exercises done and exercises in all, for example ``"01 2/4"``."""
        done = progress.done()
        return f"{self.number} {sum(task.id in done for task in self.tasks.values())}/{len(self.tasks)}"

    def __getattr__(self, name: str) -> Task:
        tasks = self.__dict__.get("tasks", {})
        if name in tasks:
            return tasks[name]  # type: ignore[no-any-return]
        known = ", ".join(tasks)
        raise AttributeError(
            f"lesson {self.__dict__.get('number')} has no exercise {name!r}; it has: {known}"
        )

    def __dir__(self) -> list[str]:
        return [*self.tasks, "status"]  # what the Tab key offers

    def __repr__(self) -> str:
        return self.status()


def lessons() -> list[Lesson]:
    """Every lesson there is, in the order of the notebooks."""
    package = importlib.import_module("labkit.exercises")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[6:].isdigit())
    return [importlib.import_module(f"labkit.exercises.{name}").ex for name in names]


def status() -> Note:
    """A short code for the chat over all lessons, for example ``"00 3/3 · 01 2/4"``."""
    return Note(" · ".join(lesson.code() for lesson in lessons()))
