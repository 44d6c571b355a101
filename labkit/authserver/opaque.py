"""Opaque access tokens: random text that says nothing.  What it stands for is looked up here, by asking.

The server keeps what a JWT would carry, under the hash of the token, until it expires.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from labkit.authserver.clients import fingerprint
from labkit.authserver.store import Journal, Row

__all__ = ["OpaqueTokens"]

#: How many tokens one client can hold at a time; the oldest makes room.  A device needs one or two.
MOST_PER_CLIENT = 100


class OpaqueTokens:
    """The opaque tokens of one server, safe to use from any thread.

    Args:
        now: tells the time, in Unix seconds.
        journal: keeps them over a restart, as hashes.
    """

    def __init__(self, now: Callable[[], float], journal: Journal) -> None:
        self._now = now
        self._journal = journal
        self._lock = threading.Lock()
        self._claims: dict[str, Mapping[str, Any]] = {}
        self._held: dict[str, list[str]] = {}  # by client, the oldest first
        rows = journal.load("opaque").items()
        for name, claims in sorted(rows, key=lambda row: (row[1]["iat"], row[0])):
            self._remember(name, claims)

    def issue(self, claims: Mapping[str, Any]) -> str:
        """A token that stands for ``claims``, and says nothing about them."""
        token = secrets.token_urlsafe(32)  # 256 bits: RFC 6749 §10.10 asks for 128, better 160
        name = fingerprint(token)
        with self._lock:
            held = self._held.get(claims["client_id"], ())
            gone = [each for each in held if self._claims[each]["exp"] <= self._now()]
            if len(held) - len(gone) >= MOST_PER_CLIENT:
                gone = [*gone, next(each for each in held if each not in gone)]
            for each in gone:
                self._forget(each)
            self._remember(name, claims)
            forgotten: list[Row] = [("opaque", each, None) for each in gone]
            self._journal.write(("opaque", name, claims), *forgotten)
        return token

    def find(self, token: str) -> Mapping[str, Any] | None:
        """What a token stands for, expired or not; ``None`` when it is unknown."""
        return self._claims.get(fingerprint(token))

    def drop_client(self, client_id: str) -> None:
        """Forget every token of a client."""
        with self._lock:
            gone = list(self._held.get(client_id, ()))
            for name in gone:
                self._forget(name)
            self._held.pop(client_id, None)
            self._journal.write(*(("opaque", name, None) for name in gone))

    def _remember(self, name: str, claims: Mapping[str, Any]) -> None:
        self._claims[name] = claims
        self._held.setdefault(claims["client_id"], []).append(name)

    def _forget(self, name: str) -> None:
        claims = self._claims.pop(name)
        self._held[claims["client_id"]].remove(name)
