"""What the README tells people to do works."""

import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import readme
from support_cli import needs

ROOT = Path(__file__).resolve().parent.parent
SHELL = readme.blocks("bash")
PYTHON = readme.blocks("python")

#: The commands that .ci/run runs itself, on a fresh clone: they install, or would start these very tests.
RUN_BY_CI = {"start", "test"}
#: Those that serve until they are told to end.
SERVES = {"up-tls"}


def test_every_shell_command_has_a_name_and_is_run_somewhere() -> None:
    assert set(SHELL) == RUN_BY_CI | SERVES | {"demo", "doctor"}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for name in RUN_BY_CI:
        assert f"tests/readme.py {name}" in script


@pytest.mark.parametrize("name", sorted(set(SHELL) - RUN_BY_CI - SERVES))
def test_a_command_of_the_readme_runs(name: str) -> None:
    program, *arguments = shlex.split(SHELL[name])
    assert program == ".venv/bin/labkit"
    command = [sys.executable, "-m", "labkit", *arguments]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert shown.returncode == 0, shown.stdout + shown.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="what it says to paste is for a POSIX shell")
def test_what_the_lab_with_tls_says_to_paste_works() -> None:
    needs("curl"), needs("mosquitto_pub")
    program, *arguments = shlex.split(SHELL["up-tls"])
    assert program == ".venv/bin/labkit"
    command = [sys.executable, "-u", "-m", "labkit", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as lab:
        try:
            assert lab.stdout is not None
            text = ""
            while "tls={'ca_certs'" not in text:
                line = lab.stdout.readline()
                assert line, text
                text += line
            fetch, publish = re.findall(r"^  ((?:curl|mosquitto_pub) .*)$", text, re.MULTILINE)
            token = json.loads(_pasted(fetch))["access_token"]
            _pasted(f"TOKEN={token}; {publish}")
            _, _, snippet = text.partition("The same with Python:")
            exec(textwrap.dedent(snippet), {})
            authority = Path(re.findall(r"--cacert '(.*?)'", fetch)[0])
            assert authority.exists()
        finally:
            lab.terminate()
        assert lab.wait(10) == 0
    assert not authority.parent.exists()


def _pasted(command: str) -> str:
    shown = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


@pytest.mark.parametrize("name", PYTHON)
def test_a_program_of_the_readme_runs(name: str) -> None:
    exec(compile(PYTHON[name], f"README.md {name}", "exec"), {})


def test_the_first_screen_says_what_this_is_shows_it_and_gives_two_commands() -> None:
    first_screen = "\n".join(readme.README.read_text(encoding="utf-8").splitlines()[:36])
    assert SHELL["start"] in first_screen
    assert SHELL["test"] in first_screen
    assert "](notebooks/pictures/lesson-02.png)" in first_screen


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page}: {target}"


def test_the_top_level_holds_only_what_belongs_there() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a clone")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= {
        "pyproject.toml", "README.md", "notebooks", "labkit", "tests", "binder", "LICENSE", "CHANGELOG.md",
        "CONTRIBUTING.md", "constraints.txt",
    }  # fmt: skip
