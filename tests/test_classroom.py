"""The teacher's guide: what it names exists, its minutes are the counted ones, every cut can be taught."""

import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
import typer
from nbformat import NotebookNode
from refresh_notebooks import METADATA, execute, find, read
from timings import GUIDE, counted, get, sections, stated, table

from labkit.cli import app
from labkit.cli.doctor import for_the_chat
from labkit.exercises import Quiz, lessons

TEXT = GUIDE.read_text(encoding="utf-8")
LESSONS = {lesson.number: lesson for lesson in lessons()}
PATHS = {path.name[:2]: path for path in find()}
COUNTED = counted()
CUTS = ("60", "75", "90")
EVERY = pytest.mark.parametrize("number", sorted(PATHS))
#: Minutes by which the promise on a lesson's first page may differ from what is counted.
TOLERANCE = 3
COUNT = ("no", "one", "two", "three", "four", "five", "six")


@dataclass(frozen=True)
class Row:
    """A row of a cut."""

    start: int
    minutes: int
    what: str
    lesson: str
    section: str
    exercise: str
    chat: str


def cut(name: str) -> list[Row]:
    rows = []
    for line in get(TEXT, f"cut {name}").splitlines()[2:]:
        start, minutes, what, exercise, chat = (cell.strip() for cell in line.strip("|").split("|"))
        hours, past = start.split(":")
        found = re.search(r"\*\*(\d\d) · ([^*]+)\*\*", what)
        lesson, section = found.groups() if found else ("", "")
        names = exercise.strip("`"), chat.strip("`")
        rows.append(Row(60 * int(hours) + int(past), int(minutes), what, lesson, section, *names))
    return rows


def cells_of(number: str, section: str | None) -> list[NotebookNode]:
    """The code cells of one section; of the part before the first heading when it is ``None``."""
    inside, found = section is None, []
    for cell in read(PATHS[number]).cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^## (.*)$", cell.source, flags=re.M):
                inside = heading == section
        elif inside:
            found.append(cell)
    return found


def run(cells: list[NotebookNode]) -> NotebookNode:
    """Run cells in a fresh kernel.  Raises CellExecutionError where one fails."""
    return execute(nbformat.v4.new_notebook(cells=cells, metadata=METADATA))


def task_of(cell: NotebookNode) -> str:
    tags = [tag for tag in cell.metadata.get("tags", []) if tag.startswith("exercise:")]
    return tags[0].removeprefix("exercise:") if tags else ""


def shown(cell: NotebookNode) -> str:
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(texts)


# The minutes


def test_the_minutes_in_the_guide_are_those_counted_in_the_lessons() -> None:
    assert get(TEXT, "timings") == table(), "run python tests/timings.py --write"


@EVERY
def test_a_lesson_promises_the_time_that_is_counted(number: str) -> None:
    whole, reading, doing = stated(read(PATHS[number]))
    parts = COUNTED[number]
    assert whole == reading + doing
    assert abs(reading - sum(part.reading for part in parts)) <= TOLERANCE
    assert abs(doing - sum(part.doing() for part in parts)) <= TOLERANCE
    assert abs(whole - sum(part.reading + part.doing() for part in parts)) <= TOLERANCE


@EVERY
def test_a_lesson_promises_the_exercises_that_it_has(number: str) -> None:
    exercises = [name for part in COUNTED[number] for name in part.exercises]
    assert sorted(exercises) == sorted(LESSONS[number].tasks)
    assert f" for {COUNT[len(exercises) - 1]} exercises and a quiz." in read(PATHS[number]).cells[0].source


