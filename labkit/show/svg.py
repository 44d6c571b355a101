"""Drawings as SVG documents for ``<img src="data:…">``: lines, boxes and words, in a light and a dark theme.

The elements come from ElementTree, so nothing that is drawn can become markup.  There are no ids that could
collide on a page, no scripts, and no fonts to load.  Words keep to the room they have: what is too long ends
with "…", and must stand in full in the picture's plain text.
"""

import unicodedata
from math import fsum
from typing import Final
from xml.etree import ElementTree as ET

from labkit.show.html import INK, TINTS

__all__ = ["Drawing", "fitting", "width_of"]

_FONT: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif"
#: Colours by what is drawn, in the light and in the dark theme.
_THEMES: Final = {
    "ground": ("#ffffff", "#16181c"),
    "ink": ("#1c1e21", "#e8eaed"),
    "soft": ("#565d69", "#a9b0bb"),
    "faint": ("#c9cdd4", "#4b515b"),
}
#: Widths of characters in parts of the font's size; all others are about as wide as an "e".
_WIDTHS: Final = dict.fromkeys("iljI.,:;'|!()[] tfr/", 0.34) | dict.fromkeys("mwMW@—…", 0.9)
_MEAN: Final = 0.57


def width_of(text: str, size: float = 13) -> float:
    """About how wide ``text`` is, in pixels; seldom narrower than it turns out."""
    return size * fsum(map(_width, text))  # not sum(): its last digit differs from Python 3.12 on


def fitting(text: str, room: float, size: float = 13) -> str:
    """``text``, cut with "…" where it is wider than ``room`` pixels."""
    if width_of(text, size) <= room:
        return text
    while text and width_of(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


class Drawing:
    """A picture of a size, on a ground of its own: whatever page it stands on, its words can be read.

    Args:
        width: in pixels.
        height: in pixels.
        title: what it shows, in a sentence.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height = width, height
        size = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
        self._root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
        ET.SubElement(self._root, "title").text = _legal(title)
        ET.SubElement(self._root, "style").text = _style()
        self.box(0.5, 0.5, width - 1, height - 1, "ground", radius=8)

    def words(
        self,
        x: float,
        y: float,
        text: str,
        *,
        room: float = 0,
        anchor: str = "start",
        kind: str = "ink",
        size: float = 13,
        bold: bool = False,
    ) -> None:
        """Text on a line at ``y``; ``anchor`` is the end that stands at ``x``; ``kind`` a colour."""
        fitted = fitting(_legal(text), room, size) if room else _legal(text)
        more = {"text-anchor": anchor} if anchor != "start" else {}
        more |= {"font-size": _n(size)} if size != 13 else {}
        more |= {"font-weight": "600"} if bold else {}
        ET.SubElement(self._root, "text", {"x": _n(x), "y": _n(y), "class": kind, **more}).text = fitted

    def label(
        self,
        x: float,
        y: float,
        text: str,
        *,
        room: float = 400,
        size: float = 13,
        tint: str = "",
        bold: bool = False,
    ) -> None:
        """Words in the middle of a box that hides what lies behind; ``x`` and ``y`` are its middle."""
        fitted = fitting(_legal(text), room, size)
        width, height = width_of(fitted, size) * (1.07 if bold else 1) + 12, size + 7
        x = min(max(x, width / 2 + 8), self.width - width / 2 - 8)
        self.box(x - width / 2, y - height / 2, width, height, tint or "hide", radius=4)
        kind = "on" if tint else "ink"
        self.words(x, y + size * 0.35, fitted, anchor="middle", kind=kind, size=size, bold=bold)

    def box(self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 3) -> None:
        """A rectangle: ``kind`` is a tint of :data:`labkit.show.html.TINTS`, or ``"hide"`` (the ground)."""
        place = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height), "rx": _n(radius)}
        ET.SubElement(self._root, "rect", {**place, "class": kind})

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "faint", dash: str = "") -> None:
        """A line; ``kind`` is ``"faint"``, ``"soft"`` or ``"ink"``."""
        place = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2), "class": "l-" + kind}
        ET.SubElement(self._root, "line", place | ({"stroke-dasharray": dash} if dash else {}))

    def arrow(self, x1: float, x2: float, y: float, *, dash: str = "", lost: bool = False) -> None:
        """A level arrow; one that is ``lost`` ends in a cross on its way."""
        way = 1 if x2 > x1 else -1
        if lost:
            x2 -= way * abs(x2 - x1) * 0.12
            self.line(x1, y, x2, y, "ink", dash)
            for lean in (-5, 5):
                self.line(x2 - 5, y - lean, x2 + 5, y + lean, "ink")
            return
        self.line(x1, y, x2 - way * 4, y, "ink", dash)
        tip = f"M{_n(x2)} {_n(y)}l{-8 * way} -4v8z"
        ET.SubElement(self._root, "path", {"d": tip, "class": "ink"})

    def dot(self, x: float, y: float, radius: float = 4) -> None:
        """A point that matters, on a tint."""
        ET.SubElement(self._root, "circle", {"cx": _n(x), "cy": _n(y), "r": _n(radius), "class": "on"})

    def __str__(self) -> str:
        return ET.tostring(self._root, encoding="unicode")


def _style() -> str:
    tints = "".join(f".{name}{{fill:{colour}}}" for name, colour in TINTS.items())
    light, dark = (
        "".join(
            f".{name}{{fill:{colours[number]}}}.l-{name}{{stroke:{colours[number]}}}"
            for name, colours in _THEMES.items()
        )
        + f".hide{{fill:{_THEMES['ground'][number]}}}.ground{{stroke:{_THEMES['faint'][number]}}}"
        for number in (0, 1)
    )
    fixed = f"text{{font-family:{_FONT};font-size:13px}}line{{stroke-width:1.3}}.on{{fill:{INK}}}{tints}"
    return f"{fixed}{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _legal(text: str) -> str:
    """``text`` without what XML cannot hold, and without characters that steer the others."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _width(c: str) -> float:
    if unicodedata.combining(c):
        return 0
    if unicodedata.east_asian_width(c) in "WF":
        return 1.05
    return _WIDTHS.get(c, 0.68 if c.isupper() else _MEAN)


def _n(number: float) -> str:
    """A number of pixels, to a tenth."""
    return f"{number:.1f}".removesuffix(".0")
