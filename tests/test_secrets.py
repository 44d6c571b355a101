"""No secret in any output, log or record: the watch that every test runs under, watched."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from support_secrets import WATCH, Watch

from labkit import Lab

SECRET = "vT3k-9sQ_bXw7LmZpR2cYd8fHnJ4gKqE5uAoVi1tWxM"
TOKEN = f"eyJhbGciOiJFUzI1NiJ9.{'eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0In0' * 3}.{SECRET * 2}"


@pytest.mark.parametrize(
    ("kind", "secret", "text"),
    [
        ("client secret", SECRET, SECRET),
        ("client secret", SECRET, f"secret='{SECRET}', and more"),
        ("client secret", SECRET, SECRET[5:36]),
        ("client secret", SECRET, f"xx{SECRET}xx"),
        ("client secret", SECRET, base64.b64encode(f"dev-1:{SECRET}".encode()).decode()),
        ("client secret", SECRET, base64.b64encode(f"a:{SECRET}".encode()).decode()),
        ("client secret", SECRET, base64.b64encode(f"ab:{SECRET}".encode()).decode()),
        ("access token", TOKEN, f"Authorization: Bearer {TOKEN}"),
        ("access token", TOKEN, TOKEN.rpartition(".")[2]),
        ("access token", TOKEN, TOKEN[30:100]),
        ("access token", SECRET, f"b'{SECRET}'"),
        ("refresh token", SECRET, f'{{"refresh_token":"{SECRET}"}}'),
    ],
)
def test_a_secret_is_found_wherever_it_stands(kind: str, secret: str, text: str) -> None:
    watch = Watch()
    watch.hear("stdout", text)  # before it is known to be one: the watch looks when the test is over
    watch.know(kind, secret)
    found = watch.leaks()
    assert found
    assert kind in found[0]
    assert "stdout" in found[0]
    for piece in (secret[-20:], secret[25:45]):
        assert piece not in "".join(found)
    assert watch.leaks() == []


def test_a_whole_jwt_is_found_whoever_made_it() -> None:
    watch = Watch()
    watch.hear("stdout", f"got {TOKEN}!")
    (found,) = watch.leaks()
    assert SECRET not in found


def test_what_is_no_secret_is_not_found() -> None:
    watch = Watch()
    watch.know("access token", TOKEN)
    watch.know("client secret", SECRET)
    watch.know("private key", "short")
    made_up = "eyJwYXJ0IjogImhlYWRlciJ9.eyJwYXJ0IjogImNsYWltcyJ9.eyJwYXJ0IjogInNpZ25hdHVyZSJ9"
    for text in (
        "eyJ…",
        made_up,
        TOKEN.partition(".")[0],
        SECRET[:15],
        "a" * 500,
        "",
        "dev-1 refused: expired",
    ):
        watch.hear("stdout", text)
    assert watch.leaks() == []


def test_the_watch_knows_what_a_lab_issues(lab: Lab) -> None:
    secret = lab.register("dev-1").client_secret
    assert secret is not None
    text = lab.token("dev-1")
    other = Watch()
    other._pieces = dict(WATCH._pieces)
    for each in (secret, text):
        other.hear("stdout", each.partition(".")[2] or each)
        assert other.leaks()


def test_few_tests_tell_a_secret() -> None:
    marked = [
        path.name
        for path in Path(__file__).parent.glob("test_*.py")
        if "mark.tells_a_secret(" in path.read_text("utf-8")
    ]
    assert len(marked) <= 4  # the two that put one into a URL; this file


PLANTED = """
import logging, sys
import pytest
from labkit import Lab

@pytest.fixture(scope="module")
def lab():
    with Lab() as running:
        running.register("dev-1")
        yield running

def test_clean(lab):
    token = lab.token("dev-1")
    print("a token of", len(token), "bytes")
    logging.getLogger("somebody.else").debug("issued %s", token[:8])

def test_log_at_debug(lab):
    logging.getLogger("somebody.else").debug("issued %s", lab.token("dev-1"))

def test_log_of_an_exception(lab):
    try:
        raise ValueError(lab.token("dev-1"))
    except ValueError:
        logging.getLogger("x").debug("failed", exc_info=True)

def test_output(lab):
    print(lab.token("dev-1").rpartition(".")[2])

def test_error_output(lab):
    print(lab._credentials["dev-1"].client_secret, file=sys.stderr)

def test_captured_output(lab, capsys):
    print(lab._credentials["dev-1"].client_secret)
    capsys.readouterr()

def test_record(lab):
    lab.record.add("lab", "note", text=lab._credentials["dev-1"].client_secret)

def test_record_that_is_gone(lab):
    with Lab() as other:
        other.record.add("lab", "note", text=lab._credentials["dev-1"].client_secret)

@pytest.mark.tells_a_secret("planted")
def test_told_on_purpose(lab):
    print(lab.token("dev-1"))

def test_caplog_sees_no_more_than_without_the_watch(lab, caplog):
    logging.getLogger("x").debug("quiet")
    logging.getLogger("x").warning("loud")
    assert [each.getMessage() for each in caplog.records] == ["loud"]
"""


def test_a_leak_fails_the_test_in_which_it_happens(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(PLANTED, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "support_secrets",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-q", "-rA", "--rootdir", str(tmp_path), "-c", str(tmp_path / "none.ini"), str(tmp_path)]
    (tmp_path / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    shown = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent, check=False
    )
    failed = {
        line.split("::")[1].split()[0] for line in shown.stdout.splitlines() if line.startswith("ERROR ")
    }
    planted = {
        "log_at_debug",
        "log_of_an_exception",
        "output",
        "error_output",
        "captured_output",
        "record",
        "record_that_is_gone",
    }
    assert failed == {f"test_{name}" for name in planted}, shown.stdout
    assert shown.returncode == 1
