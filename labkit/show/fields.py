"""The table of a packet's fields: place, first bytes, name and meaning of each.

Below a field stand its bits, when it is made of flags, and the entries of the access token that it carries.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from labkit.show.entries import Entry, read
from labkit.show.text import masked
from labkit.wire import Range
from labkit.wire.secrecy import Span, tokens_in

__all__ = ["Line", "first_bytes", "lines"]

_HEX_BYTES: Final = 4
_MOST_TOKENS: Final = 4
#: A port in an OAUTHBEARER message, as it stands in the meaning of a field.
_PORT: Final = re.compile(r"(\\x01port=)\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A field, or what stands below one: some of its bits; an entry of the token in it, with a ``value``."""

    where: str = ""
    hex: str = ""
    name: str = ""
    value: str = ""
    meaning: str = ""
    field: Range | None = None


def lines(data: bytes, field: Range, hidden: Sequence[Span]) -> Iterator[Line]:
    """What the table says of a field of the packet ``data``, without its ``hidden`` bytes."""
    only_flags = field.valid and field.bits and field.name != "packet type and flags"  # the bits say it all
    meaning = f"{data[field.start]:08b}" if only_flags else _without_ports(field.meaning)
    where = f"{field.start}" if field.end - field.start < 2 else f"{field.start}-{field.end - 1}"
    code = first_bytes(data, field, hidden)
    yield Line(where=where, hex=code, name=field.name, meaning=meaning, field=field)
    for bits in field.bits:
        yield Line(hex=bits.pattern, name=bits.name, meaning=bits.meaning)
    if field.valid and field.name != "not read":
        for token in tokens_in(data[field.start : field.end])[:_MOST_TOKENS]:
            yield from _token(token.decode())


def first_bytes(data: bytes, field: Range, hidden: Sequence[Span]) -> str:
    """The beginning of a field in hex, as far as it may be shown."""
    gaps = [max(a, field.start) for a, b in hidden if a < field.end and b > field.start]
    end = min([field.end, field.start + _HEX_BYTES, *gaps])
    return data[field.start : end].hex(" ") + (" …" if end < field.end else "")


def _without_ports(meaning: str) -> str:
    return masked(_PORT.sub(r"\1PORT", meaning)).replace("……", "…")  # a token has been cut before


def _token(token: str) -> Iterator[Line]:
    reading = read(token, None)
    for part, entries in (("header", reading.header), ("claims", reading.claims)):
        for number, entry in enumerate(entries):
            yield from _entry("" if number else part, entry)
    yield Line(hex="signature", value=f"{reading.size}, {reading.signature.words}")
    if reading.strict:
        yield Line(value=reading.strict)


def _entry(part: str, entry: Entry) -> Iterator[Line]:
    first, *more = entry.values
    yield Line(hex=part, name=entry.name, value=first, meaning=entry.meaning)
    for value in more:
        yield Line(value=value)
