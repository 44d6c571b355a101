"""An access token that has passed every check: the facts in it, without its text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.topics import Permissions

__all__ = ["AccessToken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a relying party knows after validation.  The token itself is not kept, so nothing can leak it.

    Spec: RFC 9068 §2.2 (claims); RFC 7662 §2.2 when it came from introspection.

    Attributes:
        issuer: the authorization server (``iss``).
        subject: for whom the token acts (``sub``): the client itself, or a user.
        client_id: the client that got the token.
        audience: for which relying parties it is meant (``aud``), one or more.
        scopes: the scope tokens, in their order.
        issued_at: Unix seconds (``iat``).
        expires_at: Unix seconds (``exp``).
        not_before: Unix seconds (``nbf``), or ``None``.
        jti: the identifier of this token; one made from its hash when introspection gave none.
        key_id: ``kid`` of the key that verified it, or ``None``.
        algorithm: the signature algorithm, for example ``"ES256"``; or ``"introspection"``.
        confirmed_at: when the authorization server was asked about it, in Unix seconds; ``None``: it was not.
        claims: every claim, also those that nobody here understands.  Read-only.
    """

    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    scopes: tuple[str, ...]
    issued_at: float
    expires_at: float
    not_before: float | None = None
    jti: str
    key_id: str | None = None
    algorithm: str
    confirmed_at: float | None = None
    claims: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def permissions(self) -> Permissions:
        """The topic rights in :attr:`scopes`, worked out at each call: keep the result for a connection."""
        return Permissions.from_scopes(self.scopes)
