"""Tokens and connections on a time axis: how long each lives, what replaces it, and how it ends.

A bar is a token, from its issue to its ``exp``; the dot on it is the moment at which the device got the next
one.  Below are the connections that the tokens opened.  A device that draws its refresh point at random (as
ours does, between 70 and 90 % of a token's life) gives another picture on every run, unless it is made with
``random=Random(41)`` or any other seed.
"""

from collections.abc import Iterable

from markupsafe import Markup

from labkit.record import Event
from labkit.show.bars import drawn
from labkit.show.html import bold, figure, image
from labkit.show.html import table as html_table
from labkit.show.lives import Connection, Life, Token, lives
from labkit.show.text import Shown, table
from labkit.show.timeline import chosen, span

__all__ = ["lifetime"]

_HEAD = ("token", "life", "issued", "expires", "then", "connected", "ended by")
#: How many of the columns are about a token, and how wide a line of text may be, in characters.
_OF_TOKEN, _LINE = 5, 88
_NEVER = ("never", "")
#: Tokens of one device that are told; of more, the first and the last.
_MOST, _FIRST, _LAST = 24, 12, 6


def lifetime(record: Iterable[Event], client_id: str | None = None, *, since: int = 0) -> Shown:
    """The tokens, refreshes and connections of each device, on a time axis and as a table.

    Time is told in seconds since the first event.

    Args:
        record: ``lab.record``, or a list of events.
        client_id: only this device.
        since: leave out events before this number; see ``Record.mark``.
    """
    events = chosen(record, since, client_id)
    if events is None:
        return Shown(f"no record of events: a {type(record).__name__}")
    held, now = lives(event for event in events if client_id in (None, event["client_id"]))
    if not held:
        return Shown("no token was issued, and nobody connected")
    tables = [(life.name, _rows(life, now)) for life in held]
    text = "\n\n".join(f"{name}\n{_text([_HEAD, *rows])}" for name, rows in tables)
    svg, alt = drawn(held, now, [token for life in held for token in _told(life)])
    parts = [part for name, rows in tables for part in (bold(name), html_table(rows, head=_HEAD))]
    above = Markup("<div>{}</div>").format(image(svg, alt))  # on a line of its own
    return Shown(text, figure(above, *parts, text=text))


def _text(rows: list[tuple[str, ...]]) -> str:
    """The rows as a table, or, where that would be too wide, the connections below the tokens."""
    whole = table(rows)
    if max(map(len, whole.split("\n"))) <= _LINE:
        return whole
    tokens = [row[:_OF_TOKEN] for row in rows if any(row[:_OF_TOKEN])]
    return f"{table(tokens)}\n{table([row[:1] + row[_OF_TOKEN:] for row in rows])}"


def _rows(life: Life, now: int) -> list[tuple[str, ...]]:
    """A row for each token, and more where it opened more than one connection."""
    rows: list[tuple[str, ...]] = []
    told = _told(life)
    for number, token in enumerate(life.tokens):
        if token not in told:
            if number == _FIRST:
                rows.append((f"… {len(life.tokens) - len(told)} more", *[""] * (len(_HEAD) - 1)))
            continue
        issued = "earlier" if token.issued is None else span(token.issued)
        expires = "unknown" if token.expires is None else span(token.expires)
        first, *others = [_connected(each) for each in life.connections if each.token is token] or [_NEVER]
        rows.append((token.name, token.life, issued, expires, token.then(now), *first))
        rows += [("", "", "", "", "", *other) for other in others]
    unknown = [_connected(each) for each in life.connections if each.token is None]
    return rows + [("unknown", "", "", "", "", *each) for each in unknown]


def _connected(connection: Connection) -> tuple[str, str]:
    if connection.end is None:
        return f"from {span(connection.start)}", "still open"
    return f"{span(connection.start)} to {span(connection.end)}", connection.ended


def _told(life: Life) -> list[Token]:
    """The tokens that have a row in the table, and a name in the picture."""
    tokens = life.tokens
    return tokens if len(tokens) <= _MOST else [*tokens[:_FIRST], *tokens[-_LAST:]]
