"""Which bytes of a packet must not be shown: tokens beyond their first letters, and passwords.

An access token may stand anywhere: in the user name, the password, the authentication data, a user property,
a payload.  What is hidden is told in spans of bytes, so that text, hex and picture hide the same.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from labkit.wire.packets import PacketType

__all__ = ["SECRET", "TOKEN_HEAD", "Span", "hidden_bytes", "merged", "tokens_in"]

#: From a byte to another (not included).
Span: TypeAlias = tuple[int, int]

#: The fields that log in.
SECRET: Final = ("user name", "password", "authentication data")
TOKEN_HEAD: Final = 8  # characters of a token that are shown: they come from its header and are no secret
_HEAD: Final = 2  # and of what may be a secret of any other kind
_SHORTEST_TOKEN: Final = 22  # RFC 6749 §10.10: at least 128 bits, which is 22 characters of base64url
_LONGEST_NAME: Final = 64  # where there is a token, a longer run of letters may be a piece that was damaged

_JWT: Final = re.compile(rb"eyJ[\w-]{4,}(?:\.[\w-]*){0,4}")
_BEARER: Final = re.compile(rb"\x01auth=Bearer ([^\x01]*)", re.IGNORECASE)  # RFC 7628 §3.1
_RUN: Final = re.compile(rb"[\w.-]{%d,}" % _LONGEST_NAME)
_CONTROL: Final = re.compile(rb"[\0-\x1f]")

#: Packets that log in.  What is left of a broken one may hold a password under any name.
_LOGIN: Final = (PacketType.CONNECT, PacketType.CONNACK, PacketType.AUTH)
#: Fields that a damaged flag makes of a user name and a password.
_MISTAKEN: Final = ("will topic", "will message", "will payload")
_LONGEST_NUMBER: Final = 4  # bytes; a field that is no longer is not worth hiding


def tokens_in(raw: bytes) -> list[bytes]:
    """The JWTs in ``raw``, or what looks like one: three parts, joined by dots."""
    return [found[0] for found in _JWT.finditer(raw) if found[0].count(b".") == 2]


def hidden_bytes(
    data: bytes, parts: Sequence[tuple[str, int, int]], culprit: int | None, unread: int
) -> tuple[Span, ...]:
    """The spans of ``data`` that must not be shown, in order.

    Args:
        data: the packet.
        parts: its fields: name, start, end.
        culprit: which of them breaks a rule.  Then they may be others than they are called.
        unread: from which of them on there are bytes that nobody could read.
    """
    spans: list[Span] = []
    remnants = culprit is not None or _JWT.search(data) is not None
    for index, (name, start, end) in enumerate(parts):
        raw = data[start:end]
        found = [*_in_field(name, raw)]
        if remnants:
            found += [(run.start() + TOKEN_HEAD, run.end()) for run in _RUN.finditer(raw)]
        if culprit is not None and len(raw) > _LONGEST_NUMBER:
            if index >= unread or name == "surplus bytes":
                found.append((_HEAD, len(raw)))
            elif data[0] >> 4 in _LOGIN:
                found += _in_wreck(name, raw, index < culprit)
        spans += [(start + first, start + last) for first, last in found]
    return merged(spans)


def _in_field(name: str, raw: bytes) -> Iterator[Span]:
    if name in ("password", "fields of another version") or (
        name == "user name" and (len(raw) >= _SHORTEST_TOKEN or _JWT.match(raw))
    ):
        yield _after_head(raw)
    elif name == "authentication data":
        bearer = _BEARER.search(raw)  # what stands before the token in an OAUTHBEARER message is no secret
        start = bearer.start(1) if bearer else 0
        yield start + _after_head(bearer[1] if bearer else raw)[0], len(raw)
    else:
        for found in _JWT.finditer(raw):
            yield found.start() + TOKEN_HEAD, found.end()


def _in_wreck(name: str, raw: bytes, sound: bool) -> Iterator[Span]:
    """What else to hide in a login that breaks a rule; ``sound`` is a field before the one that does."""
    if not sound or name in _MISTAKEN:
        yield _HEAD, len(raw)
    elif (control := _CONTROL.search(raw)) is not None:  # the length of the field behind, swallowed
        yield control.start(), len(raw)


def _after_head(raw: bytes) -> Span:
    return (TOKEN_HEAD if _JWT.fullmatch(raw) else _HEAD), len(raw)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same bytes, in spans that are in order and do not touch."""
    apart: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(apart[-1][1], end)
        else:
            apart.append((start, end))
    return tuple(apart)
