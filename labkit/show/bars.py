"""The picture of lifetimes: bars of tokens above bars of connections, on one time axis."""

from typing import Final

from labkit.show.lives import Connection, Life, Token
from labkit.show.svg import Drawing, width_of

__all__ = ["drawn"]

_WIDTH: Final = 860
_LEFT, _RIGHT = 110, 24  # of the axis
_TOP, _NAME, _BAR, _GAP, _AXIS = 14, 26, 22, 6, 34  # heights
_MOST = 6  # devices that are drawn
_STEPS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
#: Ends of a connection that nobody has to worry about; empty is none.
_CALM: Final = ("", "swap", "left")
#: The height of one device: its name, two rows of tokens, because they overlap, and one of connections.
_LIFE: Final = _NAME + 3 * (_BAR + _GAP) + 14


class _Axis:
    """Turns seconds into pixels."""

    def __init__(self, most: int) -> None:
        self.step = next((step for step in _STEPS if most / step <= 8), max(1, -(-most // 8)))
        self.most = max(1, most)

    def x(self, second: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(second, 0), self.most) / self.most

    def name(self, second: int) -> str:
        """What stands at a mark: the same unit at all of them."""
        return f"{second // 60} min" if self.step % 60 == 0 and self.most >= 600 else f"{second} s"


def drawn(held: list[Life], now: int, named: list[Token]) -> tuple[str, str]:
    """The picture as SVG, and a sentence that describes it; only what is ``named`` has words on it."""
    shown = held[:_MOST]
    axis = _Axis(max(_ends(shown, now)))
    rest = len(held) - len(shown)
    height = _TOP + len(shown) * _LIFE + _AXIS + (20 if rest else 0)
    drawing = Drawing(_WIDTH, height, title := _title(held))
    bottom = _TOP + len(shown) * _LIFE
    for second in range(0, axis.most + 1, axis.step):
        x = axis.x(second)
        for number in range(len(shown)):
            top = _TOP + number * _LIFE + _NAME - 4
            drawing.line(x, top, x, top + _LIFE - _NAME)
        drawing.words(x, bottom + 18, axis.name(second), anchor="middle", kind="soft", size=12)
    for number, life in enumerate(shown):
        _life(drawing, _TOP + number * _LIFE, life, axis, now, named)
    if rest:
        drawing.words(14, bottom + _AXIS + 6, f"{rest} more in the table", kind="soft", size=12)
    return str(drawing), title


def _ends(shown: list[Life], now: int) -> list[int]:
    """Where bars end.  Time behind the last is not drawn: a device that tries in vain does so at random."""
    ends = [now if token.expires is None else token.expires for life in shown for token in life.tokens]
    return ends + [now if each.end is None else each.end for life in shown for each in life.connections]


def _life(drawing: Drawing, top: float, life: Life, axis: _Axis, now: int, named: list[Token]) -> None:
    drawing.words(14, top + 18, life.name, room=_LEFT * 3, bold=True)
    tokens, below = top + _NAME, top + _NAME + 2 * (_BAR + _GAP)
    drawing.words(14, tokens + _BAR, "tokens", kind="soft", size=12)
    drawing.words(14, below + 15, "connections", kind="soft", size=12)
    for number, token in enumerate(life.tokens):
        y = tokens + (number % 2) * (_BAR + _GAP)
        _token(drawing, y, token, axis, words=token in named)
        if token.replaced is not None:
            x = axis.x(token.replaced)
            drawing.line(x, y + _BAR / 2, x, below, "soft", "2 3")
            drawing.dot(x, y + _BAR / 2)
    for connection in life.connections:
        _connection(drawing, below, connection, axis, now, words=connection.token in (None, *named))


def _token(drawing: Drawing, y: float, token: Token, axis: _Axis, *, words: bool) -> None:
    start = axis.x(token.issued or 0)
    end = axis.x(axis.most if token.expires is None else token.expires)
    width = max(3.0, end - start)
    drawing.box(start, y, width, _BAR, "violet")
    if token.revoked is not None:
        cut = axis.x(token.revoked)
        drawing.box(cut, y, max(3.0, end - cut), _BAR, "grey")
    for name in (f"{token.name}, {token.life}" if token.life else token.name, token.name):
        if words and width_of(name, 12) + 10 <= width:
            drawing.words(start + 6, y + 15, name, kind="on", size=12)
            return


def _connection(
    drawing: Drawing, y: float, connection: Connection, axis: _Axis, now: int, *, words: bool
) -> None:
    start = axis.x(connection.start)
    end = max(start + 3, axis.x(now if connection.end is None else connection.end) - 1)
    drawing.box(start, y, end - start, _BAR, "green" if connection.ended in _CALM else "amber")
    ended = connection.ended or "still open"
    if words and width_of(ended, 12) + 10 <= end - start:
        drawing.words(end - 6, y + 15, ended, anchor="end", kind="on", size=12)


def _title(held: list[Life]) -> str:
    tokens = sum(len(life.tokens) for life in held)
    connections = sum(len(life.connections) for life in held)
    names = ", ".join(life.name for life in held[:_MOST])
    return (
        f"Time axis of {tokens} token{'s' * (tokens != 1)} and"
        f" {connections} connection{'s' * (connections != 1)} of {names}. A table of them stands below."
    )
