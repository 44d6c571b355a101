"""A browser, and the folder that keeps its pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support_chromium import chromium


@pytest.fixture(scope="module")  # no longer: while it lives, its event loop is in the way of other tests
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are kept: the folder that ``LABKIT_ARTEFACTS`` names, else pytest's own."""
    chosen = os.environ.get("LABKIT_ARTEFACTS")
    folder = Path(chosen) if chosen else tmp_path_factory.getbasetemp() / "artefacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
