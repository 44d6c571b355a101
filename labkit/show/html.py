"""HTML that survives: what every picture's coloured form is made of.

A notebook that was cloned or downloaded is untrusted, and Jupyter then takes ``<style>``, inline ``<svg>``,
scripts and ``var()`` out of its outputs.  Literal ``style=`` attributes, tables, ``<details>`` and images
from a ``data:`` address stay, so the pictures use nothing else.  A tint brings its own dark text, so that it
can be read on a white page and on a black one; and no meaning hangs on colour alone, as every tint has a
label.

What is shown may come from an attacker.  Everything here escapes its arguments unless they are
:class:`~markupsafe.Markup` already.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from markupsafe import Markup, escape

__all__ = [
    "TINTS",
    "block",
    "bold",
    "box",
    "breakable",
    "chip",
    "figure",
    "image",
    "mono",
    "table",
    "tinted",
    "whole",
]

#: Backgrounds by name; the text on them is ``INK``, at a contrast of at least 9:1 (WCAG 2.2 asks for 4.5:1).
TINTS: Final = {
    "blue": "#bfdbff",
    "violet": "#dcc9ff",
    "green": "#bfe8c5",
    "amber": "#ffdf9e",
    "red": "#ffc9c4",
    "grey": "#dcdfe4",
}
INK: Final = "#161616"

_CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0;white-space:{}"


def chip(text: object, tint: str, *, title: str = "") -> Markup:
    """A label on a tinted ground; ``title`` shows when the mouse rests on it.

    Args:
        text: what stands on it.
        tint: a name in :data:`TINTS`.
        title: more about it; it must stand in the plain text as well.
    """
    style = f"background-color:{TINTS[tint]};color:{INK};padding:0 4px;border-radius:3px"
    return Markup('<span style="{}" title="{}">{}</span>').format(style, title, text)


def mono(text: object) -> Markup:
    """Text in the font of code, on the page's own ground."""
    return Markup('<code style="background-color:transparent;color:inherit;padding:0">{}</code>').format(text)


def bold(text: object) -> Markup:
    """Text that stands out."""
    return Markup("<b>{}</b>").format(text)


def whole(text: object) -> Markup:
    """Text that stays on one line, in a table whose other cells may take several."""
    return Markup('<span style="white-space:nowrap">{}</span>').format(text)


def breakable(text: object) -> Markup:
    """Text that may go on in the next line at any character, so that a long one widens nothing."""
    # ``overflow-wrap:anywhere`` would break more kindly, but Jupyter takes it out.
    return Markup('<span style="word-break:break-all">{}</span>').format(text)


def tinted(text: object, tint: str, *, title: str = "") -> Markup:
    """Text on a tinted ground, as wide as without it; what it means must stand elsewhere, as in ``title``."""
    style = f"background-color:{TINTS[tint]};color:{INK}"
    return Markup('<span style="{}" title="{}">{}</span>').format(style, title, text)


def block(text: object) -> Markup:
    """Lines in the font of code, with all their spaces."""
    return Markup('<pre style="white-space:pre;margin:8px 0">{}</pre>').format(text)


def box(text: object, tint: str) -> Markup:
    """A paragraph on a tinted ground, for what matters most."""
    style = f"background-color:{TINTS[tint]};color:{INK};margin:4px 0;padding:4px 10px;border-radius:3px"
    return Markup('<div style="{}">{}</div>').format(style, text)


def table(rows: Iterable[Sequence[object]], *, head: Sequence[object] = (), wrap: bool = True) -> Markup:
    """A table, its columns on the left of their cells.

    Args:
        rows: the cells of each row.
        head: the names of the columns, if they have any.
        wrap: whether a long text may take several lines.
    """
    style = _CELL.format("normal" if wrap else "nowrap")
    cell = Markup('<td style="{}">{}</td>')
    name = Markup('<th style="{}">{}</th>')
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(cell.format(style, part) for part in row))
        for row in rows
    )
    top = Markup("").join(name.format(style, part) for part in head)
    return Markup('<table style="border-collapse:collapse">{}<tbody>{}</tbody></table>').format(
        Markup("<thead><tr>{}</tr></thead>").format(top) if head else "", body
    )


def image(svg: str, alt: str) -> Markup:
    """A drawing as an image with its description, as wide as it is but never wider than the page.

    Args:
        svg: the text of an SVG document; it may follow the theme by ``prefers-color-scheme``.
        alt: what it shows, in a sentence: a screen reader reads it, and so does who cannot see images.
    """
    source = "data:image/svg+xml," + quote(svg, safe=" =:/,;()'")
    return Markup('<img alt="{}" src="{}" style="max-width:100%">').format(alt, source)


def figure(*parts: object, text: str) -> str:
    """The whole HTML of a picture: its parts, and its plain text folded away below them."""
    folded = Markup(
        '<details><summary>the same as text</summary><pre style="white-space:pre">{}</pre></details>'
    ).format(text)
    return str(Markup("<div>{}{}</div>").format(Markup("").join(escape(part) for part in parts), folded))
