"""``labkit wheelhouse DIR``: one folder from which labkit installs without a network.

For a room without Wi-Fi: made once where there is one, then carried in on a USB stick.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from labkit.cli.opening import lesson_folder
from labkit.cli.wheels import PLATFORMS, PYTHONS, Target, missing
from labkit.errors import LabkitError

__all__ = ["WheelhouseFailed", "collect", "targets"]

#: Bytes.  One system and one Python take less than a third of it.
_ROOM = 300_000_000
_FETCHED = re.compile(r"(?:Downloading|Using cached|Processing) (?:\S*[/\\])?([^/\\\s]+\.whl)(?![.\w])")
_OFFLINE = re.compile(
    r"NameResolutionError|NewConnectionError|name resolution|getaddrinfo|ConnectTimeout|timed out|ProxyError"
    r"|CERTIFICATE_VERIFY|connection broken|Network is unreachable",
    re.IGNORECASE,
)
_NO_WHEEL = re.compile(r"No matching distribution found for (.+)")


class WheelhouseFailed(LabkitError):
    """The folder could not be filled; the text says why, and what to do."""


def targets(platforms: Sequence[str], pythons: Sequence[str]) -> list[Target]:
    """What to collect for; by default this machine with this Python.

    Raises:
        WheelhouseFailed: a name is not known, or this machine has none.
    """
    names = list(PLATFORMS) if "all" in platforms else list(platforms or [_this_platform()])
    versions = list(PYTHONS) if "all" in pythons else list(pythons or [platform.python_version()])
    for name in names:
        if name not in PLATFORMS:
            raise WheelhouseFailed(f"no platform is called {name!r}: choose {_or(PLATFORMS)}")
    short = [".".join(version.split(".")[:2]) for version in versions]
    for version in short:
        if not re.fullmatch(r"3\.[1-9]\d", version) or version == "3.10":
            raise WheelhouseFailed(f"{version!r} is no Python that labkit runs on: choose {_or(PYTHONS)}")
    return [
        Target(PLATFORMS[name], version) for name in dict.fromkeys(names) for version in dict.fromkeys(short)
    ]


def collect(folder: Path, wanted: Sequence[Target]) -> int:
    """Fill ``folder`` with labkit and everything it needs on each target, and say how to install from it.

    Raises:
        WheelhouseFailed: no clone, no pip, no room, no network, or no wheel for a target.
    """
    _clone()
    folder = folder.expanduser().resolve()
    _prepare(folder)
    typer.echo("labkit itself")
    build(folder)
    for target in wanted:
        typer.echo(f"\n{target}")
        try:
            while lacking := missing(folder, target):
                named = map(str, lacking)
                _pip(
                    "download", *target.pip_options, "--no-deps", "--dest", str(folder), *named, about=target
                )
        except ValueError as damaged:
            raise WheelhouseFailed(str(damaged)) from damaged
        typer.echo("  complete")
    (folder / "INSTALL.txt").write_text(_INSTALL, encoding="utf-8")
    wheels = list(folder.glob("*.whl"))
    size = sum(path.stat().st_size for path in wheels) / 1e6
    typer.echo(f"\n{len(wheels)} wheels, {size:.0f} MB, in {folder}")
    typer.echo(_AND_NOW)
    return 0


def build(folder: Path) -> None:
    """Put a wheel of this clone, with its notebooks, into ``folder``, in place of an older one."""
    for old in folder.glob("labkit-*.whl"):
        old.unlink()
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(_clone()))


def _clone() -> Path:
    notebooks, in_clone = lesson_folder()
    if not in_clone:
        raise WheelhouseFailed("a wheelhouse is made from a clone of the repository: run this command there")
    return notebooks.parent


def _prepare(folder: Path) -> None:
    probe = folder / ".labkit-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise WheelhouseFailed(
            f"cannot write to {folder} ({error.strerror}): choose another folder"
        ) from error
    if free < _ROOM:
        raise WheelhouseFailed(f"{folder} has {free / 1e6:.0f} MB left, and {_ROOM / 1e6:.0f} MB are wanted")


def _pip(*arguments: str, about: Target | None = None) -> None:
    """Run pip, and show the name of each file as it arrives."""
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=1", "--timeout=20"]
    command = [sys.executable, "-m", "pip", arguments[0], *quiet, *arguments[1:]]
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            said.append(line.strip())
            if fetched := _FETCHED.search(line):
                typer.echo(f"  {fetched[1]}")
    if pip.returncode != 0:
        raise WheelhouseFailed(_reason(said, about))


def _reason(said: list[str], about: Target | None = None) -> str:
    """The one thing in pip's many words that the teacher can do something about."""
    text = "\n".join(said)
    if "No module named pip" in text:
        return "this Python has no pip: run python -m ensurepip, then this command again"
    if "No space left" in text or "not enough space" in text:
        return "the disk is full: make room, and run this command again (what is there is kept)"
    if _OFFLINE.search(text):
        return "pip cannot reach its package index: a wheelhouse is made where there is a network"
    if found := _NO_WHEEL.search(text):
        return f"there is no wheel of {found[1].strip()} for {about or 'this machine'}"
    errors = [line for line in said if line.startswith("ERROR")] or said or ["it said nothing"]
    return f"pip failed: {errors[-1].removeprefix('ERROR:').strip()[:300]}"


def _this_platform() -> str:
    system, machine = platform.system(), platform.machine().lower()
    for name, each in PLATFORMS.items():
        if (each.markers["platform_system"], each.markers["platform_machine"].lower()) == (system, machine):
            return name
    raise WheelhouseFailed(
        f"no list of wheels for {system} on {machine}: choose {_or(PLATFORMS)} with --platform"
    )


def _or(names: Iterable[str]) -> str:
    return f"{', '.join(names)} or all"


_INSTALL = """\
labkit, without a network
=========================

Python 3.11, 3.12 or 3.13 has to be there already.  Open a terminal: it opens in your home folder.  In the
second line write the place of this folder for FOLDER, for example D:\\wheels or /media/stick/wheels.

Windows (-3.11 or -3.13 will do as well)

    py -3.12 -m venv labkit-env
    labkit-env\\Scripts\\python -m pip install --no-index --find-links "FOLDER" labkit
    labkit-env\\Scripts\\labkit doctor
    labkit-env\\Scripts\\labkit open

macOS and Linux (on Debian and Ubuntu the first line needs the package python3-venv)

    python3 -m venv labkit-env
    labkit-env/bin/python -m pip install --no-index --find-links "FOLDER" labkit
    labkit-env/bin/labkit doctor
    labkit-env/bin/labkit open

The lessons are copied to a folder labkit-notebooks in your home folder.
"""

_AND_NOW = """\
Copy the folder to USB sticks, or to a shared folder of your school.  Learners run, with its place for FOLDER:

  python3 -m venv labkit-env
  labkit-env/bin/python -m pip install --no-index --find-links "FOLDER" labkit
  labkit-env/bin/labkit doctor

INSTALL.txt in the folder says the same, for Windows as well."""
