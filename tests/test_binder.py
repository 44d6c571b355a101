"""Binder builds what the folder ``binder/`` says.

The steps themselves are done by binder_steps.py, which .ci/run calls: they need the network.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from urllib.parse import parse_qs, urlsplit

import pytest
from binder_steps import FIRST, ROOT, already_there, dockerfile, python_version, steps
from refresh_notebooks import find

BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="repo2docker does not run on Windows")


@pytest.fixture(scope="module")
def made() -> str:
    """The Dockerfile of this clone."""
    return dockerfile()


@on_posix
def test_repo2docker_takes_the_python_that_the_folder_asks_for(made: str) -> None:
    asked = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    assert python_version(made) == asked
    assert f"Programming Language :: Python :: {asked}" in PROJECT["classifiers"]


@on_posix
def test_repo2docker_installs_this_clone_and_runs_our_last_step(made: str) -> None:
    install, *rest = steps(made)
    assert install == '${KERNEL_PYTHON_PREFIX}/bin/pip install --no-cache-dir -r "binder/requirements.txt"'
    assert rest == ["chmod +x binder/postBuild", "./binder/postBuild"]


@on_posix
def test_the_image_begins_with_an_older_jupyterlab_which_is_why_ci_begins_with_it_too(made: str) -> None:
    pins = dict(pin.split("==") for pin in already_there(python_version(made)))
    assert {"jupyterlab", "ipykernel", "jupyter-client", "nbconvert"} <= set(pins)


def test_the_clone_itself_is_what_gets_installed() -> None:
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert "-e ." in lines  # pip runs in the root of the clone


def test_the_last_step_trusts_every_notebook_and_asks_the_doctor() -> None:
    text = (BINDER / "postBuild").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert text.startswith("#!")
    assert commands == ["set -euo pipefail", "jupyter trust notebooks/*.ipynb", "labkit doctor"]
    assert {path.parent.name for path in find()} == {"notebooks"}
    if bash := shutil.which("bash"):
        assert subprocess.run([bash, "-n", str(BINDER / "postBuild")]).returncode == 0


def test_the_badge_opens_the_first_notebook_of_this_repository() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"\[!\[([^\]]+)\]\((https://mybinder\.org/badge_logo\.svg)\)\]\((\S+)\)", readme)
    assert found is not None
    alt, _, link = found.groups()
    assert "Binder" in alt
    address = urlsplit(link)
    repository = urlsplit(PROJECT["urls"]["Homepage"]).path.strip("/")
    assert (
        f"{address.scheme}://{address.netloc}{address.path}"
        == f"https://mybinder.org/v2/gh/{repository}/main"
    )
    opened = parse_qs(address.query)["urlpath"]
    assert opened == [f"lab/tree/{FIRST}"]
    assert (ROOT / FIRST).is_file()
