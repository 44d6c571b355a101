"""Where the endpoints of an authorization server are."""

from labkit.authserver.app import METADATA_PATH, PATHS

__all__ = ["Urls"]


class Urls:
    """The URLs of a server, as its metadata tells them (RFC 8414 §2)."""

    @property
    def issuer(self) -> str:
        """Identifier of the server."""
        raise NotImplementedError

    @property
    def token_endpoint(self) -> str:
        """URL where clients get tokens (RFC 6749 §3.2)."""
        return self.issuer + PATHS["token_endpoint"]

    @property
    def jwks_uri(self) -> str:
        """URL of the public keys (RFC 7517 §5)."""
        return self.issuer + PATHS["jwks_uri"]

    @property
    def introspection_endpoint(self) -> str:
        """URL where a resource server asks about a token (RFC 7662 §2)."""
        return self.issuer + PATHS["introspection_endpoint"]

    @property
    def revocation_endpoint(self) -> str:
        """URL where a client gives a token back (RFC 7009 §2)."""
        return self.issuer + PATHS["revocation_endpoint"]

    @property
    def device_authorization_endpoint(self) -> str:
        """URL where a device asks for a user code (RFC 8628 §3.1)."""
        return self.issuer + PATHS["device_authorization_endpoint"]

    @property
    def metadata_url(self) -> str:
        """URL of the metadata (RFC 8414 §3)."""
        return self.issuer + METADATA_PATH
