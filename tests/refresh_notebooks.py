"""Run the notebooks and store their outputs.

    python tests/refresh_notebooks.py             all of them
    python tests/refresh_notebooks.py 01 03       only these
    python tests/refresh_notebooks.py --check     change nothing; exit 1 where a refresh would

A cell keeps its stored output when the new one is equal after sanitising, so a second run changes nothing.
Metadata is fixed: no time stamps, no versions, no state of widgets.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbval.plugin import coalesce_streams, get_sanitize_patterns
from rich.progress import track

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_IN_CELLS = ("tags",)
PATTERNS = get_sanitize_patterns((HERE / "nbval.cfg").read_text(encoding="utf-8"))


def find(names: list[str] | None = None) -> list[Path]:
    """The notebooks whose file names start with one of ``names``; all of them by default."""
    every = sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))
    return [path for path in every if not names or path.name.startswith(tuple(names))]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run all cells in a fresh kernel, in place.  Raises CellExecutionError where a cell fails."""
    os.environ["LABKIT_PROGRESS"] = "off"
    client = NotebookClient(
        notebook,
        timeout=60,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    client.execute()
    return notebook


def refresh(old: NotebookNode) -> NotebookNode:
    """The notebook as it should be stored."""
    new = execute(nbformat.from_dict(old))
    new.metadata = nbformat.from_dict(METADATA)
    number = 0
    for cell, before in zip(new.cells, old.cells, strict=True):
        cell.metadata = {name: cell.metadata[name] for name in KEPT_IN_CELLS if cell.metadata.get(name)}
        if cell.cell_type != "code":
            continue
        number += 1
        cell.outputs = [tidy(output, number) for output in cell.outputs]
        if same(cell.outputs, before.get("outputs", [])) or cannot_run(cell):
            cell.outputs = [tidy(output, number) for output in before.outputs]
        cell.execution_count = number
    return new


def tidy(output: NotebookNode, number: int) -> NotebookNode:
    if "execution_count" in output:
        output.execution_count = number
    if "metadata" in output:
        output.metadata = {}
    return output


def cannot_run(cell: NotebookNode) -> bool:
    """Whether this machine lacks what the cell calls, so that only the stored output tells."""
    return "!curl" in cell.source and shutil.which("curl") is None


def same(new: list[NotebookNode], old: list[NotebookNode]) -> bool:
    return [sanitised(output) for output in coalesce_streams(new)] == [
        sanitised(output) for output in coalesce_streams(old)
    ]


def sanitised(output: NotebookNode) -> object:
    """What nbval compares of an output: its kind and its texts after the patterns."""
    shown = output.get("data") or {key: output.get(key) for key in ("name", "text", "ename", "evalue")}
    return output.output_type, {key: sanitise(value) for key, value in shown.items() if key != "image/png"}


def sanitise(value: object) -> object:
    if not isinstance(value, str):
        return value
    for pattern, replacement in PATTERNS:
        value = re.sub(pattern, replacement, value)
    return value


def main() -> int:
    """Refresh the named notebooks; 1 where ``--check`` finds one that is out of date."""
    parser = argparse.ArgumentParser(description="Run the notebooks and store their outputs.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail where a refresh would")
    parser.add_argument("names", nargs="*", metavar="NAME", help="start of a file name, such as 01")
    options = parser.parse_args()
    paths = find(options.names)
    if not paths:
        parser.error(f"no notebook starts with {' or '.join(options.names) or 'a number'}")
    stale = []
    for path in track(paths, description="Running notebooks"):
        before = path.read_text(encoding="utf-8")
        after = nbformat.writes(refresh(read(path))) + "\n"
        if after != before:
            stale.append(path.name)
            if not options.check:
                path.write_text(after, encoding="utf-8", newline="\n")
    verb = "out of date" if options.check else "refreshed"
    print(f"{len(paths) - len(stale)} unchanged; {verb}: {', '.join(stale) or 'none'}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
