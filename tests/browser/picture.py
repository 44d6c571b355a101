"""Take the pictures of JupyterLab that the README shows.

    python tests/browser/picture.py                 all of them
    python tests/browser/picture.py lesson-02       one

Each goes to notebooks/pictures/NAME.png.  It shows the stored outputs: refresh the notebooks first.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # where pytest finds support_cli

from support_chromium import chromium, find  # noqa: E402
from support_jupyterlab import NOTEBOOKS, LessonPage, copied, labkit_open, opened  # noqa: E402

MOST_BYTES = 300_000
WIDTH = 1000  # pixels; a README shows about 850 of them, so that letters stay large enough to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A part of a lesson.

    Attributes:
        notebook: its file.
        first: words of the cell at the top; the first cell that has them.
        last: words of the cell at the bottom; the first one from there on that has them.
        theme: ``light`` or ``dark``.
    """

    notebook: str
    first: str
    last: str
    theme: str = "light"


SCENES = {
    "lesson-02": Scene(
        notebook="02-connect-with-a-token.ipynb",
        first="A token of 562 characters goes into the password",
        last="show.packet(recorded)",
    ),
}


#: Leaves the cells between two texts, selects the first code cell, and gives the height of all that is shown.
SHOW = """([first, last]) => {
    const { content, context } = jupyterapp.shell.currentWidget;
    const says = ({ model }, words) => model.sharedModel.source.includes(words);
    const find = (words, start) => {
        const at = content.widgets.findIndex((cell, i) => i >= start && says(cell, words));
        if (at < 0) throw new Error(`no cell says ${words}`);
        return at;
    };
    const from = find(first, 0);
    const to = find(last, from);
    content.activeCellIndex = content.widgets.findIndex(({ model }, i) => i >= from && model.type === 'code');
    content.widgets.forEach(({ node }, i) => { if (i < from || i > to) node.style.display = 'none' });
    document.activeElement.blur();
    context.model.dirty = false; // JupyterLab has added the version of Python to the metadata
    return content.widgets[to].node.getBoundingClientRect().bottom
        + document.getElementById('jp-bottom-panel').getBoundingClientRect().height + 12;
}"""


def take(lesson: LessonPage, scene: Scene, path: Path) -> None:
    """Write the part of the open notebook, in its frame, as a PNG."""
    lesson.page.evaluate("() => jupyterapp.shell.collapseLeft()")
    lesson.theme(scene.theme)
    lesson.page.set_viewport_size({"width": WIDTH, "height": 900})
    height = lesson.page.evaluate(SHOW, [scene.first, scene.last])
    lesson.page.set_viewport_size({"width": WIDTH, "height": int(height)})
    lesson.settle()
    lesson.page.screenshot(path=path)


def main() -> int:
    """Take the named pictures; 1 where one is too large for a README."""
    parser = argparse.ArgumentParser(description="Take the pictures of JupyterLab that the README shows.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENES)}; default: all")
    names = parser.parse_args().names or list(SCENES)
    if unknown := set(names) - set(SCENES):
        parser.error(f"no picture is called {' or '.join(sorted(unknown))}: there are {', '.join(SCENES)}")
    if find() is None:
        parser.error("there is no Chromium here; LABKIT_CHROMIUM can name one")
    too_large = False
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        lessons = copied(Path(place) / "lessons")
        with labkit_open(lessons, Path(place) / "home", whole_page=True) as served:
            for name in names:
                path = NOTEBOOKS / "pictures" / f"{name}.png"
                with opened(browser, served, served.url(SCENES[name].notebook)) as lesson:
                    take(lesson, SCENES[name], path)
                size = path.stat().st_size
                too_large |= size > MOST_BYTES
                print(f"{path}: {WIDTH} pixels wide, {size // 1000} kB")
    if too_large:
        print(f"too large: at most {MOST_BYTES // 1000} kB; show less of the lesson", file=sys.stderr)
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
