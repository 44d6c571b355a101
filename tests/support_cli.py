"""Running labkit's command and other people's clients."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

import pytest

__all__ = ["absent", "needs", "run_labkit"]


def needs(program: str) -> str:
    """The path of ``program``; skips the test where it is absent, or fails it where CI promised it."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    return path or absent(f"{program} is not installed")


def absent(reason: str) -> NoReturn:
    """Skip the test, or fail it where CI promised that nothing is missing."""
    if os.environ.get("LABKIT_REQUIRE_ALL"):
        pytest.fail(f"{reason}, and LABKIT_REQUIRE_ALL is set")
    pytest.skip(reason)


def run_labkit(*arguments: str, input: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run ``labkit ARGUMENTS`` to its end."""
    command: Sequence[str] = [sys.executable, "-m", "labkit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, input=input)
