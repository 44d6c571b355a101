"""The command line: which sections, how much of each, and where the figures go."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import connects, flows, labs, swaps, tokens, validation
from bench.children import Unavailable
from bench.report import Bystanders, Plan, Section, machine, say, show, write

SECTIONS: dict[str, Callable[[Plan], Section]] = {
    "tokens": tokens.measure,
    "connect": connects.admissions,
    "refuse": connects.refusals,
    "start": labs.start,
    "memory": labs.memory,
    "validate": validation.measure,
    "swap": swaps.measure,
    "flow": flows.measure,
}


def main(description: str) -> None:
    """Measure what the command line asks for."""
    options = _options(description)
    plan = Plan(
        quick=options.quick,
        peers=not (options.quick or options.no_peers),
        rounds=options.rounds or (1 if options.quick else 5),
        cache=options.cache,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(width=None if sys.stdout.isatty() else 150)
    where = machine()
    say(console, ", ".join(f"{name}: {value}" for name, value in where.items()))
    found: list[Section] = []
    for name in options.only or SECTIONS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        started, bystanders = time.monotonic(), Bystanders()
        try:
            section = SECTIONS[name](plan)
        except Unavailable as reason:
            absent = {"labkit": str(reason)}
            section = Section(name=name, title=f"{name}: not measured", columns=[], absent=absent)
        section.notes.append(str(bystanders))
        show(section, console)
        print(f"({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
        found.append(section)
    if options.json:
        write(options.json, plan, where, found)


def _options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/bench",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or tempfile.gettempdir()) / "labkit-bench"
    parser.add_argument(
        "--only", action="append", choices=list(SECTIONS), help="one section; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="a few requests and no peers: does it work?")
    parser.add_argument("--no-peers", action="store_true", help="our own servers only")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each load (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures to FILE")
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="where the npm packages go")
    return parser.parse_args()
