"""What a run found: tables for people, raw figures for programs."""

import dataclasses
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

#: A measured value; ``None`` where there is nothing to measure.
Value = float | int | str | bool | None


@dataclass(kw_only=True)
class Plan:
    """How much of everything: the full run, or the quick one that only shows that the benchmark works."""

    quick: bool = False
    peers: bool = True
    rounds: int = 5
    cache: Path

    def count(self, full: int, quick: int) -> int:
        """``full``, or ``quick`` in a quick run."""
        return quick if self.quick else full


@dataclass(kw_only=True)
class Column:
    """A column of a table: the key of its values, its heading, and how a number is written."""

    key: str
    heading: str
    form: str = ""

    def text(self, row: dict[str, Value]) -> str:
        """The value of ``row`` as it is printed."""
        value = row.get(self.key)
        if value is None:
            return "-"
        return format(value, self.form) if isinstance(value, int | float) and self.form else str(value)


@dataclass(kw_only=True)
class Target:
    """What was to be reached, and whether it was; ``met`` is ``None`` where its peer is absent."""

    text: str
    found: str
    met: bool | None


@dataclass(kw_only=True)
class Section:
    """One table with its targets, its absent contenders and what one must know to read it."""

    name: str
    title: str
    columns: list[Column]
    rows: list[dict[str, Value]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def target(self, text: str, value: float | None, limit: float, *, at_least: bool, form: str) -> None:
        """Hold ``value`` against ``limit``."""
        if value is None:
            self.targets.append(Target(text=text, found="nothing to compare with", met=None))
        else:
            met = value >= limit if at_least else value <= limit
            self.targets.append(Target(text=text, found=format(value, form), met=met))


def median(values: Sequence[float | None]) -> float | None:
    """The median of what was measured, or ``None`` when nothing was."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return statistics.median(known) if known else None


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the ratios round by round: both had the same noise of the machine in a round."""
    return median([a / b for a, b in zip(ours, theirs, strict=False) if b])


def machine() -> dict[str, Value]:
    """Where this was measured."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "load before": load,
    }


class Bystanders:
    """What the machine did besides: work of others, and time that the hypervisor took, in a span of time."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> tuple[float, float, float, float]:
        machine, own = psutil.cpu_times(), os.times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        stolen = getattr(machine, "steal", 0.0)
        # guest time is part of user time already
        total = sum(machine) - getattr(machine, "guest", 0.0) - getattr(machine, "guest_nice", 0.0)
        return total, total - idle - stolen, stolen, sum(own[:4])

    def __str__(self) -> str:
        total, busy, stolen, own = (b - a for a, b in zip(self._before, self._now(), strict=True))
        others = max(0.0, busy - own)
        return f"others used {others / total:.0%} of the machine meanwhile, {stolen / total:.0%} were stolen"


def say(console: Console, text: str) -> None:
    """Print ``text`` as it is."""
    console.print(text, markup=False, highlight=False)


def show(section: Section, console: Console) -> None:
    """Print one section."""
    table = Table(title=section.title, title_justify="left", title_style="bold")
    for column in section.columns:
        table.add_column(column.heading, justify="right" if column.form else "left", no_wrap=True)
    for row in section.rows:
        table.add_row(*(column.text(row) for column in section.columns))
    say(console, "")
    console.print(table)
    for name, reason in section.absent.items():
        say(console, f"  absent: {name}: {reason}")
    for target in section.targets:
        verdict = {True: "met", False: "NOT MET", None: "not judged"}[target.met]
        say(console, f"  {verdict:<10} {target.text}: {target.found}")
    for note in section.notes:
        say(console, f"  note: {note}")


def write(path: Path, plan: Plan, where: dict[str, Value], sections: list[Section]) -> None:
    """Write the raw figures as JSON."""
    report: dict[str, Any] = {
        "machine": where,
        "quick": plan.quick,
        "rounds": plan.rounds,
        "sections": {section.name: dataclasses.asdict(section) for section in sections},
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
