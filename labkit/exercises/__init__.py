"""Exercises for the notebooks: a check with four outcomes, three hints, the solution, and why.

For learners, in a notebook::

    from labkit.exercises.lesson01 import ____, ex

    seconds = ____                      # replace the blank, run the cell
    ex.lifetime.check(seconds)          # Not attempted | Not yet: … | Right: … | Cannot tell: …
    ex.lifetime.hint()                  # three of them, growing
    ex.lifetime.solution()              # and why
    ex.quiz.check("a", "c", "b")
    ex                                  # what is done, and a short code for the chat

A check never raises and sends nothing anywhere.  What is done is remembered in one local file that may be
deleted (:mod:`labkit.exercises.progress`).

For authors: one module or package per notebook, ``lessonNN``.  It declares each exercise with
:func:`exercise` around its judge, and holds them as ``ex = Lesson("NN", title, first, second, Quiz(…))``.
A judge returns :func:`right`, :func:`not_yet` or :func:`cannot_tell`, and calls the learner's functions
through :func:`try_answer`.  It compares types exactly, as a subclass may run code of its own, and shows a
learner's value by :func:`brief`.
"""

from labkit.exercises.blank import ____, has_blank
from labkit.exercises.finding import first_mistake
from labkit.exercises.lesson import Lesson, lessons, status
from labkit.exercises.outcome import Outcome, Result, cannot_tell, not_yet, right
from labkit.exercises.progress import progress
from labkit.exercises.quiz import Choice, Question, Quiz
from labkit.exercises.task import Exercise, Wrong, exercise
from labkit.exercises.trying import AnswerFailed, brief, name_of, try_answer

__all__ = [
    "AnswerFailed",
    "Choice",
    "Exercise",
    "Lesson",
    "Outcome",
    "Question",
    "Quiz",
    "Result",
    "Wrong",
    "____",
    "brief",
    "cannot_tell",
    "exercise",
    "first_mistake",
    "has_blank",
    "lessons",
    "name_of",
    "not_yet",
    "progress",
    "right",
    "status",
    "try_answer",
]
