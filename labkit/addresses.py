"""Where the parties of a lab are, by the names that the standards use."""

from labkit.authserver import AuthServer
from labkit.broker import Broker
from labkit.errors import ServiceFailed
from labkit.service import Endpoint
from labkit.tls import Authority

__all__ = ["Addresses"]


class Addresses:
    """The addresses of an authorization server and a broker."""

    authserver: AuthServer
    broker: Broker
    authority: Authority | None

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

    @property
    def mqtts(self) -> Endpoint | None:
        """Where it listens for MQTT over TLS; ``None`` in a lab without."""
        return self.broker.mqtts

    @property
    def wss(self) -> Endpoint | None:
        """Where it listens for MQTT over WebSocket and TLS; ``None`` in a lab without."""
        return self.broker.wss

    @property
    def ca_file(self) -> str | None:
        """PEM file of the authority to trust, as long as the lab runs; ``None`` in a lab without TLS."""
        return None if self.authority is None else self.authority.ca_file

    def listener(self, transport: str, *, tls: bool) -> Endpoint:
        """Where a device connects.

        Args:
            transport: ``"tcp"`` or ``"websockets"``, as paho calls them.
            tls: whether to go over TLS.

        Raises:
            ServiceFailed: there is no such listener; the message says what to do.
        """
        if transport not in ("tcp", "websockets"):
            raise ServiceFailed(f"no such transport: {transport!r}; choose 'tcp' or 'websockets'")
        if not tls:
            return self.mqtt if transport == "tcp" else self.ws
        found = self.mqtts if transport == "tcp" else self.wss
        if found is None:
            raise ServiceFailed("this lab has no TLS: start it as Lab(tls=True)")
        return found
