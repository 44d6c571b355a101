"""The exercise kit, and the proof of every exercise: its stub, its solution, its wrong answers."""

import ast
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_zoo import Hostile, HostileText

from labkit import Lab
from labkit.exercises import (
    Choice,
    Exercise,
    Lesson,
    Outcome,
    Question,
    Quiz,
    Result,
    Wrong,
    ____,
    cannot_tell,
    exercise,
    has_blank,
    lessons,
    not_yet,
    progress,
    right,
    status,
    try_answer,
)
from labkit.exercises.progress import Progress

EXERCISES = [task for lesson in lessons() for task in lesson.tasks.values() if isinstance(task, Exercise)]
QUIZZES = [task for lesson in lessons() for task in lesson.tasks.values() if isinstance(task, Quiz)]
WRONG = [(task, wrong) for task in EXERCISES for wrong in task.declared.wrong]
EVERY = pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.id)


@pytest.fixture(autouse=True)
def _progress_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests leave no trace in the home of who runs them."""
    monkeypatch.setattr(progress, "path", None)


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    """One lab for all exercises: each must work whatever the others have left behind."""
    with Lab() as lab:
        yield lab


def run_cell(source: str, given: str, lab: Lab) -> Result:
    """What a notebook shows for a cell: the value of its last line, after the cells before it."""
    names: dict[str, Any] = {"lab": lab, "Lab": Lab}
    exec(compile(given, "<given>", "exec"), names)
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), "an exercise cell ends with its check"
    exec(compile(tree, "<cell>", "exec"), names)
    result = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    assert isinstance(result, Result)
    return result


# --- every exercise that is declared ------------------------------------------------------------------------


@EVERY
def test_the_stub_runs_and_is_not_attempted(task: Exercise, shared_lab: Lab) -> None:
    assert run_cell(task.stub, task.declared.given, shared_lab).outcome is Outcome.NOT_ATTEMPTED


@EVERY
def test_the_solution_is_right_and_stays_right(task: Exercise, shared_lab: Lab) -> None:
    for _ in range(2):
        result = run_cell(task.solved, task.declared.given, shared_lab)
        assert result.outcome is Outcome.RIGHT, str(result)


@pytest.mark.parametrize(("task", "wrong"), WRONG, ids=[f"{task.id}-{wrong.says}" for task, wrong in WRONG])
def test_a_wrong_answer_gets_its_own_message(task: Exercise, wrong: Wrong, shared_lab: Lab) -> None:
    if wrong.cell is None:
        exec(task.declared.given, {"lab": shared_lab})
        result = task.check(wrong.answer, shared_lab)
    else:
        cell = f"from labkit.exercises.lesson{task.lesson} import ____, ex\n\n{wrong.cell.strip()}"
        result = run_cell(cell, task.declared.given, shared_lab)
    assert result.outcome is Outcome.NOT_YET, str(result)
    assert wrong.says in " ".join(str(result).split())


@EVERY
def test_an_exercise_has_three_wrong_answers_with_messages_of_their_own(task: Exercise) -> None:
    says = [wrong.says for wrong in task.declared.wrong]
    assert len(says) >= 3
    assert len(set(says)) == len(says)


@EVERY
def test_hints_grow_and_do_not_give_all_away_at_once(task: Exercise) -> None:
    hints = task.declared.hints
    assert len(hints) == 3
    assert len(set(hints)) == 3
    assert all(hint.strip() for hint in (*hints, task.declared.why, task.question))


@pytest.mark.parametrize("quiz", QUIZZES, ids=lambda quiz: quiz.id)
def test_a_quiz_explains_every_choice(quiz: Quiz, shared_lab: Lab) -> None:
    assert run_cell(quiz.stub, "", shared_lab).outcome is Outcome.NOT_ATTEMPTED
    assert run_cell(quiz.solved, "", shared_lab).outcome is Outcome.RIGHT
    assert len(quiz.questions) == 3
    for question in quiz.questions:
        notes = [choice.note for choice in question.choices]
        assert sum(choice.right for choice in question.choices) == 1
        assert len(notes) >= 3
        assert len(set(notes)) == len(notes)
        assert all(notes)


@pytest.mark.parametrize("quiz", QUIZZES, ids=lambda quiz: quiz.id)
def test_the_right_letter_is_not_always_the_same(quiz: Quiz) -> None:
    assert len({question.letter for question in quiz.questions}) > 1


def test_the_code_for_the_chat_says_which_lesson_and_how_many() -> None:
    assert all(lesson.code() in status() for lesson in lessons())


# --- the kit itself -----------------------------------------------------------------------------------------


@exercise(
    question="Return twice the number.",
    cell="def twice(n):\n    return ____\n\n\nex.twice.check(twice)",
    solution="def twice(n):\n    return 2 * n\n\n\nex.twice.check(twice)",
    wrong=(),
    hints=("think", "of adding", "n to n"),
    why="two times.",
)
def twice(answer: Any) -> Result:
    if try_answer(answer, 3) == 6:
        return right("3 becomes 6.")
    return not_yet("try it with 3.")


@exercise(question="?", cell="", solution="", wrong=(), hints=("a", "b", "c"), why="w")
def live(answer: Any, lab: Any) -> Result:
    return right() if answer == lab.audience else cannot_tell("no idea")


toy = Lesson("99", "toys", twice, live)


def test_four_outcomes(shared_lab: Lab) -> None:
    assert twice.check().outcome is twice.check(____).outcome is Outcome.NOT_ATTEMPTED
    assert twice.check(lambda n: n).outcome is Outcome.NOT_YET
    assert twice.check(lambda n: n + n).outcome is Outcome.RIGHT
    assert live.check("x").outcome is live.check("x", shared_lab).outcome is Outcome.CANNOT_TELL
    assert live.check(shared_lab.audience, shared_lab).outcome is Outcome.RIGHT


def test_what_the_learners_code_raises_is_told() -> None:
    assert "ZeroDivisionError: division by zero" in str(twice.check(lambda n: n / 0))
    assert "SystemExit" in str(twice.check(sys.exit))
    assert "TypeError" in str(twice.check(7))


def test_a_result_shows_as_text() -> None:
    assert repr(twice.check(lambda n: 2 * n)) == "Right: 3 becomes 6.\nWhy: two times."
    assert repr(twice.check(____)) == (
        "Not attempted: replace ____ and run the cell again.\nStuck? ex.twice.hint()"
    )
    assert all(len(line) <= 88 for line in str(not_yet("word " * 60)).splitlines())


def test_three_hints_then_the_solution() -> None:
    fresh = Exercise("twice", lambda answer: right(), twice.declared)
    shown = [fresh.hint() for _ in range(4)]
    assert [text.split("\n")[0] for text in shown] == [
        "Hint 1 of 3: think", "Hint 2 of 3: of adding", "Hint 3 of 3: n to n", "Hint 3 of 3: n to n"
    ]  # fmt: skip
    assert "ex.twice.solution()" in shown[2]
    assert "return 2 * n" in fresh.solution()
    assert "Why: two times." in fresh.solution()


def test_a_lesson_offers_its_exercises_to_the_tab_key() -> None:
    assert dir(toy) == ["live", "status", "twice"]
    assert toy.twice is twice
    with pytest.raises(AttributeError, match="it has: twice, live"):
        toy.thrice  # noqa: B018


@pytest.mark.parametrize(
    "stub",
    [____, ____.scope, ____[0], ____ + 1, 2 * ____, ____("x"), ____ < 3, -____, f"a/{____}/b",
     [1, {"x": ____}], (____,), lambda: ____, lambda: f"{____}", lambda: [____ for _ in "ab"]],
)  # fmt: skip
def test_a_blank_stays_a_blank(stub: object) -> None:
    assert has_blank(stub)


def test_blanks_in_classes_and_methods_are_seen() -> None:
    class Half:
        def answer(self) -> object:
            return ____

    assert has_blank(Half)
    assert has_blank(Half().answer)
    assert not has_blank(twice)


def _anything() -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    return st.recursive(
        plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
    )


@given(_anything())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_nothing_hypothesis_finds_makes_a_check_raise(answer: Any) -> None:
    for task in EXERCISES:
        if not task._needs_lab:
            assert isinstance(task.check(answer).outcome, Outcome)  # it may have guessed right
    for quiz in QUIZZES:
        assert isinstance(quiz.check(answer, answer, answer), Result)


def quiz_of_one_letter() -> Quiz:
    question = Question("?", (Choice("x", "mixed up"), Choice("y", "because", right=True), Choice("z", "no")))
    return Quiz(question, question, question)


@pytest.mark.parametrize(
    ("answers", "outcome", "says"),
    [
        (("b", "b", "b"), Outcome.RIGHT, "3 of 3"),
        (("B", " b ", "b)"), Outcome.RIGHT, "3 of 3"),
        (("a", "b", ____), Outcome.NOT_YET, "1. Not yet: mixed up"),
        (("a", "b", ____), Outcome.NOT_YET, "3. Not attempted"),
        (("b", "b", 2), Outcome.NOT_YET, 'from "a" to "c"'),
        (("b", "b"), Outcome.NOT_YET, "3 questions"),
        ((____, ____, ____), Outcome.NOT_ATTEMPTED, "letter"),
        ((), Outcome.NOT_ATTEMPTED, "letter"),
        ((Hostile(), HostileText("a"), "b"), Outcome.NOT_YET, "1 of 3"),
    ],
)
def test_quiz(answers: tuple[Any, ...], outcome: Outcome, says: str) -> None:
    result = quiz_of_one_letter().check(*answers)
    assert result.outcome is outcome
    assert says in str(result)


# --- progress -----------------------------------------------------------------------------------------------


def test_progress_is_one_local_file_that_may_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "progress.json"
    Progress(path).add("01.a")
    Progress(path).add("01.b")
    assert json.loads(path.read_text()) == {"version": 1, "done": ["01.a", "01.b"]}
    assert Progress(path).done() == {"01.a", "01.b"}
    Progress(path).forget()
    assert list(path.parent.iterdir()) == []
    assert Progress(path).done() == frozenset()


@pytest.mark.parametrize("damage", ["", "[]", '{"done": 7}', "{", "\x00", "[" * 100_000])
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "progress.json"
    path.write_text(damage)
    kept = Progress(path)
    assert kept.done() == frozenset()
    kept.add("01.a")
    assert Progress(path).done() == {"01.a"}


def test_where_nothing_can_be_written_progress_stays_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = Progress(tmp_path / "file" / "progress.json")
    kept.add("01.a")
    assert kept.done() == {"01.a"}
    kept.forget()
    assert kept.done() == frozenset()


@pytest.mark.parametrize(("value", "expected"), [("off", None), ("x/y.json", Path("x/y.json"))])
def test_the_environment_says_where(
    value: str, expected: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_PROGRESS", value)
    assert Progress.from_environment().path == expected


def test_by_default_progress_is_kept_among_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABKIT_PROGRESS", raising=False)
    path = Progress.from_environment().path
    assert path is not None
    assert path.parts[-2:] == ("labkit", "progress.json")


def test_judges_are_named_like_their_exercises() -> None:
    judges: list[Callable[..., Result]] = [task._judge for task in EXERCISES]
    assert [judge.__name__ for judge in judges] == [task.name for task in EXERCISES]
