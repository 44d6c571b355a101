"""Access tokens: signed statements of what a client may do, and until when.  Spec: RFC 9068.

Or opaque ones, on request: the same statements, kept here and told to who may ask (RFC 7662).
"""

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.authserver.keys import KeyRing
from labkit.authserver.opaque import OpaqueTokens
from labkit.authserver.refusals import MAX_LIFETIME
from labkit.authserver.replies import compact
from labkit.authserver.store import Journal

__all__ = ["AccessTokens", "Issued", "grant_of"]

_JWS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_LONGEST = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An access token that was just made."""

    token: str = field(repr=False)
    jti: str
    expires_at: int
    expires_in: int
    scope: str


class AccessTokens:
    """Makes access tokens, reads them back, and knows which single ones have been revoked.

    A ``jti`` is the id of the grant behind the token (a registration or a family), a dot, and a random part.
    A token is good while its grant is, so nothing needs to be remembered about tokens that live and die as
    planned: a fleet costs no memory.  (Opaque tokens are the exception.)

    Args:
        keys: signs and verifies.
        now: tells the time, in Unix seconds.
        journal: keeps revocations over a restart.
        opaque: issue opaque tokens instead of JWTs; both are read back.
    """

    def __init__(
        self, keys: KeyRing, now: Callable[[], float], journal: Journal, *, opaque: bool = False
    ) -> None:
        self.issuer = ""  # holds the port, so it is known once the server listens
        self._keys = keys
        self._now = now
        self._journal = journal
        self._opaque = OpaqueTokens(now, journal)
        #: Whether :meth:`issue` writes to disk.
        self.slow = opaque and journal.slow
        self._sign = self._opaque.issue if opaque else self._signed
        self._sweep_at = 0.0
        self._revoked: dict[str, float] = {jti: row["until"] for jti, row in journal.load("revoked").items()}

    def issue(
        self,
        *,
        subject: str,
        client_id: str,
        grant: str,
        audience: str,
        scopes: tuple[str, ...],
        lifetime: int,
        cnf: Mapping[str, str] | None = None,
    ) -> Issued:
        """A new access token; with ``cnf`` it is good only with that key.  Spec: RFC 9068 §2.2, RFC 7800."""
        issued_at = int(self._now())
        jti = f"{grant}.{secrets.token_urlsafe(12)}"
        scope = " ".join(scopes)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "client_id": client_id,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": jti,
            "scope": scope,
        }
        if cnf:
            claims["cnf"] = dict(cnf)
        return Issued(
            token=self._sign(claims),
            jti=jti,
            expires_at=issued_at + lifetime,
            expires_in=lifetime,
            scope=scope,
        )

    def read(self, token: str) -> Mapping[str, Any] | None:
        """The claims of an access token of ours that has neither expired nor been revoked, else ``None``.

        Whether the grant behind it still stands is for the caller to see.
        """
        if len(token) > _LONGEST:
            return None
        claims = self._opaque.find(token) or self._verified(token)
        if claims is None:
            return None
        good = (
            claims["iss"] == self.issuer
            and claims["exp"] > self._now()
            and claims["jti"] not in self._revoked
        )
        return claims if good else None

    def drop_client(self, client_id: str) -> None:
        """Forget what is kept about the tokens of a client, none of which is good any more."""
        self._opaque.drop_client(client_id)

    def revoke(self, jti: str) -> None:
        """End one token before its time."""
        now = self._now()
        self._revoked[jti] = until = now + MAX_LIFETIME
        gone: list[str] = []
        if now >= self._sweep_at:  # now and then, forget those that have expired meanwhile
            self._sweep_at = now + MAX_LIFETIME
            gone = [each for each, end in self._revoked.items() if end <= now]
            for each in gone:
                del self._revoked[each]
        self._journal.write(("revoked", jti, {"until": until}), *(("revoked", each, None) for each in gone))

    def _signed(self, claims: Mapping[str, Any]) -> str:
        return self._keys.current.sign(compact(claims).encode())

    def _verified(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a JWT that one of our keys has signed."""
        if not _JWS.fullmatch(token):
            return None
        header = _header(token)
        if header.get("typ") != "at+jwt" or not isinstance(kid := header.get("kid"), str):
            return None
        key = self._keys.find(kid)
        payload = key.verify(token) if key is not None else None
        return None if payload is None else json.loads(payload)  # our own signature: our own JSON


def grant_of(jti: str) -> str:
    """The id of the grant behind a token."""
    return jti.partition(".")[0]


def _header(token: str) -> dict[str, Any]:
    try:
        text = token.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}
