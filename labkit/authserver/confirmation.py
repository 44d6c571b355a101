"""What an access token is bound to: whoever shows it has to prove that they hold this key.

A token with ``cnf`` is no bearer token: a thief who has only the token has nothing (RFC 9700 §2.2.1).
"""

from labkit.authserver.clients import Client
from labkit.authserver.refusals import Refused

__all__ = ["confirmation"]


def confirmation(client: Client, certificate: str | None) -> dict[str, str]:
    """The ``cnf`` claim of a token for ``client``; empty for a bearer token.

    Args:
        client: who asks, and what its registration says.
        certificate: ``x5t#S256`` of the certificate of its TLS connection, or ``None``.

    Raises:
        Refused: ``invalid_request``, as the client should have shown a certificate.

    Spec: RFC 8705 §3.1, RFC 9449 §6.1.
    """
    cnf = {}
    if client.certificate_bound:
        if certificate is None:
            raise Refused(
                "invalid_request",
                "tokens of this client are bound to its certificate: show it in the TLS handshake",
            )
        cnf["x5t#S256"] = certificate
    if client.key_thumbprint is not None:
        cnf["jkt"] = client.key_thumbprint
    return cnf
