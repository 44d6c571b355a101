"""How long the lessons take: counted in the notebooks, and measured by running them.

    python tests/timings.py            print the minutes of every section
    python tests/timings.py --write    put them into the teacher's guide
    python tests/timings.py --run      also run every notebook, for seconds and memory

Reading is counted, not guessed: so many words, lines and cells, at the speeds below.  They are those of
somebody who reads English as a second language and runs every cell.  What a class really takes, only a class
can tell: its chat has the time beside every status code.
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from nbclient import NotebookClient
from nbformat import NotebookNode
from refresh_notebooks import NOTEBOOKS, find, read

GUIDE = NOTEBOOKS / "TEACHING.md"
WORDS_A_MINUTE = 170
#: Seconds to look at one of these.
SECONDS = {"lines": 2, "shown": 1, "cells": 5, "predictions": 20}
#: A picture is looked at, and not read line by line.
LOOKED_AT = 15
#: Minutes: to read the question and think, for each blank, and for the three questions of a quiz.
EXERCISE, BLANK, QUIZ = 2.0, 0.5, 2.0
#: Blocks of text are looked at, and the list of sections of the standards is looked up.
_NOT_READ = re.compile(r"^```.*?^```|^\*\*In the standards:\*\*[^\n]*", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"\w[\w'’-]*")


@dataclass(slots=True)
class Section:
    """One ``##`` section of a lesson, counted."""

    title: str
    words: int = 0
    lines: int = 0
    shown: int = 0
    cells: int = 0
    predictions: int = 0
    exercises: list[str] = field(default_factory=list)
    blanks: dict[str, int] = field(default_factory=dict)

    @property
    def reading(self) -> float:
        """Minutes to read the section and run its cells."""
        looking = sum(seconds * getattr(self, name) for name, seconds in SECONDS.items())
        return self.words / WORDS_A_MINUTE + looking / 60

    def doing(self, names: list[str] | None = None) -> float:
        """Minutes for the exercises called ``names``, by default for all."""
        chosen = self.exercises if names is None else [each for each in self.exercises if each in names]
        return sum(QUIZ if name == "quiz" else EXERCISE + BLANK * self.blanks[name] for name in chosen)


def sections(notebook: NotebookNode) -> list[Section]:
    """The sections of a lesson; what stands before the first heading is called by the lesson's own title."""
    found = [Section(notebook.cells[0].source.split("\n")[0].removeprefix("# "))]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _count_code(found[-1], cell)
            continue
        prose = _NOT_READ.sub("", cell.source)
        for line in prose.split("\n"):
            if line.startswith("## "):
                found.append(Section(line.removeprefix("## ")))
            found[-1].words += len(_WORD.findall(line))
            found[-1].predictions += "**Predict.**" in line
    return found


def _count_code(section: Section, cell: NotebookNode) -> None:
    names = [
        tag.removeprefix("exercise:") for tag in cell.metadata.get("tags", []) if tag.startswith("exercise:")
    ]
    if names:
        section.exercises += names
        section.blanks[names[0]] = cell.source.count("____") - 1  # one of them is imported
        return
    section.cells += 1
    section.lines += sum(bool(line.strip()) for line in cell.source.split("\n"))
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        section.shown += min(LOOKED_AT, len(text.strip().split("\n")))


def counted() -> dict[str, list[Section]]:
    """Every lesson by its number."""
    return {path.name[:2]: sections(read(path)) for path in find()}


def stated(notebook: NotebookNode) -> tuple[int, int, int]:
    """The minutes that the first page promises: in all, to read and run, for exercises and quiz."""
    line = re.search(
        r"\*\*Time:\*\* (\d+) minutes: (\d+) to read and run, (\d+) for ", notebook.cells[0].source
    )
    assert line is not None, notebook.cells[0].source
    whole, reading, doing = map(int, line.groups())
    return whole, reading, doing


def table() -> str:
    """The minutes of every section, as the guide has them."""
    rows = ["| lesson and section | read and run | exercises |", "|---|---:|---:|"]
    for number, parts in counted().items():
        title = parts[0].title.removeprefix(f"{number} · ")
        rows.append(f"| **{number} · {title}** | {_round(parts, 1)} | {_round(parts, 2)} |")
        for part in parts[1:]:
            named = " ".join(f"`{name}`" for name in part.exercises)
            exercises = f"{_halves(part.doing())} {named}" if named else ""
            rows.append(f"| {part.title} | {_halves(part.reading)} | {exercises} |")
    return "\n".join(rows)


def _round(parts: list[Section], column: int) -> str:
    return f"**{sum(part.reading if column == 1 else part.doing() for part in parts):.0f}**"


def _halves(minutes: float) -> str:
    return f"{max(0.5, round(minutes * 2) / 2):g}"


def measure(path: Path) -> tuple[float, float, float]:
    """Seconds of a lesson and of its longest cell, and the megabytes of its kernel in the end."""
    notebook, longest = read(path), 0.0
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", record_timing=False)
    client.resources = {"metadata": {"path": str(NOTEBOOKS)}}
    started = time.perf_counter()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            began = time.perf_counter()
            client.execute_cell(cell, index)
            longest = max(longest, time.perf_counter() - began)
        kernel = psutil.Process(client.km.provisioner.pid)  # type: ignore[union-attr]
        return time.perf_counter() - started, longest, kernel.memory_info().rss / 1e6


def measured() -> str:
    """Two sentences about running all lessons here and now."""
    whole, longest, memory = zip(*map(measure, find()), strict=True)
    return (
        f"A whole lesson, from the start of its kernel to its last cell, ran in {max(whole):.0f} seconds at "
        f"most; its longest\ncell took {max(longest):.1f} s. In the end a kernel with its lab held "
        f"{min(memory):.0f} to {max(memory):.0f} MB."
    )


def put(text: str, name: str, block: str) -> str:
    """``text`` with what stands between the marks of ``name`` replaced by ``block``."""
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = text.split(marks[0])
    return f"{before}{marks[0]}\n{block}\n{marks[1]}{rest.split(marks[1])[1]}"


def get(text: str, name: str) -> str:
    """What stands between the marks of ``name``."""
    return text.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="How long the lessons take.")
    parser.add_argument("--write", action="store_true", help="put the results into the teacher's guide")
    parser.add_argument("--run", action="store_true", help="also run every notebook")
    options = parser.parse_args()
    blocks = {"timings": table()} | ({"measured": measured()} if options.run else {})
    if options.write:
        text = GUIDE.read_text(encoding="utf-8")
        for name, block in blocks.items():
            text = put(text, name, block)
        GUIDE.write_text(text, encoding="utf-8", newline="\n")
    print("\n\n".join(blocks.values()))
    for path in find():
        parts = sections(read(path))
        reading, doing = sum(part.reading for part in parts), sum(part.doing() for part in parts)
        counts = f"{reading + doing:.0f}: {reading:.1f} + {doing:.1f}"
        print(f"{path.name[:2]}  says {stated(read(path))}, counted {counts}")


if __name__ == "__main__":
    sys.exit(main())
