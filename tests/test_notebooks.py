"""The form of every notebook, and the runs of learners: all solved, twice over, backwards.

That the stored outputs are true is proved by nbval, which pytest runs on ``notebooks/`` (see conftest.py).
"""

import ast
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from refresh_notebooks import METADATA, execute, find, opened, read

import labkit
from labkit.exercises import Exercise, Lesson, lessons

PATHS = find()
LABKIT = Path(labkit.__file__).parent
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
        assert len(lines) <= 15, cell.source
        assert max(map(len, lines)) <= 88, max(lines, key=len)


@EVERY
def test_a_solved_exercise_fits_as_well(path: Path) -> None:
    for task in lesson_of(path).tasks.values():
        lines = task.solved.split("\n")
        assert len(lines) <= 15, task.solved
        assert max(map(len, lines)) <= 90, max(lines, key=len)


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
        assert (path.parent / target).exists() or target[:2] not in LESSONS, target  # it is to come


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
def test_a_learner_who_solves_everything_gets_through_and_may_run_it_again(path: Path) -> None:
    lesson, notebook = lesson_of(path), read(path)
    for cell in [*notebook.cells]:
        if name := task_of(cell):
            cell.source = lesson.tasks[name].solved
            again = nbformat.from_dict(cell)
            again.id = f"{cell.id}-again"
            notebook.cells.insert(notebook.cells.index(cell) + 1, again)
    for cell in code(execute(notebook)):
        if name := task_of(cell):
            assert any(text_of(output).startswith("Right") for output in cell.outputs), name


@EVERY
def test_no_cell_fails_when_it_is_run_twice_or_when_sections_are_run_backwards(path: Path) -> None:
    """Each cell twice in a row; then each section behind the set-up cell alone, the last one first."""
    notebook = read(path)
    setup, *others = sections(notebook)
    assert len(others) >= 4
    with opened(notebook) as kernel:
        for index in [*setup, *(index for section in others for index in section)]:
            kernel.run(index)
            kernel.run(index)
        for section in reversed(others):
            kernel.run_text("%reset -f")
            for index in [*setup, *section]:
                kernel.run(index)


def sections(notebook: NotebookNode) -> list[list[int]]:
    """The indexes of the code cells below each second-level heading, those before the first one first."""
    found: list[list[int]] = [[]]
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            found[-1].append(index)
        elif re.search(r"^## ", cell.source, flags=re.M):
            assert len(re.findall(r"^## ", cell.source, flags=re.M)) == 1
            found.append([])
    return [section for section in found if section]


@EVERY
def test_outputs_are_text_and_html_only(path: Path) -> None:
    """What a diff shows, nbval compares and an untrusted notebook keeps; and every picture is also a text."""
    for cell in code(read(path)):
        for output in cell.outputs:
            kinds = set(output.get("data", {}))
            assert kinds <= {"text/plain", "text/html"}, kinds
            assert not kinds or "text/plain" in kinds
            assert "<script" not in output.get("data", {}).get("text/html", "")


CARRIED = [
    ("02", "log_in"), ("02", "tapped"), ("02", "answer_to"), ("03", "public_keys"), ("03", "check_signature"),
    ("03", "check_claims"), ("03", "by_hand"), ("04", "connect"), ("05", "connect"),
    ("06", "connect"), ("06", "matches"),
    ("07", "connect"), ("07", "introspect"),
    ("08", "new_client"), ("08", "answer_to"), ("08", "seen"), ("08", "upgrade"), ("08", "thumbprint"),
    ("09", "connect"), ("09", "auth"), ("09", "heard"), ("09", "ask"),
    ("10", "knock"), ("10", "stranger"), ("11", "by_jwk"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "name"), CARRIED, ids="-".join)
def test_what_a_section_imports_is_what_an_earlier_one_wrote(number: str, name: str) -> None:
    """A section can be run alone because a module holds the helpers of the sections before it."""
    module = "handmade" if number == "03" else "carried"
    held = (LABKIT / f"exercises/lesson{number}/{module}.py").read_text(encoding="utf-8")
    (path,) = (path for path in PATHS if path.name.startswith(number))
    written = [cell.source for cell in code(read(path)) if f"def {name}(" in cell.source]
    assert len(written) == 1
    assert bare(written[0], name) == bare(held, name)


def bare(source: str, name: str) -> str:
    """A function without its annotations and without comments."""
    (function,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    function.returns = None
    for arg in (*function.args.args, *filter(None, (function.args.vararg, function.args.kwarg))):
        arg.annotation = None
    text = ast.unparse(function)
    return re.sub(r"^(\s*\w+): [\w\[\], ]+ = ", r"\1 = ", text, flags=re.M)
