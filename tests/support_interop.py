"""A lab for clients that nobody here wrote, and their programs.

``thing`` and ``other`` have the default rights; ``reader`` may subscribe to all below ``devices``.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

from support_cli import needs

from labkit import Lab

__all__ = ["Running", "interop_lab", "start"]


@contextlib.contextmanager
def interop_lab(**options: Any) -> Iterator[Lab]:
    """A running lab with the three devices; ``options`` are those of ``Lab``."""
    with Lab(**options) as lab:
        lab.register("thing")
        lab.register("other")
        lab.register("reader", subscribe=["devices/#"])
        yield lab


class Running:
    """A program that has been started; its output is read when it has ended."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def end(self, timeout: float = 20) -> tuple[int, str, str]:
        """Wait for its end: exit status, standard output, standard error."""
        output, errors = self._process.communicate(timeout=timeout)
        return self._process.returncode, output, errors

    def kill(self) -> None:
        """End it without a word to the broker."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self.kill()


def start(program: str, *arguments: str) -> Running:
    """Start ``program``; the test is skipped where there is none."""
    return Running(needs(program), *arguments)
