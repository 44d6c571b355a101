"""Where the parties of a lab are, by the names that the standards use."""

from labkit.authserver import AuthServer
from labkit.broker import Broker
from labkit.service import Endpoint

__all__ = ["Addresses"]


class Addresses:
    """The addresses of an authorization server and a broker."""

    authserver: AuthServer
    broker: Broker

    @property
    def issuer(self) -> str:
        """Identifier of the authorization server, the ``iss`` claim of its tokens (RFC 8414 §2)."""
        return self.authserver.issuer

    @property
    def audience(self) -> str:
        """Identifier of the broker, the ``aud`` claim of its tokens (RFC 9068 §2.2)."""
        return self.authserver.audience

    @property
    def token_endpoint(self) -> str:
        """URL where devices get tokens (RFC 6749 §3.2)."""
        return self.authserver.token_endpoint

    @property
    def jwks_uri(self) -> str:
        """URL of the public keys (RFC 7517 §5)."""
        return self.authserver.jwks_uri

    @property
    def introspection_endpoint(self) -> str:
        """URL where a resource server asks about a token (RFC 7662 §2)."""
        return self.authserver.introspection_endpoint

    @property
    def revocation_endpoint(self) -> str:
        """URL where a client gives a token back (RFC 7009 §2)."""
        return self.authserver.revocation_endpoint

    @property
    def mqtt(self) -> Endpoint:
        """Where the broker listens for MQTT over TCP: ``.host``, ``.port``, ``.url``."""
        return self.broker.mqtt

    @property
    def ws(self) -> Endpoint:
        """Where it listens for MQTT over WebSocket: also ``.path``."""
        return self.broker.ws

    mqtts: None = None  # these listeners need TLS, which this version does not have yet
    wss: None = None
    ca_file: None = None
