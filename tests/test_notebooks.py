"""The form of every notebook, and a learner's run with all solutions filled in.

That the stored outputs are true is proved by nbval, which pytest runs on ``notebooks/`` (see conftest.py).
"""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from refresh_notebooks import METADATA, execute, find, read

from labkit.exercises import Exercise, Lesson, lessons

PATHS = find()
LESSONS = {lesson.number: lesson for lesson in lessons()}
EVERY = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
SETUP = "from labkit import Lab\n\nlab = Lab.start()"
OPENING = ("**Time:**", "**You need:**", "**You do not need:**", "**In the end you can:**")
HIDDEN = {
    "a whole token": re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"),
    "a machine path": re.compile(r"/(?:home|root|tmp|usr|work)/|[A-Z]:\\|/Users/"),
    "a port": re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):\d{2,5}"),
    "an epoch": re.compile(r"\b1[6-9]\d{8}\b"),
}


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def text_of(output: NotebookNode) -> str:
    shown = dict(output.get("data", {}))
    texts = [output.get("text"), output.get("evalue"), shown.pop("text/plain", None), *shown.values()]
    return "\n".join(text for text in texts if isinstance(text, str))


def lesson_of(path: Path) -> Lesson:
    return LESSONS[path.name[:2]]


def task_of(cell: NotebookNode) -> str | None:
    tags = [tag for tag in cell.metadata.get("tags", []) if tag.startswith("exercise:")]
    return tags[0].removeprefix("exercise:") if tags else None


def test_there_is_a_notebook_for_every_lesson() -> None:
    assert [path.name[:2] for path in PATHS] == sorted(LESSONS)


@EVERY
def test_every_code_cell_has_been_run_in_order(path: Path) -> None:
    cells = code(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@EVERY
def test_nothing_failed_but_where_it_is_meant_to(path: Path) -> None:
    for cell in code(read(path)):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert not failed or "raises-exception" in cell.metadata.get("tags", []), cell.source
        assert not any(output.get("name") == "stderr" for output in cell.outputs), cell.source


@EVERY
@pytest.mark.parametrize("kind", HIDDEN)
def test_no_output_holds(path: Path, kind: str) -> None:
    for cell in code(read(path)):
        for output in cell.outputs:
            found = HIDDEN[kind].search(text_of(output))
            assert found is None, f"{kind}: {found[0][:20] if found else ''} after {cell.source}"


@EVERY
def test_a_cell_fits_on_a_projector(path: Path) -> None:
    for cell in code(read(path)):
        lines = cell.source.split("\n")
        assert len(lines) <= 15 or task_of(cell), cell.source
        assert len(lines) <= 25, cell.source
        assert max(map(len, lines)) <= 88, max(lines, key=len)


@EVERY
def test_metadata_is_fixed_and_ids_are_unique(path: Path) -> None:
    notebook = read(path)
    assert notebook.metadata == nbformat.from_dict(METADATA)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    nbformat.validate(notebook)


@EVERY
def test_headings_are_in_order(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", prose(read(path)), flags=re.M | re.S)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


@EVERY
def test_a_notebook_opens_and_ends_as_a_lesson_does(path: Path) -> None:
    notebook = read(path)
    opening = notebook.cells[0].source
    assert all(part in opening for part in OPENING)
    assert len(re.findall(r"^(?:-|\d\.) ", opening.split(OPENING[-1])[1], flags=re.M)) == 3
    assert code(notebook)[0].source == SETUP
    text = prose(notebook)
    headings = re.findall(r"^## (.*)$", text, flags=re.M)
    assert headings[-2:] == ["Quiz", "Recap"]
    assert 4 <= len(headings) <= 8
    recap = text.split("## Recap")[1]
    assert all(part in recap for part in ("**In the standards:**", "**In production:**", "**Next:**"))
    assert 4 <= len(re.findall(r"^- ", recap.split("**In the standards:**")[0], flags=re.M)) <= 6


@EVERY
def test_pictures_have_alt_text(path: Path) -> None:
    text = prose(read(path))
    assert "![](" not in text
    assert all("alt=" in tag and 'alt=""' not in tag for tag in re.findall(r"<img[^>]*>", text))


@EVERY
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([\w-]+\.ipynb)\)", prose(read(path))):
        number = int(target[:2])
        assert (path.parent / target).exists() or number > int(PATHS[-1].name[:2]), target


@EVERY
def test_exercise_cells_are_the_declared_stubs_below_their_questions(path: Path) -> None:
    lesson, notebook = lesson_of(path), read(path)
    seen = []
    for before, cell in pairwise(notebook.cells):
        name = task_of(cell)
        if name is None:
            assert cell.cell_type != "code" or "____)" not in cell.source, cell.source
            continue
        task = lesson.tasks[name]
        seen.append(name)
        assert cell.source == task.stub
        if isinstance(task, Exercise):
            assert before.cell_type == "markdown"
            assert "### Exercise" in before.source
            assert " ".join(task.question.split()) in " ".join(before.source.split())
        assert any(text_of(output).startswith("Not attempted") for output in cell.outputs)
    assert sorted(seen) == sorted(lesson.tasks)
    assert "quiz" in seen
    assert len(seen) >= 3


@EVERY
def test_a_learner_who_solves_everything_gets_through(path: Path) -> None:
    lesson, notebook = lesson_of(path), read(path)
    for cell in code(notebook):
        if name := task_of(cell):
            cell.source = lesson.tasks[name].solved
    for cell in code(execute(notebook)):
        if name := task_of(cell):
            assert any(text_of(output).startswith("Right") for output in cell.outputs), name
