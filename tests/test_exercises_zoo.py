"""A check never raises, whatever it is given: every exercise and every quiz meets every animal of the zoo."""

import _thread
import ast
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support_zoo import KEEPERS, Hostile, animals, functions

from labkit import Lab
from labkit.exercises import Exercise, Outcome, Quiz, Result, exercise, lessons, not_yet, progress, try_answer

TASKS = [task for lesson in lessons() for task in lesson.tasks.values()]
EXERCISES = [task for task in TASKS if isinstance(task, Exercise)]
QUIZZES = [task for task in TASKS if isinstance(task, Quiz)]
EVERY = pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.id)
REFUSED = (Outcome.NOT_YET, Outcome.CANNOT_TELL)


@pytest.fixture(autouse=True)
def _progress_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "path", None)
    yield
    while KEEPERS:
        KEEPERS.pop().close()


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


def told(result: Any, name: str) -> Result:
    """A result that can be shown, in both of its forms."""
    assert isinstance(result, Result), name
    assert str(result).encode(), name
    assert result._repr_html_().encode(), name
    return result


def solved_dict(task: Exercise) -> dict[Any, Any] | None:
    """The right answer of an exercise that asks for a dict."""
    for node in ast.walk(ast.parse(task.declared.solution)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and node.value.keys:
            return dict(ast.literal_eval(node.value))
    return None


#: Animals that are right answers all the same: whatever name is sent, the broker refuses it; and a claim nbf
#: of almost any kind is a hole of the validator in the notebook.
TAME = {"00.borrow", "03.slip", "05.impostors"}


@EVERY
def test_no_object_makes_a_check_raise(
    task: Exercise, shared_lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does any of them make the check itself fail: what is strange is the learner's answer."""
    exec(task.declared.given, {"lab": shared_lab})
    answers = animals() | functions()
    answers |= {f"[{name}]": [each] for name, each in animals().items()}
    answers |= {f"() -> {name}": lambda *_, each=each, **__: each for name, each in animals().items()}
    for name, answer in answers.items():
        result = told(task.check(answer, shared_lab), name)
        assert result.outcome is Outcome.NOT_YET or name == "gives itself", (name, str(result))


@EVERY
def test_nor_does_any_in_its_right_place(task: Exercise, shared_lab: Lab) -> None:
    solution = solved_dict(task)
    if solution is None:
        assert "= {\n" not in task.declared.solution  # nothing is missed
        return
    exec(task.declared.given, {"lab": shared_lab})
    for key in (next(iter(solution)), list(solution)[-1]):
        for name, animal in animals().items():
            result = told(task.check(solution | {key: animal}, shared_lab), name)
            allowed = {Outcome.NOT_YET, *([Outcome.RIGHT] if task.id in TAME else [])}
            assert result.outcome in allowed, (key, name, str(result))
    for name, animal in animals().items():
        try:
            answer = {animal: "x", **dict.fromkeys(list(solution)[1:])}
        except BaseException:
            continue  # not every animal can be a key
        assert told(task.check(answer, shared_lab), name).outcome is Outcome.NOT_YET, name


@EVERY
def test_nor_does_anything_that_is_handed_in_as_lab(task: Exercise) -> None:
    stopped = Lab()
    stopped.stop()
    for name, lab in (animals() | {"stopped": stopped, "a class": Lab}).items():
        result = told(task.check(task.declared.wrong[0].answer or "x", lab), name)
        assert result.outcome in REFUSED, name


@EVERY
def test_a_function_that_changes_its_mind_does_no_harm(
    task: Exercise, shared_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins as the solution, then raises or returns something else, on whatever thread it is called."""
    names: dict[str, Any] = {"lab": shared_lab}
    exec(task.declared.given, names)
    *body, _ = ast.parse(task.declared.solution).body
    if not isinstance(body[-1], ast.FunctionDef):
        return
    exec(compile(ast.Module(body, []), "<solution>", "exec"), names)
    good = names[body[-1].name]
    for after in (0, 1, 2, 5, 121, 130):
        for what in (ZeroDivisionError(), KeyboardInterrupt(), None, "x", float("nan"), Hostile()):
            calls = iter(range(after))

            def fickle(*args: Any, calls: Iterator[int] = calls, what: Any = what) -> Any:
                if next(calls, None) is not None:
                    return good(*args)
                if type(what) in (ZeroDivisionError, KeyboardInterrupt):
                    raise what
                return what

            result = told(task.check(fickle, shared_lab), f"{type(what).__name__} after {after}")
            assert result.outcome in (Outcome.NOT_YET, Outcome.RIGHT), str(result)
            assert after or result.outcome is Outcome.NOT_YET or task.name == "first_message"
    assert not caplog.records


@EVERY
def test_an_answer_may_even_stop_the_lab(task: Exercise) -> None:
    with Lab() as lab:
        told(task.check(lambda *_: lab.stop(), lab), "stops the lab")
    with Lab() as lab:
        told(task.check(lambda *_: lab.broker.stop(), lab), "stops the broker")
        told(task.check("x", lab), "afterwards")


def endless(*_args: object) -> None:
    while True:
        pass


def test_an_endless_function_can_be_stopped() -> None:
    """What the square button of Jupyter does reaches the function, and the check still ends with a result."""

    @exercise(question="?", cell="", solution="", wrong=(), hints=("a", "b", "c"), why="w")
    def waits(answer: Any) -> Result:
        try_answer(answer)
        return not_yet("it returned.")

    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    result = told(waits.check(endless), "endless")
    timer.join()
    assert result.outcome is Outcome.NOT_YET
    assert "stopped before it returned" in str(result)


def test_a_check_that_is_stopped_itself_says_so() -> None:
    @exercise(question="?", cell="", solution="", wrong=(), hints=("a", "b", "c"), why="w")
    def hangs(answer: Any) -> Result:
        raise KeyboardInterrupt

    assert str(told(hangs.check("x"), "hangs")).startswith("Cannot tell: the check was stopped.")


@pytest.mark.parametrize("quiz", QUIZZES, ids=lambda quiz: quiz.id)
def test_no_object_makes_a_quiz_raise(quiz: Quiz) -> None:
    right = [question.letter for question in quiz.questions]
    for name, animal in (animals() | functions()).items():
        for place in range(3):
            answers = [animal if place == n else letter for n, letter in enumerate(right)]
            assert told(quiz.check(*answers), name).outcome is Outcome.NOT_YET
        for count in (1, 2, 3, 4, 30):
            assert told(quiz.check(*[animal] * count), name).outcome is Outcome.NOT_YET