def test_counting_sees_what_there_is_to_read_to_run_and_to_do() -> None:
    first = "# 00 · A lesson\n\nTwo words."
    code = nbformat.v4.new_code_cell("a = 1\n\nprint(a)")
    code.outputs = [nbformat.v4.new_output("stream", name="stdout", text="1\n" * 40)]
    stub = nbformat.v4.new_code_cell("from x import ____, ex\n\nex.a.check(____, ____)")
    stub.metadata["tags"] = ["exercise:a"]
    quiz = nbformat.v4.new_code_cell("ex.quiz.check(____)", metadata={"tags": ["exercise:quiz"]})
    prose = "## 1. One\n\n**Predict.** It's so.\n\n```text\nnot counted\n```\n\n"
    prose += "**In the standards:** nor this\n\nbut this"
    cells = [nbformat.v4.new_markdown_cell(text) for text in (first, prose)]
    before, one = sections(nbformat.v4.new_notebook(cells=[*cells, code, stub, quiz]))
    assert (before.title, before.words, before.cells) == ("00 · A lesson", 5, 0)
    assert (one.words, one.lines, one.shown, one.cells, one.predictions) == (7, 2, 15, 1, 1)
    assert one.reading == pytest.approx(7 / 170 + (2 * 2 + 15 + 5 + 20) / 60)
    assert (one.doing(), one.doing(["a"]), one.doing([])) == (2 + 2 * 0.5 + 2, 3, 0)


def test_what_was_measured_is_plausible() -> None:
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d)?", get(TEXT, "measured"))]
    whole, longest, least, most = numbers
    assert longest < whole < 60
    assert 40 < least <= most < 300


# The cuts


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_adds_up_and_has_a_buffer(name: str) -> None:
    rows = cut(name)
    assert rows[0].start == 0
    assert all(row.start + row.minutes == behind.start for row, behind in pairwise(rows))
    assert rows[-1].start + rows[-1].minutes == int(name)
    assert rows[-1].what == "Buffer"
    assert rows[-1].minutes >= 5
    assert sum("✂" in row.what for row in rows) == 1


@pytest.mark.parametrize("name", CUTS)
def test_a_row_names_a_section_and_gives_it_the_minutes_that_are_counted(name: str) -> None:
    for row in cut(name):
        if not row.lesson:
            assert not row.exercise
            continue
        named = {part.title: part for part in COUNTED[row.lesson]}
        assert row.section in named, f"{row.lesson} has no section {row.section!r}"
        part = named[row.section]
        if row.exercise:
            assert row.exercise in part.exercises
        assert part.reading + part.doing([row.exercise]) <= row.minutes, row


@pytest.mark.parametrize("name", CUTS)
def test_the_status_codes_of_a_cut_are_those_that_learners_will_have(name: str) -> None:
    done: dict[str, int] = {}
    for row in cut(name):
        if row.exercise:
            done[row.lesson] = done.get(row.lesson, 0) + 1
            assert row.chat == f"{row.lesson} {done[row.lesson]}/{len(LESSONS[row.lesson].tasks)}"
        else:
            assert row.chat in ("", "doctor: ready")


@pytest.mark.parametrize("name", CUTS)
def test_there_is_an_assessment_every_quarter_of_an_hour(name: str) -> None:
    ends = [0, *(row.start + row.minutes for row in cut(name) if row.chat)]
    assert all(behind - end <= 15 for end, behind in pairwise(ends))


@pytest.mark.parametrize("name", CUTS)
def test_a_dry_run_of_a_cut_does_what_the_guide_says(name: str) -> None:
    """Only the sections that the cut names, and only its exercises, each lesson in a kernel of its own."""
    rows = [row for row in cut(name) if row.lesson]
    for number in dict.fromkeys(row.lesson for row in rows):
        mine = [row for row in rows if row.lesson == number]
        exercises = [row.exercise for row in mine if row.exercise]
        cells = [*cells_of(number, None), *(cell for row in mine for cell in cells_of(number, row.section))]
        for cell in cells:
            if task_of(cell) in exercises:
                cell.source = LESSONS[number].tasks[task_of(cell)].solved
        judged = {task_of(cell): shown(cell) for cell in run(cells).cells if task_of(cell)}
        for task, said in judged.items():
            assert said.startswith("Right" if task in exercises else "Not attempted"), (
                f"{number} {task}: {said}"
            )


# Late-comers


def catch_up(number: str) -> str:
    found = re.search(rf"^Lesson {number}: .*?^```python\n(.*?)^```", TEXT, flags=re.M | re.S)
    assert found is not None
    return found[1].strip()


