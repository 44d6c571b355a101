"""The eyes of these tests: they see what is wrong with a page, and nothing where nothing is."""

from collections.abc import Iterator

import nbformat
import pytest
from nbformat import v4
from playwright.sync_api import Browser
from refresh_notebooks import METADATA
from support_jupyterlab import LessonPage, Served, labkit_open, opened

from labkit.show import html

DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40" viewBox="0 0 300 40">'
    "<style>text {{ font: 14px sans-serif; fill: {ink} }}"
    " @media (prefers-color-scheme: dark) {{ text {{ fill: {ink_in_the_dark} }} }}</style>"
    '{ground}<text x="10" y="20">{text}</text></svg>'
)


def drawing(
    *, ink: str = "#000", ink_in_the_dark: str = "#fff", ground: str = "", text: str = "client identifier"
) -> str:
    return html.image(
        DRAWING.format(ink=ink, ink_in_the_dark=ink_in_the_dark, ground=ground, text=text), "A drawing."
    )


DARK_GROUND = '<rect width="300" height="40" fill="#223"/>'

#: What a cell shows → what must be said about it in the light and in the dark theme.
SHOWN: dict[str, tuple[str, str]] = {
    html.figure(html.table([["iss", html.chip("known", "green")]]), text="iss  known"): ("", ""),
    drawing(): ("", ""),
    drawing(ink="#fff", ground=DARK_GROUND): ("", ""),
    '<span style="color:#777777">grey</span>': ("contrast 4.48", "contrast 4.22"),
    '<span style="color:#000000">black</span>': ("", "contrast 1.11"),
    '<p style="background-color:#ffffff">white</p>': ("", "contrast 1."),
    '<p style="background-color:#000000;color:#ffffff">half <b style="opacity:0.3">there</b></p>': (
        "contrast",
        "contrast",
    ),
    '<details><summary>more</summary><b style="color:#000000">black</b></details>': ("", "contrast 1.11"),
    '<span style="font-size:7px">small</span>': ("too small",) * 2,
    drawing(ink="#eee"): ('contrast 1.16 of "client identifier" in a drawing', ""),
    drawing(ink_in_the_dark="#222"): ("", "in a drawing"),
    drawing(ground=DARK_GROUND, ink_in_the_dark="#000"): ("in a drawing", "in a drawing"),
    drawing(text="too long " * 20): ("is cut off by its drawing",) * 2,
    '<div style="width:2000px;height:20px">wide</div>': ("too wide for the page",) * 2,
    '<table><tr><td style="white-space:nowrap">' + "wide " * 90 + "</td></tr></table>": ("too wide",) * 2,
    '<pre style="white-space:pre">' + "wide " * 90 + "</pre>": ("too wide",) * 2,
    "<pre>sensor-7    " + "temperature " * 12 + "</pre>": ("columns is folded",) * 2,
    '<img alt="A picture." src="https://picture.example/a.png">': ("is not shown",) * 2,
    '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">': ("without alternative text",) * 2,
    "<svg><text>gone</text></svg>": ("<svg> is lost",) * 2,
    '<p style="position:fixed">moved</p>': ("<p> has lost its position",) * 2,
    '<p style="color:var(--jp-error-color1)">no colour</p>': ("<p> has lost its color",) * 2,
    '<div style="color:inherit"><b style="overflow-wrap:normal;color:inherit">all right</b></div>': ("", ""),
    '<p onclick="alert()">button</p>': ("<p> has lost its onclick",) * 2,
}


@pytest.fixture(scope="module")
def jupyterlab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A notebook that nobody has signed: ``SHOWN`` as saved outputs, and a cell that fails when it runs."""
    place = tmp_path_factory.mktemp("looks")
    outputs = [v4.new_output("display_data", {"text/html": shown}) for shown in SHOWN]
    cells = [v4.new_code_cell(outputs=[output]) for output in outputs]
    cells.append(v4.new_code_cell("{}['exp']"))
    (place / "lessons").mkdir()
    nbformat.write(v4.new_notebook(cells=cells, metadata=METADATA), place / "lessons" / "looks.ipynb")
    with labkit_open(place / "lessons", place / "home", whole_page=True) as served:
        yield served


@pytest.fixture
def lesson(browser: Browser, jupyterlab: Served) -> Iterator[LessonPage]:
    with opened(browser, jupyterlab, jupyterlab.url("looks.ipynb")) as page:
        yield page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_wrong_with_a_page_is_seen(lesson: LessonPage, theme: str) -> None:
    lesson.theme(theme)
    found = lesson.faults()
    wrong = []
    for cell, (shown, said) in enumerate(SHOWN.items()):
        here = [fault for fault in found if fault.startswith(f"cell {cell}: ")]
        expected = said[theme == "dark"]
        if len(here) != bool(expected) or expected not in "".join(here):
            wrong.append(f"{shown}: expected {expected or 'nothing'}, got {here}")
    assert not wrong, "\n".join(wrong)


def test_what_leaves_the_machine_is_stopped_and_told(lesson: LessonPage) -> None:
    assert "request to https://picture.example/a.png" in lesson.complaints
    lesson.page.evaluate("() => { new WebSocket('ws://line.example/') }")
    lesson.settle()
    assert "request to ws://line.example/" in lesson.complaints


def test_an_error_in_the_page_is_told(lesson: LessonPage) -> None:
    with lesson.page.expect_event("pageerror"):
        lesson.page.evaluate("() => { setTimeout(() => { throw new Error('thrown') }) }")
    lesson.page.evaluate("() => console.error('logged')")
    assert {"console: thrown", "console: logged"} <= set(lesson.complaints)


def test_a_cell_that_fails_is_told(lesson: LessonPage) -> None:
    assert lesson.run_all() == [f"cell {len(SHOWN)}: KeyError: 'exp'"]
