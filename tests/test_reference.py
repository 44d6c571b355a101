"""The reference page says what the code says, and leaves no reason, option or command out."""

import ast
from pathlib import Path

import pytest
import reference

from labkit.broker.reasons import REASONS

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*(ROOT / "labkit" / "tokens").glob("*.py"), *(ROOT / "labkit" / "broker").rglob("*.py")]


@pytest.fixture(scope="module")
def page() -> str:
    return reference.reference()


def test_the_stored_page_is_what_the_code_makes(page: str) -> None:
    stored = reference.PAGE.read_text(encoding="utf-8")
    assert stored == page, "run python tests/reference.py --write"


def _reasons() -> set[str]:
    """Every word that the sources give as the reason of a refusal."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            words = (
                [each.value for each in node.keywords if each.arg == "reason"]
                if name in ("check", "Fault")
                else []
            )
            if name in ("InvalidToken", "NotAllowed", "Undecided", "refused", "Failed"):
                for word in node.args[:1]:
                    words += [word.body, word.orelse] if isinstance(word, ast.IfExp) else [word]
            found |= {word.value for word in words if isinstance(word, ast.Constant) and word.value}
    return found


def test_no_reason_is_left_out(page: str) -> None:
    reasons = _reasons()
    assert len(reasons) > 30
    assert {reason for reason in reasons if f"| `{reason}` |" not in page} == set()


def test_the_gate_has_no_reason_that_it_never_gives() -> None:
    assert set(REASONS) <= _reasons()


def test_every_reason_has_a_hint(page: str) -> None:
    section = page.split("## Reasons")[1].split("## Scopes")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows
    assert all(len(row.split(" | ")[-1].rstrip(" |")) > 10 for row in rows)


def test_every_option_is_explained(page: str) -> None:
    section = page.split("## Options")[1].split("## Commands")[0]
    for name in ("validation", "token_lifetime", "client_secret", "max_token_bytes", "max_age", "max_packet"):
        assert f"| `{name}` |" in section
    assert all(not line.endswith("|  |") for line in section.splitlines())


def test_every_command_is_there(page: str) -> None:
    for name in ("open", "up", "demo", "doctor", "inspect", "wheelhouse", "pages"):
        assert f"### `labkit {name}`" in page


def test_every_row_of_the_conformance_list_is_there(page: str) -> None:
    section = page.split("## Conformance")[1]
    assert section.count("\n| AS-") + section.count("\n| RS-") + section.count("\n| CL-") == 173
    assert "left out: " in section
