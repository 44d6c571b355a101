"""What the server says about itself, made from the very tables it works by.  Spec: RFC 8414."""

from collections.abc import Iterable
from typing import Any

from labkit.authserver.assertions import ALGORITHM
from labkit.authserver.client_auth import METHODS

__all__ = ["metadata"]


def metadata(
    *, issuer: str, endpoints: dict[str, str], grant_types: Iterable[str], scopes: Iterable[str], tls: bool
) -> dict[str, Any]:
    """The metadata document.

    Args:
        issuer: identifier of the server (§2).
        endpoints: URL of each endpoint by its member name, for example ``token_endpoint``.
        grant_types: those the token endpoint answers.
        scopes: those that any client may be granted, for example ``mqtt.connect``.
        tls: whether tokens can be bound to a certificate.
    """
    document: dict[str, Any] = {
        "issuer": issuer,
        **endpoints,
        "scopes_supported": list(scopes),
        "grant_types_supported": list(grant_types),
        # §2 requires this member, §3.2 leaves empty ones out, and without an authorization endpoint there is
        # no response type.  Decided: the requirement wins, so that a client that looks for it finds it.
        "response_types_supported": [],
    }
    for endpoint in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        # A public client has nothing to say at the introspection endpoint.
        methods = [each for each in METHODS if each != "none" or endpoint != "introspection_endpoint"]
        document[f"{endpoint}_auth_methods_supported"] = methods
        document[f"{endpoint}_auth_signing_alg_values_supported"] = [ALGORITHM]
    if tls:
        document["tls_client_certificate_bound_access_tokens"] = True  # RFC 8705 §3.3
    return document
