"""``labkit doctor``: is everything here that the lessons need?  The first thing in class.

One line a check: ``ok``, ``note`` (works, but know this) or ``FAIL`` with what to do.  The last line is for
the chat of the class, and says no more than ready or not, and on what.  Nothing is sent anywhere.
"""

import platform
import textwrap
from collections.abc import Sequence

import typer

from labkit.cli.findings import Finding
from labkit.cli.machine import MACHINE
from labkit.cli.software import SOFTWARE

__all__ = ["examine", "for_the_chat"]

#: Columns of a terminal that the last row of a room can read on a projector.
_WIDTH = 88


def examine() -> int:
    """Print every finding as it comes; 0 when nothing failed, 1 otherwise."""
    findings = []
    for check in (*MACHINE, *SOFTWARE):
        for finding in check():
            findings.append(finding)
            typer.echo(_line(finding))
    failed = list(dict.fromkeys(finding.subject for finding in findings if finding.state == "FAIL"))
    if failed:
        typer.echo(f"\nNot ready: mend {', '.join(failed)}, then run labkit doctor again.")
    else:
        typer.echo("\nReady.  Start with: labkit open")
    typer.echo(f"For the chat:  {for_the_chat(failed)}")
    return 1 if failed else 0


def for_the_chat(failed: Sequence[str] = ()) -> str:
    """One line for the chat: ready or what is not, and the versions; nothing about a person or a place."""
    from labkit import __version__

    state = f"not ready: {', '.join(failed)}" if failed else "ready"
    python = ".".join(platform.python_version_tuple()[:2])
    return f"doctor: {state} · labkit {__version__} · Python {python} · {platform.system() or 'unknown'}"


def _line(finding: Finding) -> str:
    begin = f"{finding.state:<5} {finding.subject:<11} "
    return textwrap.fill(
        finding.detail,
        _WIDTH,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_long_words=False,
        break_on_hyphens=False,
    )
