"""A decision: the table of checks with what became of each, for one token or for several side by side."""

from collections.abc import Collection, Iterable, Mapping
from textwrap import fill
from typing import Final, NamedTuple

from markupsafe import Markup

from labkit.show import html
from labkit.show.claims import plain, short
from labkit.show.outcomes import is_decision, retold
from labkit.show.text import Shown, masked, table
from labkit.tokens import Explanation

__all__ = ["decision"]

#: What can become of a check: its mark, and its tint.
_STATES: Final = {"passed": ("✓", "green"), "failed": ("✗", "red"), "not asked": ("·", "grey")}
_UNMARKED: Final = "no mark: not reached"
_ABSENT: Final = ("-", "no such check")
_LINE: Final = 88
_LONGEST_NAME: Final = 24  # characters of a name that stays on one line


class _Verdict(NamedTuple):
    """How the broker answers, what was expected and found, and the hint.  Together one sentence."""

    answer: str
    facts: str
    hint: str
    tint: str

    def __str__(self) -> str:
        return f"{self.answer}: {self.facts} {self.hint}".strip() if self.facts else self.answer


def decision(*explanations: object, checks: Collection[str] = (), **named: object) -> Shown:
    """The table of checks with their outcomes: what ``TokenValidator.explain`` returned.  Never raises.

    Args:
        explanations: one explanation; or several, which then stand side by side under their numbers; or a
            ``dict`` of several by name.
        checks: only these checks, by name, and those that failed; the others are counted.  All by default.
        named: explanations to stand side by side, by name.
    """
    if len(explanations) == 1 and not named and not isinstance(explanations[0], Mapping):
        return _one(explanations[0], checks)
    cases = _cases(explanations, named)
    decided = [(name, retold(each)) for name, each in cases if is_decision(each)]
    strange = [(name, _no_decision(each)) for name, each in cases if not is_decision(each)]
    if decided:
        return _several(decided, strange, checks)
    return Shown("\n".join(f"{name}: {sentence}" for name, sentence in strange) or "no decision was given")


def _cases(explanations: Iterable[object], named: Mapping[str, object]) -> list[tuple[str, object]]:
    cases: list[tuple[str, object]] = []
    for number, each in enumerate(explanations, start=1):
        cases += each.items() if isinstance(each, Mapping) else [(str(number), each)]
    return [(short(str(name)), each) for name, each in (*cases, *named.items())]


def _no_decision(thing: object) -> str:
    kind = plain(type(thing).__name__)
    return f"no decision: an object of type {kind}; validator.explain(…) returns one"


def _one(explanation: object, checks: Collection[str]) -> Shown:
    if not is_decision(explanation):
        return Shown(_no_decision(explanation))
    explanation = retold(explanation)
    verdict = _verdict(explanation)
    wanted = [each for each in explanation if _wanted(each.check.name, each.state == "failed", checks)]
    rest = _rest(len(explanation) - len(wanted))
    listed = masked(str(Explanation(wanted, None))).split("\n")[:-2]
    text = "\n".join([*listed, *rest, "", _wrapped(str(verdict))])
    rows = [(each.check.name, _chip(each.state), _found(each.found)) for each in wanted]
    table = html.table(rows, head=("check", "outcome", "found"))
    said = [html.bold(verdict.answer), *filter(None, (verdict.facts, verdict.hint))]
    below = html.box(Markup("<br>").join(said), verdict.tint)
    return Shown(text, html.figure(table, *rest, below, text=text))


