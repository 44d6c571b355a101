"""Every lesson in a real JupyterLab: as it is in a fresh clone, and after all cells have run.

The pictures of both, in both themes, are kept: see ``artefacts``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support_jupyterlab import NOTEBOOKS, Served, copied, labkit_open, opened

LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]-*.ipynb"))
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def jupyterlab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``labkit open`` on copies that nobody has signed, as a clone of the repository is."""
    place = tmp_path_factory.mktemp("jupyterlab")
    with labkit_open(copied(place / "lessons"), place / "home", whole_page=True) as served:
        yield served


@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_complete_and_readable_as_cloned_and_as_run(
    path: Path, browser: Browser, jupyterlab: Served, artefacts: Path
) -> None:
    faults = []
    with opened(browser, jupyterlab, jupyterlab.url(path.name)) as lesson:
        assert not lesson.trusted
        for state in ("untrusted", "trusted"):
            if state == "trusted":
                faults += lesson.run_all()
            for theme in THEMES:
                lesson.theme(theme)
                lesson.picture(artefacts / f"{path.name[:2]}-{state}-{theme}.png")
                faults += [f"{state}, {theme}, {fault}" for fault in lesson.faults()]
        if not lesson.trusted:
            faults.append("trusted: JupyterLab does not trust every cell after all have run")
        faults += lesson.complaints
    assert not faults, "\n".join(faults)
