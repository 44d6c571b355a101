"""The client certificate of a TLS connection, as tokens name it."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

__all__ = ["thumbprint"]


def thumbprint(ssl_object: Any) -> str | None:
    """The ``x5t#S256`` of the certificate that the client has proven to hold.  Spec: RFC 8705 §3.1."""
    der = None if ssl_object is None else ssl_object.getpeercert(True)
    if not der:
        return None
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
