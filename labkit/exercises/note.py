"""A text for the learner that is no result: a hint, a solution, what is done."""

from typing import Self

from markupsafe import Markup

from labkit.show.html import chip

__all__ = ["Note", "progress_chip"]


class Note(str):
    """A text that a cell shows as it is, without quotes, or as the HTML that says the same."""

    html: str | None

    def __new__(cls, text: str, html: str | None = None) -> Self:
        note = super().__new__(cls, text)
        note.html = html
        return note

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str | None:  # what Jupyter asks for
        return self.html


def progress_chip(state: str) -> Markup:
    """``"done"`` or ``"to do"`` as a label."""
    return chip("done ✓", "green") if state == "done" else chip(state, "grey")
