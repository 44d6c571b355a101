"""``labkit pages``: the lessons as files that any browser shows, without a network and without scripts."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from refresh_notebooks import find, read
from support_cli import run_labkit

from labkit.cli import rendering
from labkit.cli.rendering import PagesFailed, render

PATHS = find()
EVERY = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
#: Attributes with which an element makes a browser fetch something.
FETCHING = ("src", "srcset", "data", "poster", "background", "action", "formaction")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, written once by the command itself."""
    folder = tmp_path_factory.mktemp("usb stick") / "pages"
    shown = run_labkit("pages", str(folder))
    assert shown.returncode == 0, shown.stderr
    assert "index.html" in shown.stdout
    return folder


def soup(folder: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((folder / name).read_text(encoding="utf-8"), "html.parser")


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_there_is_a_page_for_every_lesson_and_an_index(pages: Path) -> None:
    expected = {f"{path.stem}.html" for path in PATHS} | {"index.html"}
    assert {path.name for path in pages.iterdir()} == expected
    assert len(expected) >= 7


@EVERY
def test_a_page_holds_the_prose_the_code_and_the_outputs(path: Path, pages: Path) -> None:
    notebook = read(path)
    page = soup(pages, f"{path.stem}.html")
    assert page.title is not None
    assert page.title.get_text() == notebook.cells[0].source.split("\n")[0].removeprefix("# ")
    text = squeezed(page.get_text())
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^#+ (.*)$", cell.source, flags=re.M):
                assert squeezed(heading.replace("`", "")) in text
            continue
        assert squeezed(cell.source) in text
        for output in cell.outputs:
            shown = output.get("text") or output.data.get("text/plain", "")
            if "text/html" in output.get("data", {}):
                shown = BeautifulSoup(output.data["text/html"], "html.parser").get_text()
            assert squeezed(shown) in text, cell.source


def test_nothing_is_fetched_and_nothing_runs(pages: Path) -> None:
    for path in pages.iterdir():
        page = soup(pages, path.name)
        assert page.find(["script", "link", "iframe", "object", "embed", "base", "audio", "video"]) is None
        for element in page.find_all(True):
            for name in FETCHING:
                assert str(element.get(name, "data:")).startswith("data:"), f"{path.name}: {element}"
            assert not [name for name in element.attrs if name.startswith("on")], element
        styles = "".join(style.get_text() for style in page.find_all("style"))
        inline = "".join(str(element["style"]) for element in page.find_all(style=True))
        assert "url(" not in styles + inline
        assert "@import" not in styles
        policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
        assert policy is not None
        assert str(policy["content"]).startswith("default-src 'none'")


def test_pictures_have_alt_text(pages: Path) -> None:
    for path in pages.iterdir():
        for image in soup(pages, path.name).find_all("img"):
            assert str(image.get("alt", "")).strip(), f"{path.name}: {str(image)[:80]}"


def test_links_between_lessons_lead_to_pages(pages: Path) -> None:
    for path in pages.iterdir():
        links = {str(link["href"]) for link in soup(pages, path.name).find_all("a", href=True)}
        inside = {link.split("#")[0] for link in links if not link.startswith(("https:", "#"))}
        assert not [link for link in inside if ".ipynb" in link]
        for link in inside - {""}:
            assert (pages / link).is_file(), f"{path.name}: {link}"
    from_index = {str(link["href"]) for link in soup(pages, "index.html").find_all("a", href=True)}
    assert from_index == {f"{path.stem}.html" for path in PATHS}


@pytest.mark.parametrize("background", ["light", "dark"])
def test_code_can_be_read_on_both_backgrounds(background: str, pages: Path) -> None:
    style = soup(pages, PATHS[0].stem + ".html").find("style")
    assert style is not None
    day, night = style.get_text().split("@media (prefers-color-scheme: dark)")
    behind = re.search(
        r"\.input_area, \.text_cell pre { background: #(\w+)", day if background == "light" else night
    )
    assert behind is not None
    colours = re.findall(r"\.highlight \.(\w+) { color: #(\w{6})", day if background == "light" else night)
    assert len(colours) > 20
    for name, colour in colours:
        if name not in ("err", "w") and not name.startswith("g"):  # errors, blanks and diffs: not in our code
            assert contrast(colour, behind[1]) >= 4.5, name


def contrast(one: str, other: str) -> float:
    """The contrast of two colours by WCAG 2.1."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_a_picture_beside_the_notebook_moves_into_the_page(tmp_path: Path) -> None:
    (tmp_path / "dot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A\n\n![a dot](dot.svg)")])
    image = BeautifulSoup(rendering._body(tmp_path / "00-a.ipynb", notebook), "html.parser").find("img")
    assert image is not None
    assert image["src"].startswith("data:image/svg")
    assert image["alt"] == "a dot"


def test_titles_from_a_strange_notebook_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = nbformat.v4.new_markdown_cell("# </title><b>\n\n<img src=x> `code` and [a link](b.html)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "00-a.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "01-empty.ipynb")
    monkeypatch.setattr(rendering, "lesson_folder", lambda: (tmp_path, True))
    assert render(tmp_path / "out") == 0
    index = soup(tmp_path / "out", "index.html")
    assert index.find("img") is None
    assert "<img src=x> code and a link" in index.get_text()
    assert soup(tmp_path / "out", "00-a.html").title.get_text() == "</title><b>"  # type: ignore[union-attr]


def test_what_cannot_be_done_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PagesFailed, match="cannot write to"):
        render(tmp_path / "file" / "pages")
    monkeypatch.setattr(rendering, "lesson_folder", lambda: (tmp_path, True))
    with pytest.raises(PagesFailed, match="no lessons here"):
        render(tmp_path / "pages")
    for text in ("no JSON", json.dumps({"cells": 3}), json.dumps([])):
        (tmp_path / "00-broken.ipynb").write_text(text, encoding="utf-8")
        with pytest.raises(PagesFailed, match=r"cannot read 00-broken\.ipynb"):
            render(tmp_path / "pages")
