"""``labkit inspect``: what is in a token, and would it be accepted?  Offline."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from labkit.errors import TokenRejected
from labkit.tokens import TokenValidator, peek_unverified

__all__ = ["inspect_token"]


def inspect_token(
    token: str, *, keys_file: Path | None, issuer: str | None, audience: str | None, client_id: str | None
) -> int:
    """Print the parts of ``token``; with keys also every check.  0, or 1 when it is malformed or refused."""
    token = (sys.stdin.read() if token == "-" else token).strip()  # noqa: S105 - a dash, not a secret
    try:
        parts = peek_unverified(token)
    except TokenRejected as refusal:
        typer.echo(f"labkit: this is no JWT access token: {refusal}", err=True)
        return 1
    for title, part in (("Header", parts.header), ("Claims", parts.claims)):
        typer.echo(f"{title}\n{json.dumps(dict(part), indent=2, ensure_ascii=False)}\n")
    _say_when(parts.claims)
    if keys_file is None:
        typer.echo("The signature was not checked: give the issuer's keys with --jwks FILE.")
        return 0
    try:
        keys = json.loads(keys_file.read_bytes())
    except (OSError, ValueError) as error:
        typer.echo(f"labkit: cannot read a JWK set from {keys_file}: {error}", err=True)
        return 1
    missing = [name for name, value in (("--issuer", issuer), ("--audience", audience)) if value is None]
    if missing:
        typer.echo(
            f"Taken from the token itself, for want of {' and '.join(missing)}: compare them yourself."
        )
    claimed = parts.claims.get("aud")
    try:
        validator = TokenValidator(
            issuer or str(parts.claims.get("iss")),
            audience or str(claimed[0] if isinstance(claimed, list) and claimed else claimed),
            keys,
        )
    except (ValueError, TokenRejected) as error:
        typer.echo(f"labkit: cannot use {keys_file} as a JWK set: {error}", err=True)
        return 1
    explanation = validator.explain(token, client_id=client_id)
    typer.echo(str(explanation))
    return 0 if explanation.accepted else 1


def _say_when(claims: Mapping[str, Any]) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if isinstance(expires, int | float):
        left = expires - time.time()
        when = f"expires in {left:.0f} s" if left > 0 else f"expired {-left:.0f} s ago"
        life = f", lives {expires - issued:.0f} s" if isinstance(issued, int | float) else ""
        typer.echo(f"By this machine's clock it {when}{life}.\n")
