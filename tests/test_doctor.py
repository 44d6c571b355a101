"""``labkit doctor``: what it says on a good machine, and that each check can fail with a way out."""

import importlib.metadata
import json
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest
from support_cli import run_labkit

import labkit
from labkit.cli import machine, software
from labkit.cli.doctor import examine, for_the_chat
from labkit.cli.findings import Check, Finding


def only(check: Check) -> Finding:
    """The one finding of a check."""
    (finding,) = check()
    return finding


def test_a_good_machine_is_ready_at_once_and_fits_on_a_projector() -> None:
    began = time.monotonic()
    shown = run_labkit("doctor")
    assert shown.returncode == 0, shown.stdout
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 88
    assert len(lines) <= 20
    for subject in ("Python", "disk", "loopback", "clock", "packages", "notebooks", "kernel", "the lab"):
        assert any(re.match(rf"(ok|note) +{subject} ", line) for line in lines), subject
    python = ".".join(platform.python_version_tuple()[:2])
    chat = f"doctor: ready · labkit {labkit.__version__} · Python {python} · {platform.system()}"
    assert lines[-1] == f"For the chat:  {chat}"
    assert time.monotonic() - began < 30  # two seconds here; a virus scanner may want its part


def test_the_line_for_the_chat_names_what_is_not_ready_and_nobody() -> None:
    line = for_the_chat(["kernel", "disk"])
    assert line.startswith("doctor: not ready: kernel, disk · labkit ")
    for private in (str(Path.home()), platform.node(), sys.prefix):
        assert private not in line


def test_a_failed_check_makes_the_whole_not_ready(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("labkit.cli.doctor.SOFTWARE", ())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert examine() == 1
    shown = capsys.readouterr().out
    assert re.search(r"FAIL +clock +1970-01-01", shown)
    assert "Not ready: mend clock" in shown
    assert "doctor: not ready: clock ·" in shown


def test_a_full_disk_fails_and_a_nearly_full_one_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10_000_000, "FAIL"), (200_000_000, "note"), (2_000_000_000, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: type("usage", (), {"free": free}))
        assert only(machine._disk).state == state


def test_a_shut_loopback_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def shut(*_: object, **__: object) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", shut)
    finding = only(machine._loopback)
    assert finding.state == "FAIL"
    assert "firewall" in finding.detail


def test_strange_pythons_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert "tested with 3.11" in only(machine._python).detail
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert "32-bit" in only(machine._python).detail
    monkeypatch.undo()
    monkeypatch.setattr(sys, "base_prefix", str(Path("C", "Program Files", "WindowsApps", "Python.3.12")))
    found = list(machine._python())
    assert [finding.state for finding in found] == ["ok", "note"]
    assert "Microsoft Store" in found[1].detail


def test_a_proxy_without_an_exception_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert "NO_PROXY" in only(machine._proxy).detail
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    assert list(machine._proxy()) == []


def test_packages_that_are_absent_or_too_old_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "absent":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"old": "1.0", "fine": "2.0"}[name]

    wanted = ["absent>=1", "old>=2", "fine>=1", "never>=1; extra == 'test'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    monkeypatch.setattr(importlib.metadata, "version", version)
    absent, old, rest = software._packages()
    assert (absent.state, old.state, rest.state) == ("FAIL", "FAIL", "ok")
    assert "pip install 'absent>=1'" in absent.detail
    assert "1.0 does not fit >=2" in old.detail
    assert rest.detail.startswith("1 fit")


def test_missing_or_locked_notebooks_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "lesson_folder", lambda: (tmp_path, True))
    assert only(software._notebooks).state == "FAIL"
    (tmp_path / "00-start-here.ipynb").touch()
    assert only(software._notebooks) == Finding("ok", "notebooks", "1 lessons, opened where they are")

    def locked(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", locked)
    assert "--dir" in only(software._notebooks).detail


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise SystemExit(1)", "does not start"),
        (
            "import sys; sys.modules['labkit'] = None; from ipykernel import kernelapp as app; "
            "app.launch_new_instance()",
            r"another Python \(ModuleNotFoundError\)",
        ),
    ],
)
def test_a_kernel_that_is_not_ours_fails(
    program: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual trouble of a machine that has seen another course: a kernel python3 of another Python."""
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-c", program, "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    shown = run_labkit("doctor")
    assert shown.returncode == 1
    assert re.search(rf"FAIL +kernel +.*{says}", shown.stdout), shown.stdout
    assert "doctor: not ready: kernel ·" in shown.stdout
    assert "Traceback" not in shown.stderr


def test_a_lab_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise OSError("no sockets today")

    monkeypatch.setattr("labkit.lab.Lab.__enter__", broken)
    finding = only(software._lab)
    assert finding.state == "FAIL"
    assert "no sockets today" in finding.detail
