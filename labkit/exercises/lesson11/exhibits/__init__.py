"""The gallery: one attack for each row of the threat list, with somebody who falls for it, and the repair.

Aimed at nothing but the lab on this machine: every target is code of ours, every key is made on the spot, and
nobody else trusts one.
"""

from collections.abc import Iterator
from textwrap import wrap

from labkit.exercises.lesson11.exhibits.asked import ASKED
from labkit.exercises.lesson11.exhibits.borrowed import BORROWED
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.forged import FORGED
from labkit.exercises.lesson11.exhibits.keys import KEYS
from labkit.exercises.lesson11.exhibits.lasting import LASTING
from labkit.exercises.lesson11.exhibits.leaking import LEAKING
from labkit.exercises.lesson11.exhibits.rights import RIGHTS
from labkit.show import Shown, html

__all__ = ["EXHIBITS", "Exhibit", "Gallery", "gallery"]

#: In the order of the threat list.
EXHIBITS: tuple[Exhibit, ...] = tuple(
    sorted((*FORGED, *BORROWED, *KEYS, *LASTING, *ASKED, *RIGHTS, *LEAKING), key=lambda exhibit: exhibit.id)
)


class Gallery:
    """All attacks: ``gallery`` shows what there is, ``gallery["T07"]`` is one of them."""

    def __getitem__(self, id: str) -> Exhibit:
        for exhibit in EXHIBITS:
            if exhibit.id == id:
                return exhibit
        raise LookupError(f"there is no {id!r} here: the rows are {', '.join(each.id for each in EXHIBITS)}")

    def __iter__(self) -> Iterator[Exhibit]:
        return iter(EXHIBITS)

    def __len__(self) -> int:
        return len(EXHIBITS)

    def show(self) -> Shown:
        """Every attack with its story and what stops it."""
        text = "\n".join(line for each in EXHIBITS for line in _lines(each))
        rows = [(html.bold(each.id), each.name, each.story, each.stopped_by) for each in EXHIBITS]
        head = ("", "the attack", "the story", "stopped by")
        return Shown(text, html.figure(html.table(rows, head=head), text=text))

    def __repr__(self) -> str:
        return self.show().text

    def _repr_html_(self) -> str | None:  # what Jupyter asks for
        return self.show().html


def _lines(exhibit: Exhibit) -> list[str]:
    told = (exhibit.story, f"stopped by: {exhibit.stopped_by}")
    return [
        f"{exhibit.id}  {exhibit.name}",
        *(
            line
            for each in told
            for line in wrap(each, 88, initial_indent=" " * 5, subsequent_indent=" " * 5)
        ),
    ]


gallery = Gallery()
