"""``labkit pages DIR``: every lesson with its saved outputs as one HTML file, to be read without a network.

For the USB stick, and for who cannot run anything today.  A page holds everything that it shows, and forbids
the browser to load or run anything else (Content-Security-Policy).
"""

import html
import importlib
import re
from pathlib import Path
from typing import Any

import typer

from labkit.cli.opening import lesson_folder
from labkit.errors import LabkitError

__all__ = ["PagesFailed", "render"]

#: Colours of code that are read at 4.5:1 on the backgrounds below.
_LIGHT, _DARK = "xcode", "monokai"
#: Nothing but what is in the page: no script at all, no address, and styles and pictures only in line.
_ALLOWED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LINK = re.compile(r'href="([\w.-]+)\.ipynb(?=["#])')


class PagesFailed(LabkitError):
    """The pages could not be written; the text says why, and what to do."""


def render(folder: Path) -> int:
    """Write one page for each lesson into ``folder``, and ``index.html``.

    Raises:
        PagesFailed: the folder cannot be written, or a notebook cannot be read.
    """
    folder = folder.expanduser().resolve()
    notebooks = sorted(lesson_folder()[0].glob("[0-9][0-9]-*.ipynb"))
    if not notebooks:
        raise PagesFailed("there are no lessons here: reinstall labkit, or use a whole clone")
    read = [(path, _read(path)) for path in notebooks]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (path, notebook) in enumerate(read):
            around = [read[n][0].stem if 0 <= n < len(read) else None for n in (number - 1, number + 1)]
            text = _page(_title(notebook), _steps(*around), _body(path, notebook))
            (folder / f"{path.stem}.html").write_text(text, encoding="utf-8")
            typer.echo(f"  {path.stem}.html")
        (folder / "index.html").write_text(_index(read), encoding="utf-8")
    except OSError as error:
        raise PagesFailed(f"cannot write to {folder} ({error.strerror}): choose another folder") from error
    typer.echo(f"\nOpen index.html in {folder} with any browser.  No network is needed.")
    return 0


def _read(path: Path) -> Any:
    import nbformat  # a quarter of a second, and only this command needs it

    untyped: Any = nbformat
    try:
        return untyped.read(path, as_version=4)
    except Exception as error:  # whatever a damaged file does to JSON, to the schema or to the file system
        raise PagesFailed(f"cannot read {path.name}: it is damaged, or no notebook") from error


def _body(path: Path, notebook: Any) -> str:
    """The cells as HTML, pictures inside, links between lessons leading to pages."""
    untyped: Any = importlib.import_module("nbconvert")
    exporter = untyped.HTMLExporter(
        template_name="basic",
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        anchor_link_text="",
    )
    made, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"path": str(path.parent)}})
    return _LINK.sub(r'href="\1.html', str(made))


def _title(notebook: Any) -> str:
    first = str(notebook.cells[0].source) if notebook.cells else ""
    return first.split("\n")[0].removeprefix("# ").strip() or "A lesson"


def _steps(before: str | None, behind: str | None) -> str:
    """Links to the lessons around this one."""
    names = {"Previous lesson": before, "All lessons": "index", "Next lesson": behind}
    links = [f'<a href="{html.escape(name)}.html">{text}</a>' for text, name in names.items() if name]
    return f"<nav>{' '.join(links)}</nav>"


def _index(read: list[tuple[Path, Any]]) -> str:
    rows = []
    for path, notebook in read:
        parts = str(notebook.cells[0].source).split("\n\n") if notebook.cells else []
        promise = _plain(parts[1]) if len(parts) > 1 else ""
        time = next((_plain(part) for part in parts if part.startswith("**Time:**")), "")
        link = f'<a href="{html.escape(path.stem)}.html">{html.escape(_title(notebook))}</a>'
        rows.append(f"<li><h2>{link}</h2><p>{promise}</p><p><small>{time}</small></p></li>")
    body = f"<h1>OAuth2 tokens for MQTT</h1><p>{_ABOUT}</p><ol>{''.join(rows)}</ol>"
    return _page("OAuth2 tokens for MQTT", "", body)


def _plain(markdown: str) -> str:
    """A sentence of Markdown without its marks, escaped."""
    return html.escape(re.sub(r"\*\*|`|\[([^]]*)\]\([^)]*\)", r"\1", markdown).strip())


def _page(title: str, steps: str, body: str) -> str:
    colours: Any = importlib.import_module("pygments.formatters").HtmlFormatter
    light, dark = (colours(style=name).get_style_defs(".highlight") for name in (_LIGHT, _DARK))
    style = f"{_STYLE}{light}\n@media (prefers-color-scheme: dark) {{\n{_NIGHT}{dark}\n}}"
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_ALLOWED}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>
{style}
</style>
</head>
<body>
{steps}
<main>
{body}
</main>
{steps}
</body>
</html>
"""


_ABOUT = """\
The lessons of labkit with their outputs, to read along. To run them, to do the exercises and to ask for
hints, install labkit: it brings its own authorization server and MQTT broker, and needs no network."""

_STYLE = """\
body { max-width: 62rem; margin: 0 auto; padding: 1rem; font: 1rem/1.55 system-ui, sans-serif;
  color: #1a1a1a; background: #fff; overflow-wrap: break-word; }
nav { display: flex; gap: 1.5rem; padding: .5rem 0; }
a { color: #0b57d0; }
h1, h2, h3 { line-height: 1.25; margin: 1.6em 0 .5em; }
pre, code { font: .875rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { margin: 0; overflow-x: auto; }
.input_area, .text_cell pre { background: #f5f5f5; border-left: 3px solid #8a8a8a; padding: .6rem .8rem;
  margin: .8rem 0 .4rem; }
.output_area { padding: .2rem .8rem; margin: .2rem 0; overflow-x: auto; }
.text_cell table { border-collapse: collapse; display: block; overflow-x: auto; margin: .8rem 0; }
.text_cell th, .text_cell td { border: 1px solid #8a8a8a; padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
.highlight { background: transparent !important; }
img { max-width: 100%; height: auto; }
ol { padding-left: 0; list-style: none; }
.ansi-red-fg { color: #b00020; }
.ansi-green-fg { color: #146c2e; }
.ansi-bold { font-weight: bold; }
"""

_NIGHT = """\
body { color: #e8e8e8; background: #111; }
a { color: #8ab4f8; }
.input_area, .text_cell pre { background: #1c1c1e; }
.ansi-red-fg { color: #ff8a80; }
.ansi-green-fg { color: #81c995; }
"""
