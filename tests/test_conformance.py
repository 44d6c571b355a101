"""Every row of the conformance list is proved by a test that names it, or left out with a reason."""

import ast
import csv
from collections import defaultdict
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def _rows() -> dict[str, str]:
    with (_HERE / "conformance.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["left_out_because"] for row in csv.DictReader(file)}


def _proofs() -> dict[str, list[str]]:
    """Row id → the tests whose ``pytest.mark.conformance(...)`` names it, read from the sources."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(_HERE.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "conformance"
            ):
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        found[argument.value].append(path.name)
    return found


ROWS, PROOFS = _rows(), _proofs()


def test_the_list_is_whole() -> None:
    assert len(ROWS) == 173


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_proved_or_left_out_with_a_reason(row: str) -> None:
    assert bool(PROOFS.get(row)) != bool(ROWS[row]), (
        f"{row} is {'both proved and' if ROWS[row] else 'neither proved nor'} left out"
    )


def test_no_test_names_a_row_that_does_not_exist() -> None:
    assert set(PROOFS) <= set(ROWS)
