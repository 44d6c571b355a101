"""The doctor's checks of the machine: Python, disk, loopback, proxy, clock, curl."""

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from labkit.cli.findings import Check, Finding, fail, note, ok

__all__ = ["MACHINE"]

#: 2026-11-01T00:00:00Z: no machine that runs this release can honestly be earlier.
_RELEASED = 1_793_491_200

#: Bytes: less than this, and JupyterLab cannot even save a notebook for long; or not for the whole class.
_FULL, _NEARLY_FULL = 50_000_000, 500_000_000


def _python() -> Iterator[Finding]:
    detail = f"{platform.python_version()} on {platform.system()}"
    if sys.maxsize < 2**32:
        again = "install the 64-bit one: some packages have no other wheels"
        yield note("Python", f"{detail}, a 32-bit program: {again}")
    elif not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield note("Python", f"{detail}: the lessons are tested with 3.11, 3.12 and 3.13")
    else:
        yield ok("Python", detail)
    if "WindowsApps" in Path(sys.base_prefix).parts:
        todo = "if JupyterLab finds no kernel, install the one of python.org"
        yield note("Python", f"comes from the Microsoft Store, which hides its files: {todo}")


def _disk() -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(Path.home()).free
    except (OSError, RuntimeError):
        return  # no home, as in some containers: nothing is lost but this line
    detail = f"{free / 1e9:.1f} GB free"
    if free < _FULL:
        yield fail("disk", f"{detail}: make room, or nothing can be saved")
    elif free < _NEARLY_FULL:
        yield note("disk", f"{detail}: enough for a lesson, but not for much more")
    else:
        yield ok("disk", detail)


def _loopback() -> Iterator[Finding]:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            with socket.create_connection(server.getsockname(), timeout=5):
                server.accept()[0].close()
    except OSError as error:
        why = error.strerror or type(error).__name__
        todo = "allow Python to listen on 127.0.0.1 in the firewall or security software"
        yield fail("loopback", f"{why}: {todo}")
        return
    yield ok("loopback", "programs can talk to each other on 127.0.0.1")
    for port, use in ((8888, "JupyterLab takes the next free one"), (1883, "the lab does not need it")):
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        if taken:
            yield note("loopback", f"port {port} is in use: {use}")


def _proxy() -> Iterator[Finding]:
    names = [n for n in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy") if os.environ.get(n)]
    excluded = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    if names and not any(host in excluded for host in ("127.0.0.1", "localhost", "*")):
        todo = "curl sends even 127.0.0.1 to the proxy: set NO_PROXY=127.0.0.1,localhost"
        yield note("proxy", f"{names[0]} is set, and {todo}")


def _clock() -> Iterator[Finding]:
    now = time.time()
    today = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < _RELEASED:
        yield fail("clock", f"{today} is in the past: set the system clock")
    else:
        yield ok("clock", f"{today}; a wrong clock makes good tokens expire")


def _curl() -> Iterator[Finding]:
    if shutil.which("curl"):
        yield ok("curl", "found; lesson 01 uses it once")
    else:
        yield note("curl", "not found: lesson 01 shows the same in Python")


def _binder() -> Iterator[Finding]:
    if os.environ.get("BINDER_SERVICE_HOST") or os.environ.get("BINDER_LAUNCH_HOST"):
        yield note("Binder", "this session is temporary: download notebooks that you want to keep")


MACHINE: tuple[Check, ...] = (_python, _disk, _loopback, _proxy, _clock, _curl, _binder)
