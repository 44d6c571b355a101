"""Server and load processes: started, watched, and gone when the benchmark is gone.

All are killed with their whole process group at exit.  Our own and the npm servers also end when their
standard input does, so that not even ``kill -9`` of the benchmark leaves one behind.
"""

import atexit
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Unavailable(Exception):
    """A contender cannot run here; the message says why."""


class Child:
    """A process of ours, its standard output by lines, its CPU time and its memory."""

    def __init__(
        self, command: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.errors = scratch() / f"stderr-{time.monotonic_ns()}.txt"
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | {"PYTHONPATH": path} | (env or {}),
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches the benchmark, and that ends the children in order
            )
        _children.append(self)
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ps = psutil.Process(self.process.pid)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for line in self.process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def facts(self, timeout: float) -> dict[str, Any]:
        """The next line of JSON that the child prints.

        Raises:
            Unavailable: it ended, or said nothing within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Unavailable(f"said nothing within {timeout:g} s{self.tail()}") from None
            if not line:
                raise Unavailable(f"ended early{self.tail()}")
            if line.startswith(b"{"):
                facts: dict[str, Any] = json.loads(line)
                return facts

    def ask(self, question: str, timeout: float = 30.0) -> dict[str, Any]:
        """Send one line, and return the line of JSON that comes back."""
        assert self.process.stdin is not None
        self.process.stdin.write(question.encode() + b"\n")
        self.process.stdin.flush()
        return self.facts(timeout)

    def tail(self) -> str:
        """The end of its standard error, to put behind a message; empty when it said nothing."""
        text = self.errors.read_text(errors="replace").strip()
        return f": {text[-300:]}" if text else ""

    def cpu(self) -> float:
        """CPU seconds of the process and of what it started, user and system together."""
        total = 0.0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def rss(self) -> float:
        """Resident memory of the process and of what it started, in MB."""
        total = 0
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 1e6

    def peak_rss(self) -> float | None:
        """The most memory the process itself ever had, in MB, where the system tells."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
        peak = getattr(self._ps.memory_info(), "peak_wset", None)  # Windows
        return peak and peak / 1e6

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return [self._ps, *self._ps.children(recursive=True)]
        return []

    def settle(self, limit: float = 3.0) -> None:
        """Wait until the process is idle: what a load left behind counts as part of the load."""
        deadline = time.monotonic() + limit
        before = self.cpu()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu()
            if now - before < 0.011:  # one tick of the kernel's accounting
                return
            before = now

    def stop(self) -> None:
        """End it now; gently first, and its whole group in any case."""
        if self in _children:
            _children.remove(self)
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(3)  # the pipe has ended with the last process of the group
        if self.process.stdout is not None and not self._reader.is_alive():
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def python(script: str, *arguments: str) -> Child:
    """A child that runs one of the scripts of this folder."""
    return Child([sys.executable, str(HERE / script), *arguments])


def run_load(script: str, job: dict[str, Any], *, limit: float) -> dict[str, Any]:
    """Run a load client in a process of its own on ``job``; ``limit`` bounds it, in seconds."""
    path = scratch() / f"job-{time.monotonic_ns()}.json"
    path.write_text(json.dumps(job | {"limit": limit}))
    try:
        with python(script, str(path)) as client:
            return client.facts(limit + 20)
    finally:
        path.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago, for servers that cannot choose one themselves."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


_children: list[Child] = []
_scratch: list[Path] = []


def scratch() -> Path:
    """A folder for this run; removed at exit."""
    if not _scratch:
        _scratch.append(Path(tempfile.mkdtemp(prefix="labkit-bench-")))
        _scratch[0].chmod(0o755)  # mosquitto drops to a user of its own before it reads some files
    return _scratch[0]


@atexit.register
def _clean() -> None:
    for child in list(_children):
        child.stop()
    for folder in _scratch:
        shutil.rmtree(folder, ignore_errors=True)
