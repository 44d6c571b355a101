"""Scope: how much a client asks for, and whether it may have that.  Spec: RFC 6749 §3.3."""

import re
from collections.abc import Iterable

from labkit import topics
from labkit.authserver.refusals import Refused
from labkit.errors import RegistrationRefused

__all__ = ["CONNECT", "for_topics", "narrowed", "parsed"]

#: The right to open an MQTT connection at all.
CONNECT = "mqtt.connect"

#: Scopes that end in a topic filter: a smaller filter is a smaller right.
_WITH_FILTER = (topics.PUBLISH, topics.SUBSCRIBE)

#: The longest scope of one token, in bytes: relying parties, ours among them, read no token above 16 KiB.
LONGEST = 8192

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def parsed(text: str) -> tuple[str, ...]:
    """The names in a ``scope`` parameter, in order, each once.

    Raises:
        Refused: ``invalid_scope``: more than one space, or a character that no scope may have.
    """
    if len(text) > LONGEST:
        raise Refused(
            "invalid_scope", f"a scope has at most {LONGEST} bytes: ask for fewer, or for wildcards"
        )
    names = text.split(" ")
    if not all(map(_SCOPE_TOKEN.fullmatch, names)):
        raise Refused("invalid_scope", "scope names are visible ASCII without quotes, one space between them")
    return tuple(dict.fromkeys(names))


def narrowed(text: str | None, granted: tuple[str, ...]) -> tuple[str, ...]:
    """What a request for ``text`` gets out of ``granted``: all of it when it names nothing.

    A topic filter inside a granted one may be asked for: a device that only reports a temperature asks for
    that topic alone, and a stolen token can do no more (least privilege, RFC 9700 §2.3).

    Raises:
        Refused: ``invalid_scope``: asks for more than was granted.
    """
    if text is None:
        if not granted:
            raise Refused("invalid_scope", "this client has no scope to be granted")
        return granted
    names = parsed(text)
    for name in names:
        if name not in granted and not _inside(name, granted):
            raise Refused("invalid_scope", f"the scope {name} exceeds what was granted")
    return names


def for_topics(publish: Iterable[str], subscribe: Iterable[str]) -> tuple[str, ...]:
    """The scopes that stand for these topic filters, ``mqtt.connect`` first.

    Raises:
        RegistrationRefused: not a topic filter, or one that cannot be a scope, or too many of them.
    """
    names = [CONNECT]
    for filters, scope_for in ((publish, topics.scope_for_publish), (subscribe, topics.scope_for_subscribe)):
        for wanted in filters:
            if not isinstance(wanted, str):
                raise RegistrationRefused(f"{wanted!r} is no topic filter: topics are texts")
            try:
                names.append(scope_for(wanted))
            except ValueError as error:
                raise RegistrationRefused(str(error)) from None
    if sum(map(len, names)) + len(names) > LONGEST:
        raise RegistrationRefused(
            f"a token holds {LONGEST} bytes of scopes: name fewer topics, or use wildcards"
        )
    return tuple(dict.fromkeys(names))


def _inside(name: str, granted: tuple[str, ...]) -> bool:
    for prefix in _WITH_FILTER:
        if name.startswith(prefix):
            wanted = name.removeprefix(prefix)
            return topics.valid_filter(wanted) and any(
                topics.covers(grant.removeprefix(prefix), wanted)
                for grant in granted
                if grant.startswith(prefix)
            )
    return False
