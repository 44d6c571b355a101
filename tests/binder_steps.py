"""What Binder does with this repository, asked of repo2docker and done without Docker.

    python tests/binder_steps.py          print the Dockerfile that repo2docker makes of this clone
    python tests/binder_steps.py --run    do its steps on a fresh clone, in a fresh environment

The second one needs the network and a minute, so .ci/run calls it and pytest does not.  It takes the Python
that the image has, where this machine has it, and begins with the releases that the image already has of what
labkit needs, because that is what pip meets there.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = "notebooks/00-start-here.ipynb"
#: A line of a conda lock file ends in NAME-VERSION-BUILD.conda, and a name may have dashes in it.
_LOCKED = re.compile(r"/([^/]+)-([\d.]+(?:post\d+)?)-[^-/]+\.(?:conda|tar\.bz2)")
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
#: Exit status 1 with the names of the notebooks that Jupyter does not trust.
_TRUSTED = """
import sys, nbformat.sign
notary = nbformat.sign.NotebookNotary()
sys.exit([p for p in sys.argv[1:] if not notary.check_signature(nbformat.read(p, as_version=4))] or 0)
"""


def dockerfile(root: Path = ROOT) -> str:
    """The Dockerfile that repo2docker makes of ``root``.  No daemon and no network are asked."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    made = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", timeout=60)
    if made.returncode != 0:
        raise SystemExit(f"repo2docker cannot read binder/:\n{made.stderr}")
    return made.stdout


def python_version(text: str) -> str:
    """The Python of the image, such as ``3.12``: repo2docker picks a lock file by it."""
    found = re.search(r"environment-2epy-2d(\d+)-2e(\d+)-2dlinux", text)
    assert found is not None, "the Dockerfile names no environment"
    return f"{found[1]}.{found[2]}"


def steps(text: str) -> list[str]:
    """The commands that Binder runs after it has copied the repository into the image."""
    behind = text.split("COPY --chown=0:0 src/ ${REPO_DIR}/")[1]
    return re.findall(r"^RUN (.+)$", behind, flags=re.M)


def already_there(version: str) -> list[str]:
    """``name==version`` of what the image has from the start, of the packages that are installed here."""
    spec = importlib.util.find_spec("repo2docker")  # found, not imported: its imports warn
    if spec is None or spec.origin is None:
        raise SystemExit("repo2docker is not installed: it comes with labkit[test]")
    folder = Path(spec.origin).parent / "buildpacks" / "conda"
    lock = (folder / f"environment.py-{version}-linux-64.lock").read_text(encoding="utf-8")
    here = {canonical(each.name) for each in importlib.metadata.distributions()}
    found = {canonical(name.removesuffix("-core")): number for name, number in _LOCKED.findall(lock)}
    return [f"{name}=={number}" for name, number in sorted(found.items()) if name in here - {"setuptools"}]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def python_like(version: str) -> str:
    """A Python of that version on this machine, or the one that runs this."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for candidate in (f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))):
        with contextlib.suppress(OSError):
            told = subprocess.run([candidate, "-c", _VERSION], capture_output=True, text=True)
            if told.stdout.strip() == version:
                return candidate
    print(f"There is no Python {version} here: its place is taken by {sys.version.split()[0]}.")
    return sys.executable


def run() -> None:
    """Do the steps, then what a visitor does: find the outputs trusted, and run the first notebook."""
    text = dockerfile()
    python = python_like(python_version(text))
    with tempfile.TemporaryDirectory() as folder:
        home, clone, image = (Path(folder) / name for name in ("home", "clone", "image"))
        home.mkdir()
        environment = os.environ | {"HOME": str(home), "KERNEL_PYTHON_PREFIX": str(image)}
        environment |= {"PATH": f"{image / 'bin'}{os.pathsep}{os.environ['PATH']}", "LABKIT_PROGRESS": "off"}
        environment["PIP_QUIET"] = "1"

        def do(*command: str, cwd: Path = clone) -> None:
            print("$", *(word for word in command if "\n" not in word), flush=True)
            if subprocess.run(command, cwd=cwd, env=environment, timeout=600).returncode != 0:
                raise SystemExit("That step failed, and would fail on Binder.")

        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        do(python, "-m", "venv", str(image), cwd=home)
        present = home / "present.txt"
        present.write_text("\n".join(already_there(python_version(text))), encoding="utf-8")
        do("pip", "install", "-q", "-r", str(present))
        for step in steps(text):
            do("bash", "-euo", "pipefail", "-c", step)
        do("pip", "check")
        lessons = sorted(f"notebooks/{path.name}" for path in clone.glob("notebooks/*.ipynb"))
        do("python", "-c", _TRUSTED, *lessons)
        do("jupyter", "execute", FIRST)
        left = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True)
        assert left.stdout == "", f"the steps leave a changed clone:\n{left.stdout}"
    print("Binder's steps work.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What Binder does with this repository.")
    parser.add_argument("--run", action="store_true", help="do the steps")
    if parser.parse_args().run:
        run()
    else:
        sys.stdout.write(dockerfile())
