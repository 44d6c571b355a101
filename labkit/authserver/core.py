"""Authlib's authorization server, without a web framework: it knows the flows, we know everything else.

Authlib decides which grant a request is for and walks through its steps; the steps are ours where the standard
asks for more than Authlib does.  This module is the typed edge: nothing outside it and ``grants`` and
``endpoints`` touches Authlib's classes.
"""

from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from labkit.authserver.client_auth import ClientAuthentication
from labkit.authserver.clients import Client
from labkit.authserver.refusals import OAuth2Error, Refused, restricted, usual
from labkit.authserver.requests import Reply, Request
from labkit.authserver.state import State

__all__ = ["Core", "refusal"]


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request in the shape that Authlib wants."""

    def __init__(self, incoming: Request, uri: str) -> None:
        super().__init__("POST", uri)
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
        self.uri = ""  # of the token endpoint, known once the server listens
        self.verification_uri = ""
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
        return self.state.client(client_id)

    def authenticate_client(self, request: FormRequest, methods: Any, endpoint: str = "token") -> Client:
        return self._authenticate(request.incoming)

    def create_oauth2_request(self, request: Request) -> FormRequest:
        return FormRequest(request, self.uri)

    def save_token(self, token: Any, request: Any) -> None:
        """Nothing to do: a token is good while its grant is, and grants are kept elsewhere."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens to Authlib's signals here."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Reply:
        return Reply.of_json(body, status=status)

    def handle_error_response(self, request: FormRequest, error: OAuth2Error) -> Reply:
        return refusal(error, self.state, request.payload.client_id)


def refusal(error: OAuth2Error, state: State, client_id: str | None = None) -> Reply:
    """The one way an error becomes an answer.  Spec: RFC 6749 §5.2."""
    code = error.error or "invalid_request"
    status = error.status_code if isinstance(error, Refused) else usual(code)
    headers: list[tuple[bytes, bytes]] = []
    body = {"error": code}
    if description := restricted(error.get_error_description() or ""):
        body["error_description"] = description[:300]
    if status == 401:  # RFC 9110 §11.6.1: always with a challenge
        headers.append((b"www-authenticate", b'Basic realm="labkit", charset="UTF-8"'))
    if isinstance(error, Refused) and error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -(-error.retry_after // 1))))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    state.note("request.refused", client_id=client_id, error=code, reason=description or None)
    return Reply.of_json(body, status=status, headers=headers)
