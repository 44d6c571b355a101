"""The maintainer's command: what it keeps, what it finds, and what it says when a cell fails."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from refresh_notebooks import METADATA, CellFailed, differing, execute, main, opened, read, same

PICTURE = """class Picture:
    def __repr__(self):
        return "text"

    def _repr_html_(self):
        return "<b>text</b>"


Picture()"""


def shown(**data: str) -> list[NotebookNode]:
    return [new_output("execute_result", data={kind.replace("_", "/"): text for kind, text in data.items()})]


def stored(folder: Path, *sources: str) -> Path:
    path = folder / "00-sample.ipynb"
    cells = [new_markdown_cell("# Sample"), *(new_code_cell(source) for source in sources)]
    path.write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
    return path


def test_a_second_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = stored(tmp_path, "print('one')", "object", "object()", PICTURE)
    assert main(["--check"], tmp_path) == 1
    assert main([], tmp_path) == 0
    first = path.read_bytes()
    assert main(["--check", "--times", "2"], tmp_path) == 0
    assert "2 unchanged, 0 out of date, 0 failed" in capsys.readouterr().out
    assert main([], tmp_path) == 0
    assert path.read_bytes() == first
    notebook = read(path)
    assert notebook.metadata == nbformat.from_dict(METADATA)
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4]
    # the order within a file is fixed: by name
    (output,) = json.loads(first)["cells"][-1]["outputs"]
    assert list(output["data"]) == ["text/html", "text/plain"]


@pytest.mark.parametrize("change", [("text/plain", "another"), ("text/html", "<i>text</i>")])
def test_a_change_of_text_or_of_html_is_found_and_its_cell_named(
    change: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path, "print('one')", PICTURE)
    main([], tmp_path)
    notebook = read(path)
    notebook.cells[2].outputs[0].data[change[0]] = change[1]
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    before = path.read_bytes()
    assert main(["--check"], tmp_path) == 1
    assert "out of date: 00-sample.ipynb: cell 2" in capsys.readouterr().out
    assert path.read_bytes() == before, "--check changes nothing"


@pytest.mark.parametrize(
    ("new", "old", "equal"),
    [
        (shown(text_plain="a"), shown(text_plain="a"), True),
        (shown(text_plain="a"), shown(text_plain="b"), False),
        (shown(text_plain="a", text_html="<b>a</b>"), shown(text_plain="a"), False),
        (shown(text_plain="a", text_html="<b>a</b>"), shown(text_plain="a", text_html="<i>a</i>"), False),
        (shown(text_plain="<o at 0x7f12345678>"), shown(text_plain="<o at 0x7fabcdef00>"), True),
        (shown(text_html="<o at 0x7f12345678>"), shown(text_html="<o at 0x7fabcdef00>"), True),
        ([], shown(text_plain="a"), False),
        (
            [new_output("stream", text="a"), new_output("stream", text="b")],
            [new_output("stream", text="ab")],
            True,
        ),
    ],
)
def test_what_counts_as_the_same(new: Any, old: Any, equal: bool) -> None:
    assert same(new, old) is equal


def test_a_cell_that_fails_is_named_and_shown_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path, "print('one')", "x = 1\nx / 0", "print('never')")
    before = path.read_bytes()
    for arguments in ([], ["--check"]):
        assert main(arguments, tmp_path) == 1
        out = capsys.readouterr().out
        assert "00-sample.ipynb: code cell 2 raised ZeroDivisionError: division by zero" in out
        assert "    x = 1\n    x / 0\n" in out
        assert "Traceback" not in out
        assert "\x1b" not in out
        assert len(out.splitlines()) < 10
    assert path.read_bytes() == before


def test_a_kernel_that_dies_is_told_too() -> None:
    with pytest.raises(CellFailed, match="code cell 1 ended its kernel"):
        execute(new_notebook(cells=[new_code_cell("import os\nos._exit(3)")]))


def test_a_kernel_gets_the_environment_it_is_given() -> None:
    notebook = new_notebook(cells=[new_code_cell("a = 1")])
    with opened(notebook, {"LABKIT_SAMPLE": "here"}) as kernel:
        kernel.run(0)
        (output,) = kernel.run_text(
            "import os\nprint(a, os.environ['LABKIT_SAMPLE'], os.environ['LABKIT_PROGRESS'])"
        )
    assert output.text == "1 here off\n"
    assert len(notebook.cells) == 1


def test_a_name_that_no_notebook_has_is_refused(tmp_path: Path) -> None:
    stored(tmp_path, "1")
    with pytest.raises(SystemExit):
        main(["77"], tmp_path)


def test_a_difference_in_form_only_is_told_as_such() -> None:
    one, other = (
        new_notebook(cells=[new_code_cell("1")]),
        new_notebook(cells=[new_code_cell("1", execution_count=3)]),
    )
    assert differing(one, other) == ["numbers or metadata"]
