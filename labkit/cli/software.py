"""The doctor's checks of what is installed: packages, notebooks, the kernel, and the lab itself."""

import importlib.metadata
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.cli.findings import Check, Finding, fail, note, ok
from labkit.cli.opening import lesson_folder
from labkit.errors import LabkitError

__all__ = ["SOFTWARE"]

#: What a teacher asks for first when something behaves differently.
_NAMED = ("jupyterlab", "amqtt", "authlib", "paho-mqtt", "pyjwt")

#: Seconds.  A cold start on a slow laptop with a virus scanner takes ten.
_PATIENCE = 30


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(each) for each in importlib.metadata.requires("labkit") or []]
    except importlib.metadata.PackageNotFoundError:
        yield fail("labkit", "not installed: run python -m pip install -e . in the clone")
        return
    here = {}
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        again = f"run python -m pip install '{requirement.name}{requirement.specifier}'"
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield fail(requirement.name, f"not installed: {again}")
            continue
        if requirement.specifier.contains(version, prereleases=True):
            here[requirement.name] = version
        else:
            yield fail(requirement.name, f"{version} does not fit {requirement.specifier}: {again}")
    named = ", ".join(f"{name} {here[name]}" for name in _NAMED if name in here)
    yield ok("packages", f"{len(here)} fit: {named}")


def _notebooks() -> Iterator[Finding]:
    source, in_clone = lesson_folder()
    count = len(list(source.glob("[0-9][0-9]-*.ipynb")))
    if not count:
        yield fail("notebooks", "not found: reinstall labkit, or use a whole clone")
        return
    place = source if in_clone else Path.cwd()
    what = f"{count} lessons, " + ("opened where they are" if in_clone else "copied here by labkit open")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError:
        todo = "run labkit open --dir with a folder of your own"
        yield note("notebooks", f"{count} lessons, but this folder cannot be written: {todo}")
    else:
        yield ok("notebooks", what)


def _kernel() -> Iterator[Finding]:
    """Start what JupyterLab starts for a notebook, in the folder where it does."""
    try:
        from jupyter_client.kernelspec import NoSuchKernel
        from jupyter_client.manager import start_new_kernel
    except ImportError as error:
        yield fail("kernel", f"{error}: run python -m pip install jupyterlab")
        return
    folder = lesson_folder()[0]
    began = time.perf_counter()
    manager: Any = None
    try:
        manager, client = start_new_kernel(
            kernel_name="python3",
            startup_timeout=_PATIENCE,
            cwd=str(folder if folder.is_dir() else Path.cwd()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        answer = client.execute("import labkit", reply=True, timeout=_PATIENCE, store_history=False)
        client.stop_channels()
        content = answer["content"]
    except NoSuchKernel:
        yield fail("kernel", "none is called python3: run python -m ipykernel install --sys-prefix")
    except (OSError, RuntimeError, TimeoutError) as error:
        todo = "run python -m pip install --force-reinstall ipykernel"
        yield fail("kernel", f"does not start ({str(error).split('.')[0]}): {todo}")
    else:
        if content["status"] == "ok":
            took = time.perf_counter() - began
            yield ok("kernel", f"a notebook's Python starts and finds labkit in {took:.1f} s")
        else:
            todo = "run jupyter kernelspec remove python3"
            yield fail("kernel", f"notebooks run in another Python ({content.get('ename')}): {todo}")
    finally:
        if manager is not None:
            with suppress(RuntimeError, OSError):
                manager.shutdown_kernel(now=True)


def _lab() -> Iterator[Finding]:
    try:
        from labkit.lab import Lab

        began = time.perf_counter()
        with Lab() as lab:
            lab.register("doctor")
            with lab.device("doctor") as device:
                device.publish("devices/doctor/check", "ok")
    except (LabkitError, ImportError, OSError, TimeoutError) as error:
        yield fail("the lab", f"does not run here: {error}")
        return
    took = time.perf_counter() - began
    yield ok("the lab", f"token, CONNECT, PUBLISH and stop took {took * 1000:.0f} ms")


SOFTWARE: tuple[Check, ...] = (_packages, _notebooks, _kernel, _lab)
