"""A lesson: the exercises and the quiz of one notebook, under one short name."""

import importlib
import pkgutil

from labkit.exercises.note import Note, progress_chip
from labkit.exercises.progress import progress
from labkit.exercises.rich import block, whole
from labkit.exercises.task import Task
from labkit.show.html import bold, mono

__all__ = ["Lesson", "lessons", "status"]


class Lesson:
    """The exercises of one notebook, as attributes: ``ex.read_claims``, ``ex.quiz``.

    Args:
        number: the number of the notebook, for example ``"01"``.
        title: what the notebook is about, in a few words.
        tasks: its exercises in their order, the quiz last.
    """

    def __init__(self, number: str, title: str, *tasks: Task) -> None:
        self.number = number
        self.title = title
        self.tasks: dict[str, Task] = {task.name: task for task in tasks}
        for task in tasks:
            task.lesson = number

    def status(self) -> Note:
        """What is done in this lesson, and a short code for the chat that says no more than that."""
        done = progress.done()
        title, chat = f"Lesson {self.number}, {self.title}", f"For the chat: {self.code()}"
        tasks = [("done" if task.id in done else "to do", f"ex.{name}") for name, task in self.tasks.items()]
        return Note(
            "\n".join([title, *(f"  {state:5}  {name}" for state, name in tasks), chat]),
            whole(
                block(bold(title)),
                *(block(progress_chip(state), mono(name), indent=16) for state, name in tasks),
                block("For the chat:", mono(self.code())),
            ),
        )

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

    def _repr_html_(self) -> str | None:  # what Jupyter asks for
        return self.status().html


def lessons() -> list[Lesson]:
    """Every lesson there is, in the order of the notebooks."""
    package = importlib.import_module("labkit.exercises")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[6:].isdigit())
    return [importlib.import_module(f"labkit.exercises.{name}").ex for name in names]


def status() -> Note:
    """A short code for the chat over all lessons, for example ``"00 3/3 · 01 2/4"``."""
    return Note(" · ".join(lesson.code() for lesson in lessons()))