def _several(
    cases: list[tuple[str, Explanation]], strange: list[tuple[str, str]], checks: Collection[str]
) -> Shown:
    names = [name for name, _ in cases]
    every = _marks([each for _, each in cases])
    rows = [row for row in every if _wanted(row[0], _STATES["failed"][0] in row[1:], checks)]
    rest = _rest(len(every) - len(rows))
    head = ("check", *_heads(names, room=_LINE - max((len(row[0]) for row in rows), default=0)))
    titles = [name if name == top else f"{top} {name}" for name, top in zip(names, head[1:], strict=True)]
    verdicts = [(title, _verdict(each)) for title, (_, each) in zip(titles, cases, strict=True)]
    legend = [(mark, state) for state, (mark, _) in _STATES.items()]
    if any(_ABSENT[0] in row for row in rows):
        legend.append(_ABSENT)

    underline = tuple("-" * max(map(len, column)) for column in zip(head, *rows, strict=True))
    sentences = [(title, str(verdict)) for title, verdict in verdicts] + strange
    text = "\n".join(
        [
            table([head, underline, *rows], indent=""),
            *rest,
            "   ".join([*(f"{mark} {state}" for mark, state in legend), _UNMARKED]),
            "",
            *(_wrapped(f"{name}: {sentence}") for name, sentence in sentences),
        ]
    )
    return Shown(
        text,
        html.figure(
            html.table([(row[0], *map(_mark_chip, row[1:])) for row in rows], head=head),
            *rest,
            html.table([[_key(mark, state) for mark, state in legend] + [_UNMARKED]]),
            html.table(
                [(_name(name), _sentence(verdict)) for name, verdict in verdicts]
                + [(_name(name), sentence) for name, sentence in strange]
            ),
            text=text,
        ),
    )


def _wanted(name: str, failed: bool, checks: Collection[str]) -> bool:
    """Whether a check has a row: a choice of checks never hides the one that failed."""
    return not checks or failed or name in checks


def _rest(left_out: int) -> list[str]:
    """What is said about checks without a row."""
    if not left_out:
        return []
    return [f"and {left_out} more check{'s' * (left_out != 1)}, of which none failed"]


def _heads(names: list[str], room: int) -> list[str]:
    """What stands above the columns: the names, or numbers where the names would make the table too wide."""
    if sum(len(name) + 2 for name in names) <= room:
        return names
    return [str(number) for number in range(1, len(names) + 1)]


def _marks(explanations: list[Explanation]) -> list[tuple[str, ...]]:
    """A row for each check, with its mark in each explanation.  They may have walked different tables."""
    order: list[str] = []
    for explanation in explanations:
        place = 0
        for each in explanation:
            if each.check.name not in order:
                order.insert(place, each.check.name)
            place = order.index(each.check.name) + 1
    states = [{each.check.name: each.state for each in explanation} for explanation in explanations]
    return [
        (name, *(_STATES.get(found[name], ("", ""))[0] if name in found else _ABSENT[0] for found in states))
        for name in order
    ]


def _chip(state: str) -> str:
    """The outcome of a check; one that was not reached stands on no tint."""
    return html.chip(state, _STATES[state][1]) if state in _STATES else state


def _mark_chip(mark: str) -> str:
    return next((html.chip(mark, tint) for each, tint in _STATES.values() if each == mark), mark)


def _name(name: str) -> Markup:
    """A name beside its sentence; a client id such as ``lamp-1`` is not broken at its hyphen."""
    return html.bold(name) if " " in name or len(name) > _LONGEST_NAME else html.whole(html.bold(name))


def _key(mark: str, state: str) -> Markup:
    return Markup("{} {}").format(_mark_chip(mark), state)


def _found(found: str | None) -> Markup | str:
    return html.breakable(html.mono(masked(found))) if found else ""


def _sentence(verdict: _Verdict) -> Markup:
    return Markup(" ").join([html.chip(verdict.answer, verdict.tint), verdict.facts, verdict.hint])


def _verdict(explanation: Explanation) -> _Verdict:
    """The last line of an explanation in plain text, in its three pieces."""
    line = masked(str(explanation)).rsplit("\n", 1)[-1]
    if explanation.refusal is None:
        return _Verdict(line, "", "", "green")
    reason, hint = masked(str(explanation.refusal)), masked(explanation.refusal.hint)
    return _Verdict(line.removesuffix(f": {reason}"), reason.removesuffix(hint).rstrip(), hint, "red")


def _wrapped(sentence: str) -> str:
    return fill(sentence, _LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
