"""``labkit doctor``: is everything here that the lessons need?

One line a check: ``ok``, ``note`` (works, but know this) or ``FAIL`` with what to do.  Nothing is sent out.
"""

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import typer

from labkit.errors import LabkitError

__all__ = ["Finding", "examine"]

#: 2026-11-01T00:00:00Z: no machine that runs this release can honestly be earlier.
_RELEASED = 1_793_491_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found: ``state``, ``subject``, and ``detail`` with what to do unless it is ok."""

    state: Literal["ok", "note", "FAIL"]
    subject: str
    detail: str


def examine() -> int:
    """Print every finding; 0 when nothing failed, 1 otherwise."""
    findings = []
    for check in (_python, _packages, _loopback, _proxy, _clock, _tools, _binder, _start):
        for finding in check():
            findings.append(finding)
            typer.echo(f"{finding.state:<5} {finding.subject:<22} {finding.detail}")
    failed = [finding.subject for finding in findings if finding.state == "FAIL"]
    if failed:
        typer.echo(f"\nNot ready: mend {', '.join(failed)}, then run labkit doctor again.")
        return 1
    typer.echo("\nReady.  Start with: labkit open")
    return 0


def _python() -> Iterator[Finding]:
    version, system = platform.python_version(), platform.system()
    tested = (3, 11) <= sys.version_info[:2] <= (3, 13)
    detail = f"{version} on {system}" + (
        "" if tested else ": the lessons are tested with 3.11, 3.12 and 3.13"
    )
    yield Finding(state="ok" if tested else "note", subject="Python", detail=detail)


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        wanted = importlib.metadata.requires("labkit") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            state="FAIL",
            subject="labkit",
            detail="not installed: run python -m pip install -e . in the clone",
        )
        return
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        again = f"run python -m pip install '{requirement}'"
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(state="FAIL", subject=requirement.name, detail=f"not installed: {again}")
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        detail = version if fits else f"{version} does not fit {requirement.specifier}: {again}"
        yield Finding(state="ok" if fits else "FAIL", subject=requirement.name, detail=detail)


def _loopback() -> Iterator[Finding]:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            with socket.create_connection(server.getsockname(), timeout=5):
                server.accept()[0].close()
    except OSError as error:
        detail = f"{error}: allow Python to listen on 127.0.0.1 in the firewall or security software"
        yield Finding(state="FAIL", subject="loopback", detail=detail)
        return
    yield Finding(state="ok", subject="loopback", detail="programs can talk to each other on 127.0.0.1")
    for port, use in ((8888, "JupyterLab takes the next free one"), (1883, "the lab does not need it")):
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        if taken:
            yield Finding(state="note", subject=f"port {port}", detail=f"in use: {use}")


def _proxy() -> Iterator[Finding]:
    names = [n for n in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy") if os.environ.get(n)]
    excluded = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    if names and not any(host in excluded for host in ("127.0.0.1", "localhost", "*")):
        detail = "curl sends even 127.0.0.1 to the proxy: set NO_PROXY=127.0.0.1,localhost"
        yield Finding(state="note", subject=names[0], detail=detail)


def _clock() -> Iterator[Finding]:
    today = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    if time.time() < _RELEASED:
        yield Finding(state="FAIL", subject="clock", detail=f"{today} is in the past: set the system clock")
    else:
        yield Finding(state="ok", subject="clock", detail=f"{today}; a wrong clock makes good tokens expire")


def _tools() -> Iterator[Finding]:
    if shutil.which("curl"):
        yield Finding(state="ok", subject="curl", detail="found; lesson 01 uses it once")
    else:
        yield Finding(state="note", subject="curl", detail="not found: lesson 01 shows the same in Python")


def _binder() -> Iterator[Finding]:
    if os.environ.get("BINDER_SERVICE_HOST") or os.environ.get("BINDER_LAUNCH_HOST"):
        detail = "this session is temporary: download notebooks that you want to keep"
        yield Finding(state="note", subject="Binder", detail=detail)


def _start() -> Iterator[Finding]:
    try:
        from labkit.lab import Lab

        began = time.perf_counter()
        with Lab() as lab:
            lab.register("doctor")
            with lab.device("doctor") as device:
                device.publish("devices/doctor/check", "ok")
    except (LabkitError, ImportError, OSError, TimeoutError) as error:
        yield Finding(state="FAIL", subject="the lab", detail=f"does not run here: {error}")
        return
    took = time.perf_counter() - began
    yield Finding(
        state="ok", subject="the lab", detail=f"token, CONNECT, PUBLISH and stop took {took * 1000:.0f} ms"
    )
