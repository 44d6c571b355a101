"""A quiz: three questions, and every wrong choice names the misconception behind it."""

from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any

from markupsafe import Markup

from labkit.exercises.blank import has_blank
from labkit.exercises.note import Note
from labkit.exercises.outcome import Outcome, Result, cannot_tell, not_attempted, not_yet, right, wrap
from labkit.exercises.progress import progress
from labkit.exercises.rich import block, prose, whole
from labkit.exercises.trying import name_of
from labkit.show.html import bold, chip

__all__ = ["Choice", "Question", "Quiz"]

LETTERS = "abcdef"


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a question.

    Attributes:
        text: what the learner reads.
        note: for the right choice, why it is right; for a wrong one, the misconception it shows.
        right: whether it is the right one.
    """

    text: str
    note: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its choices; exactly one of them is right."""

    text: str
    choices: tuple[Choice, ...]

    @property
    def letter(self) -> str:
        """The letter of the right choice."""
        return next(letter for letter, choice in zip(LETTERS, self.choices, strict=False) if choice.right)


class Quiz:
    """Three questions: show them with ``ex.quiz``, answer with ``ex.quiz.check("a", "c", "b")``."""

    name = "quiz"
    lesson = "00"  # the lesson that takes it in writes its number here

    def __init__(self, *questions: Question) -> None:
        self.questions = questions

    @property
    def id(self) -> str:
        """Lesson and name, for example ``"01.quiz"``."""
        return f"{self.lesson}.{self.name}"

    @property
    def question(self) -> str:
        """The three questions with their choices."""
        blocks = []
        for number, question in enumerate(self.questions, 1):
            choices = zip(LETTERS, question.choices, strict=False)
            lines = [f"   {letter})  {choice.text}" for letter, choice in choices]
            blocks.append("\n".join([f"{number}. {question.text}", *lines]))
        return "\n\n".join(blocks)

    @property
    def stub(self) -> str:
        """The answer cell as the notebook has it."""
        return self._cell("____, ____, ____")

    @property
    def solved(self) -> str:
        """The answer cell with the right letters."""
        return self._cell(", ".join(f'"{question.letter}"' for question in self.questions))

    def check(self, *answers: Any) -> Result:
        """Judge three letters, in the order of the questions.  Never raises."""
        try:
            result = self._judge(answers)
        except BaseException as error:
            return cannot_tell(f"judging the answers ended in {name_of(type(error))}.")
        if result.outcome is Outcome.RIGHT:
            progress.add(self.id)
        return result

    def solution(self) -> Note:
        """The right letters, each with its reason."""
        notes = [
            (f"{number}.", question.letter, question.choices[LETTERS.index(question.letter)].note)
            for number, question in enumerate(self.questions, 1)
        ]
        return Note(
            wrap("\n".join(f"{number} {letter}: {note}" for number, letter, note in notes)),
            whole(
                *(block(number, chip(f"{letter} ✓", "green"), prose(note)) for number, letter, note in notes)
            ),
        )

    def _judge(self, answers: tuple[Any, ...]) -> Result:
        if all(has_blank(answer) for answer in answers):
            return not_attempted('replace each ____ by a letter in quotes, such as "a".')
        if len(answers) != len(self.questions):
            many = f"{len(answers)} answer{'s' * (len(answers) != 1)}"
            return not_yet(f"there are {len(self.questions)} questions, and you gave {many}.")
        each = tuple(_judge(*pair) for pair in zip(self.questions, answers, strict=True))
        count = sum(result.outcome is Outcome.RIGHT for result in each)
        summary = f"{count} of {len(each)} questions."
        return changed(right(summary) if count == len(each) else not_yet(summary), each=each)

    def _cell(self, answers: str) -> str:
        return f"from labkit.exercises.lesson{self.lesson} import ____, ex\n\nex.quiz.check({answers})"

    def __repr__(self) -> str:
        return wrap(self.question)

    def _repr_html_(self) -> str:  # what Jupyter asks for
        return whole(*(_listed(number, question) for number, question in enumerate(self.questions, 1)))


def _listed(number: int, question: Question) -> Markup:
    """A question, and its choices as a list."""
    item = Markup('<li style="margin:2px 0">{} {}</li>')
    items = (
        item.format(bold(f"{letter})"), prose(c.text))
        for letter, c in zip(LETTERS, question.choices, strict=False)
    )
    style = "list-style:none;margin:2px 0 10px 0;padding-left:24px"
    choices = Markup('<ul style="{}">{}</ul>').format(style, Markup("").join(items))
    return block(bold(f"{number}."), prose(question.text)) + choices


def _judge(question: Question, answer: Any) -> Result:
    if has_blank(answer):
        return not_attempted("")
    letters = LETTERS[: len(question.choices)]
    letter = answer.strip().rstrip(").").lower() if type(answer) is str else ""
    if len(letter) != 1 or letter not in letters:
        return not_yet(f'answer with one letter from "a" to "{letters[-1]}", in quotes.')
    choice = question.choices[letters.index(letter)]
    return right(choice.note) if choice.right else not_yet(choice.note)
