"""How pytest runs the notebooks: strictly, cell after cell, and without a trace in the reader's home."""

import os
import shutil
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent / "tests"


def pytest_configure(config: pytest.Config) -> None:
    os.environ["LABKIT_PROGRESS"] = "off"  # kernels inherit it: notebooks are committed unsolved
    if config.getoption("nbval_sanitize_with", None) is None:
        config.option.nbval_sanitize_with = str(TESTS / "nbval.cfg")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the cells of a notebook in their order again: pytest-randomly shuffles them like any test."""
    cells = [item for item in items if hasattr(item, "cell_num")]
    notebooks = list(dict.fromkeys(cell.path for cell in cells))  # the notebooks stay shuffled
    cells.sort(key=lambda cell: (notebooks.index(cell.path), cell.cell_num))  # type: ignore[attr-defined]
    in_order = iter(cells)
    items[:] = [next(in_order) if hasattr(item, "cell_num") else item for item in items]
    if shutil.which("curl") is None:
        for cell in cells:
            if "!curl" in cell.cell.source:  # type: ignore[attr-defined]
                cell.add_marker(pytest.mark.skip(reason="curl is not installed"))
