"""The price of each way to judge tokens, measured: requests, and seconds until a revoked token is dead."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from labkit.exercises.lesson07.standing import Visit, code_for, questions, standing
from labkit.lab import Lab
from labkit.show import Shown, html
from labkit.show.svg import Drawing
from labkit.show.text import table

__all__ = ["prices", "requests_for_logins"]

#: How a broker can be set up: what it is called in the picture, and the lab's options.
WAYS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("jwt", {"validation": "jwt", "push_revocation": False}),
    *(
        (
            f"introspection, ttl {ttl} s",
            {"validation": "introspection", "introspection_ttl": ttl, "push_revocation": False},
        )
        for ttl in (60, 10, 2)
    ),
    ("both, ttl 10 s", {"validation": "both", "introspection_ttl": 10, "push_revocation": False}),
    ("jwt, told", {"validation": "jwt"}),
    ("introspection, ttl 10 s, told", {"validation": "introspection", "introspection_ttl": 10}),
)
LIFETIME: Final = 300
#: Seconds after the revocation at which somebody looks.
MOMENTS: Final = (0, 2, 10, 60, LIFETIME)
_DEVICES, _LOGINS, _STEP = 4, 25, 7
_LIVE, _MINUTE = 10, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one way costs: requests for 100 logins, and in a minute for 10 live connections; then seconds."""

    way: str
    logins: int
    live: int
    login_dead: int
    live_dead: int


def _price(way: str, options: dict[str, Any]) -> Price:
    with standing(**options) as lab:
        live, live_dead = _live(lab)
        login_dead, logins = _login_dead(lab), requests_for_logins(lab)
    return Price(way=way, logins=logins, live=live, login_dead=login_dead, live_dead=live_dead)


def requests_for_logins(lab: Lab) -> int:
    """Four devices log in 25 times each, every seven seconds, with the token they have."""
    names = [f"door-{number}" for number in range(1, _DEVICES + 1)]
    for name in names:
        lab.register(name, lifetime=3600)
    tokens = {name: lab.token(name) for name in names}
    mark = lab.record.mark()
    for _ in range(_LOGINS):
        for name in names:
            code_for(lab, name, tokens[name])
        lab.clock.advance(seconds=_STEP)
    return questions(lab, mark)


def _live(lab: Lab) -> tuple[int, int]:
    """Ten connections: requests in their first minute; then all tokens are revoked, and the last one ends."""
    with contextlib.ExitStack() as stack:
        visits = []
        for number in range(1, _LIVE + 1):
            name = f"sensor-{number}"
            lab.register(name, lifetime=_MINUTE + LIFETIME)
            visits.append(stack.enter_context(Visit(lab, name, lab.token(name))))
        mark = lab.record.mark()
        lab.clock.advance(seconds=_MINUTE)
        asked = questions(lab, mark)
        for number in range(1, _LIVE + 1):
            lab.revoke(f"sensor-{number}")
        return asked, _seconds_until(lab, lambda: not any(visit.alive for visit in visits))


def _login_dead(lab: Lab) -> int:
    """A token is used, and revoked at once: how long is it still good for a login?"""
    lab.register("lamp-1", lifetime=LIFETIME + 1)
    token = lab.token("lamp-1")
    lab.clock.advance(seconds=1)  # who revokes all tokens of a client means those of earlier seconds
    code_for(lab, "lamp-1", token)
    lab.revoke("lamp-1")
    return _seconds_until(lab, lambda: code_for(lab, "lamp-1", token) != 0)


def _seconds_until(lab: Lab, over: Callable[[], bool]) -> int:
    """The first of a few moments at which it is over."""
    passed = 0
    for moment in MOMENTS:
        lab.clock.advance(seconds=moment - passed)
        passed = moment
        if over():
            return moment
    raise RuntimeError("a token has outlived its exp")


#: The four measurements: what the text calls them in three lines, and what the picture does.
_COLUMNS: Final = (
    ("questions", "per 100", "logins"),
    ("questions", "a minute, for", f"{_LIVE} connections"),
    ("revoked token:", "logs in for", "another"),
    ("revoked token:", "stays connected", "for another"),
)


def prices() -> Shown:
    """Set up a broker in each of the ways, measure, and show."""
    found = [_price(way, options) for way, options in WAYS]
    heads = [("", *(column[line] for column in _COLUMNS)) for line in range(3)]
    rows = [
        (each.way, str(each.logins), str(each.live), f"{each.login_dead} s", f"{each.live_dead} s")
        for each in found
    ]
    text = table([*heads, *rows], indent="")
    return Shown(text, html.figure(html.image(_drawn(found), _ALT), text=text))


_ALT: Final = (
    "Bars for seven ways to set up a broker: questions for 100 logins, questions a minute for ten"
    " connections, and the seconds until a revoked token fails at a login and its connection is closed."
    " The numbers stand in the table below."
)
_ROW, _TOP, _LEFT, _WIDE, _BAR = 30, 74, 226, 158, 104  # of the picture, in pixels


def _drawn(found: list[Price]) -> str:
    drawing = Drawing(860, _TOP + _ROW * len(found) + 12, _ALT)
    for column, head in enumerate(_COLUMNS):
        x = _LEFT + column * _WIDE
        for line, words in enumerate(head):
            drawing.words(x, 22 + 17 * line, words, bold=line == 0, kind="soft" if line else "ink", size=12.5)
    for number, price in enumerate(found):
        y = _TOP + number * _ROW
        drawing.line(14, y - 5, 846, y - 5)
        drawing.words(14, y + 15, price.way)
        for column, (value, most, tint, unit) in enumerate(
            (
                (price.logins, 300, "violet", ""),
                (price.live, 300, "violet", ""),
                (price.login_dead, LIFETIME, "amber", " s"),
                (price.live_dead, LIFETIME, "amber", " s"),
            )
        ):
            x = _LEFT + column * _WIDE
            width = max(2.0, _BAR * value / most)
            drawing.box(x, y + 1, width, _ROW - 12, tint)
            drawing.words(x + width + 6, y + 15, f"{value}{unit}")
    return str(drawing)
