"""The names that a token gives to a key (``cnf.jkt``, RFC 9449 §6.1) and to a certificate (RFC 8705 §3.1)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Final

__all__ = ["of_certificate", "thumbprint"]

#: The members that make up a thumbprint, in code point order (RFC 7638 §3.2, RFC 8037 §2).
_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """The SHA-256 thumbprint of a public key, as base64url without padding.  Spec: RFC 7638 §3.

    Raises:
        KeyError: the key is of another type, or lacks a member.
    """
    members = {name: jwk[name] for name in _MEMBERS[jwk["kty"]]}
    return _hash(json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode())


def of_certificate(der: bytes | None) -> str | None:
    """The ``x5t#S256`` of a certificate; ``None`` where there is none.  Spec: RFC 8705 §3.1."""
    return _hash(der) if der else None


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
