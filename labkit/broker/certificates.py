"""The client certificate of a TLS connection, as tokens name it."""

from typing import Any

from labkit.tokens.thumbprint import of_certificate

__all__ = ["thumbprint"]


def thumbprint(ssl_object: Any) -> str | None:
    """The ``x5t#S256`` of the certificate that the client has proven to hold.  Spec: RFC 8705 §3.1."""
    return None if ssl_object is None else of_certificate(ssl_object.getpeercert(True))