@EVERY
def test_a_catch_up_cell_fits_and_shows_something(number: str) -> None:
    lines = catch_up(number).split("\n")
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 88
    (cell,) = run([nbformat.v4.new_code_cell(catch_up(number))]).cells
    assert len(shown(cell).strip().split("\n")) >= 2
    assert "eyJ" not in re.sub(r"eyJ…|eyJ\.\.\.", "", shown(cell))


@EVERY
def test_behind_the_catch_up_cell_every_section_runs_without_those_before_it(number: str) -> None:
    """Backwards in one kernel: a section that wanted an earlier one would not find it."""
    titles = [part.title for part in COUNTED[number][1:]]
    behind = [cell for title in reversed(titles) for cell in cells_of(number, title)]
    assert len(behind) > 5
    run([nbformat.v4.new_code_cell(catch_up(number)), *behind])


# What the guide says


@EVERY
def test_wrong_ideas_belong_to_exercises_of_their_lesson(number: str) -> None:
    block = re.search(rf"^### {number} · .*?(?=^##)", TEXT, flags=re.M | re.S)
    assert block is not None
    rows = block[0].strip().splitlines()[4:]
    assert len(rows) >= 5
    tasks = LESSONS[number].tasks
    for row in rows:
        heard, say = (cell.strip() for cell in row.strip("|").split("|"))
        assert say
        named = re.search(r"\(`(\w+)`(?: (\d))?\)$", heard)
        assert named is not None, heard
        task = tasks[named[1]]
        if isinstance(task, Quiz):
            assert 1 <= int(named[2]) <= len(task.questions)
    assert {re.search(r"\(`(\w+)`", row)[1] for row in rows} > {"quiz"}  # type: ignore[index]


def test_every_command_of_the_guide_exists_and_takes_its_options() -> None:
    command = typer.main.get_command(app)
    lines = [
        line for block in re.findall(r"```text\n(.*?)```", TEXT, flags=re.S) for line in block.splitlines()
    ]
    lines += re.findall(r"`(labkit [^`]+)`", TEXT)
    lines = [line for line in lines if line.startswith("labkit ")]
    assert {shlex.split(line)[1] for line in lines} >= {"doctor", "open", "wheelhouse", "pages"}
    for line in lines:
        name, *options = shlex.split(line)[1:]
        command.commands[name].make_context(name, options)  # type: ignore[attr-defined]  # raises UsageError


@pytest.mark.skipif(sys.platform == "win32", reason="repo2docker does not run on Windows")
def test_repo2docker_takes_the_options_of_the_guide() -> None:
    (line,) = re.findall(r"^jupyter-repo2docker .*$", TEXT, flags=re.M)
    options = [word for word in shlex.split(line) if word.startswith("--")]
    command = [sys.executable, "-m", "repo2docker", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert len(options) == 3
    assert all(re.search(rf"{option}\b", told) for option in options)


def test_the_line_of_the_doctor_looks_as_the_guide_shows_it() -> None:
    (example,) = re.findall(r"^ *`(doctor: ready · [^`]*)`", TEXT, flags=re.M)
    form = [re.sub(r"[\d.]+|Windows|Linux|Darwin", "x", line) for line in (example, for_the_chat())]
    assert form[0] == form[1]


def test_the_link_for_a_hub_brings_this_repository_and_opens_its_first_lesson() -> None:
    (link,) = re.findall(r"^https://hub\S+$", TEXT, flags=re.M)
    address = urlsplit(link)
    assert address.path == "/hub/user-redirect/git-pull"
    project = tomllib.loads((GUIDE.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = parse_qs(address.query, strict_parsing=True)
    assert wanted["repo"] == [project["urls"]["Homepage"]]
    assert wanted["branch"] == ["main"]
    (opened,) = wanted["urlpath"]
    folder = project["urls"]["Homepage"].rsplit("/")[-1]  # nbgitpuller calls the clone like the repository
    assert opened.startswith(f"lab/tree/{folder}/")
    assert (GUIDE.parent.parent / opened.removeprefix(f"lab/tree/{folder}/")).is_file()


def test_every_link_within_the_guide_leads_to_a_heading() -> None:
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", prose, flags=re.M)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#([^)]+)\)", prose)
    assert len(links) > 10
    assert set(links) <= anchors
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
        assert Path(GUIDE.parent, target).exists()
