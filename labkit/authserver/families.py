"""Refresh tokens, in families: one grant of an owner, one chain of tokens, of which only the last is good.

::

    grant ──▶ token 1 ──used──▶ token 2 ──used──▶ token 3
                 │
                 └──used again──▶ the family dies: somebody has a copy, and nobody can tell who

Spec: RFC 6749 §6, §10.4; RFC 9700 §4.14.2.
"""

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from labkit.authserver.clients import fingerprint
from labkit.authserver.refusals import MAX_LIFETIME
from labkit.authserver.scopes import narrowed
from labkit.authserver.store import Journal, Row

__all__ = ["ABSOLUTE_LIFETIME", "INACTIVITY_LIFETIME", "Families", "Family"]

#: A refresh token that nobody uses for this long is no longer good, in seconds.
INACTIVITY_LIFETIME = 24 * 3600
#: After this long the owner is asked again, in seconds.
ABSOLUTE_LIFETIME = 30 * 24 * 3600


@dataclass(slots=True, kw_only=True)
class Family:
    """One grant of an owner to a client, and what is left of it.

    Attributes:
        id: random; the access tokens of the family carry it in their ``jti``.
        client_id: the client it was given to.
        subject: the owner, as in ``sub``.
        scopes: what was granted, to every refresh token of the family alike (RFC 6749 §6).
        audience: the resource it was granted for.
        ends_at: when the whole family ends, in Unix seconds.
        idle_until: when the current refresh token ends if it is not used.
        current: hash of the one good refresh token.
        issued: expiry of each access token that may still be in use, by ``jti``.
        certificate: thumbprint of the certificate that refreshing takes (RFC 8705 §4), or ``None``.
    """

    id: str
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    audience: str
    ends_at: float
    idle_until: float
    current: str = field(repr=False)
    issued: dict[str, int] = field(default_factory=dict)
    certificate: str | None = None

    def note(self, jti: str, expires_at: int, now: float) -> None:
        """Remember an access token while it lives: it dies with the family."""
        self.issued = {one: end for one, end in self.issued.items() if end > now} | {jti: expires_at}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Self:
        """From the journal."""
        return cls(**row | {"scopes": tuple(row["scopes"])})


class Families:
    """All the families of one server.  The caller holds the server's lock."""

    def __init__(self, now: Callable[[], float], journal: Journal) -> None:
        self._now = now
        self._journal = journal
        self._families = {key: Family.of_row(row) for key, row in journal.load("family").items()}
        self._by_hash = {key: row["family"] for key, row in journal.load("refresh").items()}
        self._sweep_at = 0.0

    def start(
        self, *, client_id: str, subject: str, scopes: tuple[str, ...], audience: str
    ) -> tuple[Family, str]:
        """A new family and its first refresh token."""
        self._sweep()
        now = self._now()
        family = Family(
            id=secrets.token_urlsafe(8),
            client_id=client_id,
            subject=subject,
            scopes=scopes,
            audience=audience,
            ends_at=now + ABSOLUTE_LIFETIME,
            idle_until=now,
            current="",
        )
        self._families[family.id] = family
        return family, self._renew(family)

    def find(self, refresh_token: str) -> Family | None:
        """The family a refresh token belongs to, be it the current one or not."""
        return self._families.get(self._by_hash.get(fingerprint(refresh_token), ""))

    def get(self, family_id: str) -> Family | None:
        """The family of that id, while it lives."""
        return self._families.get(family_id)

    def of_client(self, client_id: str) -> list[Family]:
        """All families of a client."""
        return [family for family in self._families.values() if family.client_id == client_id]

    def of_subject(self, subject: str) -> list[Family]:
        """All families that an owner has granted."""
        return [family for family in self._families.values() if family.subject == subject]

    def is_current(self, family: Family, refresh_token: str) -> bool:
        """Whether this token of the family is the one that has not been used."""
        return family.current == fingerprint(refresh_token)

    def expired(self, family: Family) -> bool:
        """Whether the family's current refresh token has expired."""
        return min(family.idle_until, family.ends_at) <= self._now()

    def renew(self, family: Family, scope: str | None) -> tuple[tuple[str, ...], str]:
        """Use up the current refresh token: the scopes asked for, and the next refresh token.

        Raises:
            Refused: ``invalid_scope``, and nothing is used up.
        """
        return narrowed(scope, family.scopes), self._renew(family)

    def keep(self, family: Family) -> None:
        """Take down the family as it is now, with its newest refresh token."""
        row: Row = ("refresh", family.current, {"family": family.id})
        self._journal.write(("family", family.id, asdict(family)), row)

    def kill(self, family: Family) -> list[str]:
        """End a family; returns the ``jti`` of every access token of it that was still good."""
        self._families.pop(family.id, None)
        hashes = [each for each, owner in self._by_hash.items() if owner == family.id]
        for each in hashes:
            del self._by_hash[each]
        rows: list[Row] = [("refresh", each, None) for each in hashes]
        self._journal.write(("family", family.id, None), *rows)
        now = self._now()
        return [jti for jti, end in family.issued.items() if end > now]

    def _renew(self, family: Family) -> str:
        token = secrets.token_urlsafe(32)  # 256 bits: RFC 6749 §10.10 asks for 128, better 160
        family.current = fingerprint(token)
        family.idle_until = self._now() + INACTIVITY_LIFETIME
        self._by_hash[family.current] = family.id
        return token

    def _sweep(self) -> None:
        """Now and then, forget the families whose last access token has expired."""
        now = self._now()
        if now >= self._sweep_at:
            self._sweep_at = now + MAX_LIFETIME
            for family in list(self._families.values()):
                if min(family.idle_until, family.ends_at) + MAX_LIFETIME <= now:
                    self.kill(family)
