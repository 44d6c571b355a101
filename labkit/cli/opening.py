"""``labkit open``: JupyterLab on notebook 00, in place from a clone, else on a copy that never overwrites."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

__all__ = ["lesson_folder", "open_lessons", "place_lessons"]

_FIRST = "00-start-here.ipynb"
_PACKAGE = Path(__file__).resolve().parent.parent


def lesson_folder() -> tuple[Path, bool]:
    """Where the notebooks are, and whether that is a clone that may be worked in directly."""
    clone = _PACKAGE.parent / "notebooks"
    if (clone / _FIRST).is_file() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return clone, True
    return _PACKAGE / "_notebooks", False


def place_lessons(folder: Path | None) -> Path:
    """The folder to work in: the clone's own, or ``folder`` with every notebook that it lacks copied in.

    A file that is already there stays as it is: it holds somebody's work.  Copies are signed, so that Jupyter
    shows their saved outputs.
    """
    source, in_clone = lesson_folder()
    if in_clone and folder is None:
        return source
    target = (folder or Path("labkit-notebooks")).resolve()
    fresh = []
    for path in sorted(p for p in source.rglob("*") if p.is_file() and _is_course_material(p)):
        copy = target / path.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            fresh.append(copy)
    if fresh:
        _sign([path for path in fresh if path.suffix == ".ipynb"])
    return target


def open_lessons(folder: Path | None, *, browser: bool, port: int) -> int:
    """Run JupyterLab until it ends, and return its exit status."""
    if find_spec("jupyterlab") is None:
        typer.echo("labkit: JupyterLab is not installed here: pip install jupyterlab", err=True)
        return 1
    try:
        lessons = place_lessons(folder)
        if not (lessons / _FIRST).is_file():
            typer.echo(f"labkit: {lessons} has no {_FIRST}: reinstall labkit, or use a whole clone", err=True)
            return 1
    except OSError as error:
        typer.echo(
            f"labkit: cannot put the notebooks there ({error.strerror}): choose a folder with --dir", err=True
        )
        return 1
    typer.echo(f"Opening the lessons in {lessons}.  Press Ctrl-C to end everything.")
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={lessons}",
        f"--LabApp.default_url=/lab/tree/{_FIRST}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.answer_yes=True",  # one Ctrl-C ends it, without a question
        "--LabApp.extension_manager=readonly",
    ]
    if not browser:
        command.append("--ServerApp.open_browser=False")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container has no other user
    server = subprocess.Popen(command, env=_environment())  # noqa: S603 - our own interpreter, no shell
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # the terminal has sent it to JupyterLab as well, which is ending
            continue


def _environment() -> dict[str, str]:
    """Ours, and a JupyterLab that asks the network for nothing: no news, no updates."""
    paths = [str(_PACKAGE / "cli" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def _is_course_material(path: Path) -> bool:
    return path.suffix != ".py" and not {".ipynb_checkpoints", "__pycache__"} & set(path.parts)


def _sign(notebooks: list[Path]) -> None:
    import nbformat.sign  # half a second, and only copies need it

    untyped: Any = nbformat
    notary = untyped.sign.NotebookNotary()
    for path in notebooks:
        notary.sign(untyped.read(path, as_version=4))
    notary.store.close()
