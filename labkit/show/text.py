"""What every picture is made of: a complete plain text, masked so that it is the same on every run."""

import re
from collections.abc import Sequence

__all__ = ["Shown", "masked", "seconds", "table"]

#: A URL or address on loopback with its port, which differs from run to run.
_PORT = re.compile(r"(\b127\.0\.0\.1|\blocalhost|\[::1\])(:\d{1,5})\b")
_TOKEN = re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,4}")


class Shown:
    """A picture.  A cell that ends with it shows its HTML where there is one; ``print`` shows its text.

    Args:
        text: everything there is to say, in plain text.
        html: the same in colour, made with :mod:`labkit.show.html`; it must not say more than ``text``.
    """

    def __init__(self, text: str, html: str | None = None) -> None:
        self.text = text
        self.html = html

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str | None:  # what Jupyter asks for
        return self.html


def masked(text: str) -> str:
    """``text`` without what no saved output should hold: loopback ports, and tokens beyond ``eyJ…``."""
    return _TOKEN.sub(lambda found: found[0][:6] + "…", _PORT.sub(r"\1:PORT", text))


def seconds(span: float) -> str:
    """A span of time in whole seconds, for example ``"300 s"``."""
    return f"{round(span)} s"


def table(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> str:
    """Rows in columns as wide as their widest text, without trailing spaces."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        (indent + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    )
