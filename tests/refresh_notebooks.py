"""Run the notebooks and store their outputs.

    python tests/refresh_notebooks.py             all of them
    python tests/refresh_notebooks.py 01 03       only these
    python tests/refresh_notebooks.py --check     change nothing; exit 1 where a refresh would
    python tests/refresh_notebooks.py --check --times 20     the same twenty times over

A cell keeps its stored output when the new one is equal after sanitising, in plain text as well as in HTML,
so a second run changes nothing.  Metadata is fixed: no time stamps, no versions, no state of widgets.
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbval.plugin import coalesce_streams, get_sanitize_patterns
from rich.console import Console
from rich.progress import track

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_IN_CELLS = ("tags",)
PATTERNS = get_sanitize_patterns((HERE / "nbval.cfg").read_text(encoding="utf-8"))


class CellFailed(Exception):
    """A cell did not run to its end; the text says which one, and shows it."""

    def __init__(self, number: int, source: str, reason: str) -> None:
        self.number = number
        code = "\n".join(f"    {line}".rstrip() for line in source.split("\n"))
        super().__init__(f"code cell {number} {reason}\n\n{code}\n")


class Kernel:
    """A running kernel and the cells of one notebook."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client
        self.cells: list[NotebookNode] = client.nb.cells

    def run(self, index: int) -> list[NotebookNode]:
        """Run the cell of that index, whatever ran before, and return its outputs; raises CellFailed."""
        cell = self.cells[index]
        number = sum(each.cell_type == "code" for each in self.cells[: index + 1])
        try:
            self._client.execute_cell(cell, index)
        except CellExecutionError as error:
            raise CellFailed(number, cell.source, f"raised {error.ename}: {error.evalue}") from None
        except CellTimeoutError:
            raise CellFailed(number, cell.source, f"took more than {self._client.timeout} s") from None
        except DeadKernelError:
            raise CellFailed(number, cell.source, "ended its kernel") from None
        return list(cell.get("outputs", []))

    def run_text(self, source: str) -> list[NotebookNode]:
        """Run code that is in no cell."""
        self.cells.append(nbformat.v4.new_code_cell(source))
        try:
            return self.run(len(self.cells) - 1)
        finally:
            self.cells.pop()


@contextmanager
def opened(notebook: NotebookNode, env: Mapping[str, str] | None = None) -> Iterator[Kernel]:
    """A fresh kernel for a notebook, with these variables added to its environment."""
    client = NotebookClient(
        notebook,
        timeout=60,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # what it says of itself is of no use here
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    variables = {**os.environ, "LABKIT_PROGRESS": "off", **(env or {})}
    with client.setup_kernel(env=variables):
        yield Kernel(client)


def find(names: list[str] | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks whose file names start with one of ``names``; all of them by default."""
    every = sorted(folder.glob("[0-9][0-9]-*.ipynb"))
    return [path for path in every if not names or path.name.startswith(tuple(names))]


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run all cells in a fresh kernel, in place.  Raises CellFailed."""
    with opened(notebook) as kernel:
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                kernel.run(index)
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
    """What nbval compares of an output: its kind and its texts, HTML among them, after the patterns."""
    shown = output.get("data") or {key: output.get(key) for key in ("name", "text", "ename", "evalue")}
    return output.output_type, {key: sanitise(value) for key, value in shown.items() if key != "image/png"}


def sanitise(value: object) -> object:
    if not isinstance(value, str):
        return value
    for pattern, replacement in PATTERNS:
        value = re.sub(pattern, replacement, value)
    return value


def differing(new: NotebookNode, old: NotebookNode) -> list[str]:
    """Where two states of a notebook differ: its code cells by number, or else its form."""
    pairs = [pair for pair in zip(new.cells, old.cells, strict=True) if pair[0].cell_type == "code"]
    cells = [
        f"cell {number}"
        for number, (one, other) in enumerate(pairs, 1)
        if one.get("outputs") != other.get("outputs")
    ]
    return cells or ["numbers or metadata"]


def main(arguments: list[str] | None = None, folder: Path = NOTEBOOKS) -> int:
    """Refresh the named notebooks; 1 where a cell fails, or ``--check`` finds one that is out of date."""
    parser = argparse.ArgumentParser(description="Run the notebooks and store their outputs.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail where a refresh would")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="do it N times over")
    parser.add_argument("names", nargs="*", metavar="NAME", help="start of a file name, such as 01")
    options = parser.parse_args(arguments)
    paths = find(options.names, folder)
    if not paths:
        parser.error(f"no notebook starts with {' or '.join(options.names) or 'a number'}")
    runs = [*product(range(1, options.times + 1), paths)]
    stale, failed = [], []
    for time, path in track(runs, "Running notebooks", console=Console(stderr=True)):
        name = path.name if options.times == 1 else f"{path.name} (run {time})"
        before = path.read_text(encoding="utf-8")
        try:
            new = refresh(read(path))
        except CellFailed as failure:
            failed.append(f"{name}: {failure}")
            continue
        after = nbformat.writes(new) + "\n"
        if after != before:
            stale.append(f"{name}: {', '.join(differing(new, read(path)))}")
            if not options.check:
                path.write_text(after, encoding="utf-8", newline="\n")
    verb = "out of date" if options.check else "refreshed"
    for line in (*failed, *(f"{verb}: {each}" for each in stale)):
        print(line)
    print(f"{len(runs) - len(stale) - len(failed)} unchanged, {len(stale)} {verb}, {len(failed)} failed")
    return 1 if failed or (options.check and stale) else 0


if __name__ == "__main__":
    sys.exit(main())
