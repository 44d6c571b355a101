"""Running labkit's command and other people's clients."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

__all__ = ["UP", "absent", "ended", "labkit_up", "needs", "run_labkit"]

UP = (sys.executable, "-m", "labkit", "up")


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


@contextmanager
def labkit_up(*options: str) -> "Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]":
    """``labkit up --json OPTIONS``: what it says, and its process, which does not outlive the block."""
    flags = subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0
    server = subprocess.Popen(
        [*UP, "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=flags,
    )
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline()), server
    finally:
        server.kill()
        server.communicate(timeout=10)


def ended(server: "subprocess.Popen[str]", name: str = "SIGTERM") -> tuple[int, str, str]:
    """End ``labkit up`` by that signal: exit status, and what is left of its output and its errors."""
    if sys.platform == "win32":
        server.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        server.send_signal(getattr(signal, name))
    output, errors = server.communicate(timeout=10)
    return server.returncode, output, errors
