"""Authlib's authorization server, without a web framework: it knows the flows, we know everything else.

Authlib decides which grant a request is for and walks through its steps; the steps are ours where the
standard asks for more than Authlib does.  With ``grants`` and ``endpoints`` this is the typed edge: nothing
else touches Authlib's classes.
"""

from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from labkit.authserver.client_auth import ClientAuthentication
from labkit.authserver.clients import Client
from labkit.authserver.refusals import OAuth2Error, Refused
from labkit.authserver.replies import Reply
from labkit.authserver.requests import Request
from labkit.authserver.state import State

__all__ = ["Core"]


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request in the shape that Authlib wants.

    Authlib's own constructor checks the transport, request by request; the server has done that once: without
    TLS it listens on loopback alone.
    """

    method = "POST"
    client = user = refresh_token = credential = auth_method = None

    def __init__(self, incoming: Request) -> None:
        self.incoming = incoming
        self.payload = BasicOAuth2Payload(incoming.form)

    @property
    def form(self) -> dict[str, str]:
        return self.incoming.form


class Core(AuthorizationServer):  # type: ignore[misc]
    """The OAuth2 flows of one server.

    Args:
        state: what the server knows.
        authenticate: finds out which client is asking.
    """

    def __init__(self, state: State, authenticate: ClientAuthentication) -> None:
        super().__init__()
        self.state = state
        self.verification_uri = ""  # known once the server listens
        self._authenticate = authenticate

    def token(self, request: Request) -> Reply:
        """Answer a token request (RFC 6749 §3.2)."""
        if "grant_type" not in request.form:
            raise Refused("invalid_request", "grant_type is missing")
        return self.create_token_response(request)  # type: ignore[no-any-return]

    def introspection(self, request: Request) -> Reply:
        """Answer a resource server that asks about a token (RFC 7662 §2)."""
        return self.create_endpoint_response("introspection", request)  # type: ignore[no-any-return]

    def revocation(self, request: Request) -> Reply:
        """Answer a client that gives a token back (RFC 7009 §2)."""
        return self.create_endpoint_response("revocation", request)  # type: ignore[no-any-return]

    def device_authorization(self, request: Request) -> Reply:
        """Answer a device that asks for codes (RFC 8628 §3.1)."""
        return self.create_endpoint_response("device_authorization", request)  # type: ignore[no-any-return]

    # What Authlib asks of its host

    def query_client(self, client_id: str) -> Client | None:
        return self.state.registry.client(client_id)

    def authenticate_client(self, request: FormRequest, methods: Any, endpoint: str = "token") -> Client:
        return self._authenticate(request.incoming)

    def create_oauth2_request(self, request: Request) -> FormRequest:
        return FormRequest(request)

    def save_token(self, token: Any, request: Any) -> None:
        """Nothing to do: a token is good while its grant is, and grants are kept elsewhere."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens to Authlib's signals here."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        return Reply.of_json(body, status=status)

    def handle_error_response(self, request: FormRequest, error: OAuth2Error) -> Reply:
        raise error  # every refusal becomes an answer in one place, see app.Form
