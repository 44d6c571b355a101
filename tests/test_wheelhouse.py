"""``labkit wheelhouse``: a folder that is complete for computers other than this one.

pip is real here; its index is a folder of empty wheels.  That the wheels of the real index are enough,
.ci/run proves with an installation.
"""

import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from labkit.cli import collecting
from labkit.cli.collecting import WheelhouseFailed, collect, targets
from labkit.cli.wheels import PLATFORMS, PYTHONS, Target, missing

WINDOWS = Target(PLATFORMS["windows"], "3.12")
LINUX = Target(PLATFORMS["linux"], "3.12")
MAC = Target(PLATFORMS["macos"], "3.12")


def wheel(
    folder: Path, name: str, version: str, *requires: str, tag: str = "py3-none-any", python: str = ""
) -> Path:
    """An empty wheel that says what it needs."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    lines += [f"Requires-Python: {python}"] if python else []
    information = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-{tag}.whl"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{information}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{information}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{information}/RECORD", "")
    return path


def lacks(folder: Path, target: Target) -> list[str]:
    return [str(requirement) for requirement in missing(folder, target)]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip looks, and nowhere else; ``labkit`` asks for ``app``."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setattr(collecting, "build", lambda to: wheel(to, "labkit", "1.0", "app>=1"))
    return folder


def test_what_only_the_other_system_asks_for_is_missed(tmp_path: Path) -> None:
    markers = ("a; sys_platform == 'win32'", "b; os_name == 'posix'", "c; platform_system == 'Darwin'")
    wheel(tmp_path, "labkit", "1.0", *markers, "d; python_version < '3.12'")
    assert lacks(tmp_path, WINDOWS) == ["a"]
    assert lacks(tmp_path, LINUX) == ["b"]
    assert lacks(tmp_path, MAC) == ["b", "c"]
    assert lacks(tmp_path, Target(PLATFORMS["linux"], "3.11")) == ["b", "d"]


def test_a_wheel_for_another_system_or_python_does_not_count(tmp_path: Path) -> None:
    wheel(tmp_path, "labkit", "1.0", "fast", "new")
    wheel(tmp_path, "fast", "1.0", tag="cp312-cp312-win_amd64")
    wheel(tmp_path, "new", "2.0", python=">=3.13")
    assert lacks(tmp_path, WINDOWS) == ["new"]
    assert lacks(tmp_path, LINUX) == ["fast", "new"]
    wheel(tmp_path, "fast", "1.0", tag="cp39-abi3-manylinux_2_17_x86_64")
    wheel(tmp_path, "new", "1.0", python=">=3.9")
    assert lacks(tmp_path, LINUX) == []


def test_requirements_for_one_package_are_joined_and_extras_are_followed(tmp_path: Path) -> None:
    wheel(tmp_path, "labkit", "1.0", "one", "two[nice]>=1")
    wheel(tmp_path, "one", "1.0", "shared>=2")
    wheel(tmp_path, "two", "1.0", "shared<3", "ribbon; extra == 'nice'", "lace; extra == 'fancy'")
    assert lacks(tmp_path, LINUX) == ["ribbon", "shared<3,>=2"]
    wheel(tmp_path, "shared", "3.1")
    assert lacks(tmp_path, LINUX) == ["ribbon", "shared<3,>=2"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken-1.0-py3-none-any.whl").write_bytes(b"half of a down")
    with pytest.raises(ValueError, match=r"broken-1\.0-py3-none-any\.whl is damaged"):
        missing(tmp_path, LINUX)


def test_the_folder_is_complete_for_every_system_and_installs_on_this_one(
    tmp_path: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(index, "app", "1.5", "deep", "console; sys_platform == 'win32'", "shell; sys_platform != 'win32'")
    wheel(index, "app", "0.9")
    for name in ("deep", "shell"):
        wheel(index, name, "1.0")
    wheel(index, "console", "1.0", tag="cp312-cp312-win_amd64")
    folder = tmp_path / "usb stick" / "wheels"
    wanted = [*targets(["windows", "macos"], ["3.12"]), *targets([], [])]
    assert collect(folder, wanted) == 0
    names = {parse_wheel_filename(path.name)[0] for path in folder.glob("*.whl")}
    assert names == {"labkit", "app", "deep", "console", "shell"}
    assert all(missing(folder, target) == [] for target in wanted)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", f"--find-links={folder}"]
    installed = tmp_path / "installed"
    subprocess.run([*command, f"--target={installed}", "labkit"], check=True, timeout=60)
    assert (installed / "deep-1.0.dist-info").is_dir()
    said = capsys.readouterr().out
    assert "console-1.0-cp312-cp312-win_amd64.whl" in said
    assert '--no-index --find-links "FOLDER" labkit' in said
    told = (folder / "INSTALL.txt").read_text(encoding="utf-8")
    assert told.count('--no-index --find-links "FOLDER" labkit') == 2
    assert "Scripts\\python" in told


def test_a_second_run_fetches_nothing_and_replaces_an_older_labkit(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(index, "app", "1.0")
    folder = tmp_path / "wheels"
    collect(folder, [LINUX])
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("app-*")}
    for path in index.iterdir():
        path.unlink()
    assert collect(folder, [LINUX]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("app-*")} == before
    monkeypatch.undo()
    monkeypatch.setattr(collecting, "_pip", lambda *arguments: wheel(folder, "labkit", "2.0"))
    collecting.build(folder)
    assert [path.name for path in folder.glob("labkit-*")] == ["labkit-2.0-py3-none-any.whl"]


def test_every_tested_system_and_python_can_be_asked_for_at_once() -> None:
    assert {str(target) for target in targets(["all"], ["all"])} == {
        f"{platform.title}, Python {python}" for platform in PLATFORMS.values() for python in PYTHONS
    }
    assert len(targets([], [])) == 1


def test_a_package_without_a_wheel_is_named(tmp_path: Path, index: Path) -> None:
    wheel(index, "app", "1.0", tag="cp312-cp312-win_amd64")
    with pytest.raises(WheelhouseFailed, match=r"no wheel of app>=1 .* Linux"):
        collect(tmp_path / "wheels", [LINUX])


def test_no_network_gets_a_sentence(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:  # bound and not listening: whoever comes is turned away at once
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}/simple")
        with pytest.raises(WheelhouseFailed, match="cannot reach its package index"):
            collect(tmp_path / "wheels", [LINUX])


def test_a_folder_that_cannot_be_written_or_is_full_gets_a_sentence(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WheelhouseFailed, match="cannot write to"):
        collect(tmp_path / "file" / "wheels", [LINUX])
    full = type("usage", (), {"free": 5_000_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(WheelhouseFailed, match="has 5 MB left"):
        collect(tmp_path / "wheels", [LINUX])


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("/usr/bin/python3: No module named pip", "ensurepip"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        ("Looking in indexes: nowhere\nERROR: something new", "pip failed: something new"),
        ("", "it said nothing"),
    ],
)
def test_what_pip_says_becomes_one_sentence(said: str, sentence: str) -> None:
    assert sentence in collecting._reason(said.splitlines())


@pytest.mark.parametrize(
    ("platforms", "pythons", "sentence"),
    [
        (["amiga"], [], r"'amiga': choose windows, macos, .* or all"),
        ([], ["2.7"], r"'2\.7' is no Python"),
        ([], ["3.1x"], r"'3\.1x' is no Python"),
    ],
)
def test_an_unknown_name_gets_the_known_ones(platforms: list[str], pythons: list[str], sentence: str) -> None:
    with pytest.raises(WheelhouseFailed, match=sentence):
        targets(platforms, pythons)


def test_outside_a_clone_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "lesson_folder", lambda: (tmp_path, False))
    with pytest.raises(WheelhouseFailed, match="from a clone"):
        collect(tmp_path / "wheels", [LINUX])
    assert not (tmp_path / "wheels").exists()
