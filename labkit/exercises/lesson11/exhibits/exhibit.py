"""What a piece of the gallery is: an attack, somebody who falls for it, the repair, and the proof."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any, TypeAlias

from labkit.show import Shown, html

__all__ = ["Exhibit", "Trial"]

#: Whether the attack, or the honest traffic, gets through with this target.
Trial: TypeAlias = Callable[[Any, Any], bool]

_WIDTH = 88


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibit:
    """One attack.  Everything that it attacks is code of this lab, and runs in this process.

    Attributes:
        id: the row of the threat list that it belongs to, such as ``"T06"``.
        name: a short name.
        story: one sentence: who does what, and why it works.
        stopped_by: what stops it, in a few words.
        naive: the target with the hole: a function, a class, or a validator that leaves a check out.
        repaired: the same without the hole.
        attack: ``attack(target, lab)``: whether the attack succeeds.
        honest: ``honest(target, lab)``: whether honest traffic passes.
        real: ``real(lab)``: whether the same attack succeeds against the lab's own gate, authorization server
            or device, after honest traffic has passed there.
    """

    id: str
    name: str
    story: str
    stopped_by: str
    naive: Any = field(repr=False)
    repaired: Any = field(repr=False)
    attack: Trial = field(repr=False)
    honest: Trial = field(repr=False)
    real: Callable[[Any], bool] = field(repr=False)

    def play(self, lab: Any) -> Shown:
        """Run the attack against the naive target, the repaired one and the real one, then honest traffic."""
        if not _running(lab):
            return Shown("play needs a running lab: run the set-up cell at the top again, then play(lab).")
        rows = [
            ("naive", self.attack(self.naive, lab), self.honest(self.naive, lab)),
            ("repaired", self.attack(self.repaired, lab), self.honest(self.repaired, lab)),
            ("the lab's own", self.real(lab), True),
        ]
        told = [
            (who, "got in" if attack else "stopped", "passes" if honest else "is stopped")
            for who, attack, honest in rows
        ]
        head, story = f"{self.id} {self.name}", fill(self.story, _WIDTH)
        columns = ("target", "the attack", "honest traffic")
        lines = [f"  {who:15}{attack:13}{honest}" for who, attack, honest in (columns, *told)]
        below = f"stopped by: {self.stopped_by}"
        text = "\n".join([head, story, "", *lines, "", fill(below, _WIDTH)])
        tints = {"got in": "red", "stopped": "green", "passes": "green", "is stopped": "red"}
        cells = [(who, *(html.chip(word, tints[word]) for word in words)) for who, *words in told]
        return Shown(
            text,
            html.figure(html.bold(head), "  ", self.story, html.table(cells, head=columns), below, text=text),
        )

    def code(self) -> Shown:
        """The naive target and the repaired one, as they are written."""
        parts = [("naive", _source(self.naive)), ("repaired", _source(self.repaired))]
        head = f"{self.id} {self.name}"
        text = "\n\n".join([head, *(f"# {name}\n{source}" for name, source in parts)])
        shown = [part for name, source in parts for part in (html.bold(name), html.block(source))]
        return Shown(text, html.figure(html.bold(head), html.table([]), *shown, text=text))

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


def _running(lab: Any) -> bool:
    parts = (getattr(lab, name, None) for name in ("broker", "authserver"))
    return all(getattr(part, "running", False) is True for part in parts)


def _source(target: Any) -> str:
    if isinstance(told := getattr(target, "told", None), str):
        return told
    return inspect.getsource(target).rstrip()
