"""A learner with mouse and keyboard: tries an exercise, is wrong, takes a hint, and gets it right."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support_jupyterlab import labkit_open, opened

from labkit.exercises.lesson00 import ex

BLANK = "____"
CELLS = ".jp-Notebook .jp-CodeCell"


def cell(page: Page, text: str) -> Locator:
    """The code cell that holds ``text``."""
    return page.locator(CELLS).filter(has=page.locator(".jp-InputArea", has_text=text)).first


def run(page: Page, cell: Locator, number: int) -> Locator:
    """Click into a cell, press Shift+Enter, and wait until its prompt says ``number``.  Gives its output."""
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(cell.locator(".jp-InputArea-prompt")).to_have_text(f"[{number}]:")
    return cell.locator(".jp-OutputArea")


def retype(page: Page, line: Locator, text: str) -> None:
    """Put ``text`` in place of a line, behind its indentation."""
    line.click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(text)


def says(output: Locator, *texts: str) -> None:
    """What is folded away or hidden does not count."""
    for text in texts:
        expect(output).to_contain_text(text, use_inner_text=True, timeout=20_000)


@pytest.mark.timeout(180)
def test_an_exercise_is_tried_and_solved_by_hand(browser: Browser, tmp_path: Path, artefacts: Path) -> None:
    borrow = ex.tasks["borrow"]
    with (
        labkit_open(tmp_path / "lessons", tmp_path / "home") as served,
        opened(browser, served, served.address) as lesson,
    ):
        page = lesson.page
        assert lesson.trusted, "labkit open signs the copies that it makes"
        run(page, cell(page, "lab = Lab.start()"), 1)
        run(page, cell(page, 'lab.register("lamp-1")'), 2)
        exercise = cell(page, "ex.borrow.check")
        blanks = exercise.locator(".cm-line", has_text=BLANK)
        says(run(page, exercise, 3), "Not attempted")

        retype(page, blanks.nth(1), '"token of": "lamp-1",')  # the first one is in the line that imports
        retype(page, blanks.nth(1), '"client identifier": "lamp-1",')
        retype(page, blanks.nth(1), '"return code": 5,')
        says(run(page, exercise, 4), "Not yet", "the broker lets the device in", "ex.borrow.hint()")

        exercise.locator(".jp-InputArea-prompt").click()
        page.keyboard.press("b")  # a new cell below
        page.keyboard.press("Enter")
        page.keyboard.type("ex.borrow.hint()")
        says(run(page, cell(page, "ex.borrow.hint()"), 5), "Hint 1 of 3", borrow.declared.hints[0])

        retype(page, exercise.locator(".cm-line", has_text="token of"), '"token of": "thermostat-1",')
        says(run(page, exercise, 6), "Right", "the token of thermostat-1 under the name lamp-1")
        exercise.screenshot(path=artefacts / "00-exercise-right.png")
        assert "00.borrow" in (tmp_path / "home" / "progress.json").read_text(encoding="utf-8")
        assert lesson.complaints == []
