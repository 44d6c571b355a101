"""The coloured form of the exercise kit says what its plain text says, and nothing else, to nobody's harm."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from labkit import Lab
from labkit.exercises import (
    Exercise,
    Lesson,
    Outcome,
    Quiz,
    cannot_tell,
    exercise,
    lessons,
    not_yet,
    progress,
    right,
    try_answer,
)
from labkit.exercises.outcome import not_attempted
from labkit.exercises.rich import visible

LESSONS = lessons()
EVERY = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
#: What an untrusted notebook lets through (see labkit.show.html), and what these texts are made of.
TAGS = {"div", "span", "code", "pre", "b", "br", "ul", "li"}
COLOURS = {
    Outcome.NOT_ATTEMPTED: ("Not attempted", "#dcdfe4"),
    Outcome.NOT_YET: ("Not yet", "#ffdf9e"),
    Outcome.RIGHT: ("Right ✓", "#bfe8c5"),
    Outcome.CANNOT_TELL: ("Cannot tell", "#bfdbff"),
}


@pytest.fixture(autouse=True)
def _progress_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "path", None)
    monkeypatch.setattr(progress, "_here", set())
    return None


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


class Page(HTMLParser):
    """Reads HTML strictly: known tags, closed in order, with a style and a title at most."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.styles: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= {"style", "title"}
        self.styles += [value or "" for name, value in attrs if name == "style"]
        if tag == "br":
            self.text.append("\n")
        else:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("div", "li", "pre"):
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def words(text: str) -> list[str]:
    """Letters and digits only: the tick, colons and backticks are the form and not the words."""
    return re.findall(r"\w+", text)


def same_words(shown: Any) -> Page:
    html = shown._repr_html_()
    assert html is not None
    page = Page(html)
    assert words("".join(page.text)) == words(repr(shown))
    assert not any("var(" in style or "url(" in style for style in page.styles)
    return page


@EVERY
def test_questions_hints_solutions_and_status_say_the_same_in_colour(lesson: Lesson) -> None:
    same_words(lesson)
    same_words(lesson.status())
    for task in lesson.tasks.values():
        same_words(task)
        same_words(task.solution())  # type: ignore[attr-defined]
        if isinstance(task, Exercise):
            fresh = Exercise(task.name, task._judge, task.declared)
            assert len({same_words(fresh.hint()).text[0] for _ in range(3)}) == 3
        progress.add(task.id)
        same_words(task)
    assert "to do" not in "".join(same_words(lesson).text)


@EVERY
def test_results_say_the_same_in_colour(lesson: Lesson, shared_lab: Lab) -> None:
    for task in lesson.tasks.values():
        if isinstance(task, Quiz):
            for answers in (("a", "a", "a"), ("x", "b", 3), [q.letter for q in task.questions]):
                same_words(task.check(*answers))
        elif isinstance(task, Exercise):
            exec(task.declared.given, {"lab": shared_lab})
            same_words(task.check())
            same_words(task.check("x", None))
            for wrong in task.declared.wrong:
                same_words(task.check(wrong.answer, shared_lab))


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_has_a_label_and_a_colour(outcome: Outcome) -> None:
    make = {
        Outcome.NOT_ATTEMPTED: not_attempted,
        Outcome.NOT_YET: not_yet,
        Outcome.RIGHT: right,
        Outcome.CANNOT_TELL: cannot_tell,
    }[outcome]
    page = same_words(make("so it is."))
    label, colour = COLOURS[outcome]
    assert label in page.text
    assert any(colour in style for style in page.styles)


def test_what_an_answer_holds_acts_neither_on_the_page_nor_on_a_terminal() -> None:
    @exercise(
        question="<b>?</b>", cell="", solution="<i>", wrong=(), hints=("<u>a", "b", "c"), why="<script>"
    )
    def toy(answer: Any) -> Any:
        return not_yet(f"{try_answer(answer)}") if callable(answer) else right(answer)

    bad = "<img src=x onerror=alert(1)> \x1b[31m \u202e \x9b \x00 \ud800 & 'quoted' \"twice\""
    for shown in (toy.check(bad), toy.check(lambda: bad), toy, toy.hint(), toy.solution(), not_yet(bad)):
        page = same_words(shown)
        assert not re.search(
            r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", str(shown) + "".join(page.text)
        )
        assert str(shown).encode()
    assert visible("a\nb\tc\x07") == "a\nb\\tc\\x07"
    assert "\\x1b[31m \\u202e \\x9b \\x00 \\ud800" in str(toy.check(bad))


def test_code_in_a_text_is_set_as_code() -> None:
    html = not_yet("look at `lab.record` and run ex.toy.hint(), or ex.toy.check(…, lab).")._repr_html_()
    assert [*re.findall(r"<code[^>]*>(.*?)</code>", html)] == [
        "lab.record",
        "ex.toy.hint()",
        "ex.toy.check(…, lab)",
    ]


def test_a_solution_keeps_its_lines() -> None:
    for lesson in LESSONS:
        for task in lesson.tasks.values():
            if isinstance(task, Exercise):
                page = Page(str(task.solution().html))
                assert task.declared.solution.strip() in page.text
