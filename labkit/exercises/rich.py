"""HTML of the exercise kit: what results, hints, quizzes and lessons look like in a notebook.

It says what the plain text says, word for word, so nothing is folded away below it.  Made of what survives in
an untrusted notebook (see :mod:`labkit.show.html`); everything is escaped, since an answer may hold HTML.
"""

import re
from typing import Final

from markupsafe import Markup, escape

from labkit.show.html import bold, mono

__all__ = ["aside", "block", "code", "prose", "visible", "whole"]

#: Code within a text: between backticks, or a call of an exercise.
_CODE: Final = re.compile(r"`([^`\n]+)`|(\bex\.\w+(?:\.\w+)?\([^)\n]*\))")
#: Characters that would act instead of being seen: controls, orders of direction, halves of a pair.
_UNSEEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """``text`` with every character that would act on the page, or cannot be sent to it, spelled out."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def prose(text: str) -> Markup:
    """A text, with its lines below each other and the code in it in the font of code."""
    return Markup("<br>").join(_line(line) for line in text.split("\n"))


def _line(line: str) -> Markup:
    first, why, rest = line.partition("Why: ")
    parts, at = [bold("Why:"), escape(" ")] if why and not first else [], 0
    line = rest if parts else line
    for found in _CODE.finditer(line):
        parts += [escape(line[at : found.start()]), mono(found[1] or found[2])]
        at = found.end()
    return Markup("").join([*parts, escape(line[at:])])


def block(*parts: object, indent: int = 0) -> Markup:
    """Parts on a line of their own, ``indent`` pixels to the right."""
    style = f"margin:2px 0 2px {indent}px"
    said = Markup(" ").join(escape(part) for part in parts if part)
    return Markup('<div style="{}">{}</div>').format(style, said)


def aside(*parts: object) -> Markup:
    """Parts that are set off from what stands above: a bar on their left, the same in light and in dark."""
    style = "margin:6px 0;padding-left:10px;border-left:3px solid #888888"
    return Markup('<div style="{}">{}</div>').format(style, Markup("").join(escape(part) for part in parts))


def code(text: str) -> Markup:
    """Lines of code."""
    style = "margin:4px 0 4px 16px;white-space:pre;overflow-x:auto"
    return Markup('<pre style="{}">{}</pre>').format(style, text)


def whole(*parts: object) -> str:
    """The whole HTML, as Jupyter takes it."""
    return str(Markup("<div>{}</div>").format(Markup("").join(escape(part) for part in parts)))
