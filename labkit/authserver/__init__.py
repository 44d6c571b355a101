"""The authorization server: gives tokens to devices, and tells relying parties about them.

What it writes to the record, with source ``"authserver"``:

=======================  ===========================================================================
``token.issued``         client_id, jti, grant, scopes (how many), lifetime (seconds), iat
``token.refused``        client_id (what the caller claimed), error, reason, status, path, grant
``request.refused``      the same at any other endpoint
``token.revoked``        client_id, jti: of one token, or none: of all that the client holds
``refresh.reused``       client_id: a refresh token came a second time
``revocation.asked``     client_id: of a token that is known; ``revocation.answered`` follows
``introspection``        caller, active
``device.asked``         client_id, expires_in: of the codes (RFC 8628)
``device.approved``      client_id: its owner said yes; ``device.denied``: no
``keys.served``          keys: how many
``metadata.served``      path
``tls.failed``           reason: a TLS handshake that came to nothing
``server.started``       and ``server.stopped``
=======================  ===========================================================================
"""

from labkit.authserver.clients import Credentials
from labkit.authserver.server import AuthServer

__all__ = ["AuthServer", "Credentials"]
