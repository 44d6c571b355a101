"""The ways to get a token, each a step or two that Authlib leaves open or takes in the wrong order."""

from typing import Any, ClassVar

from authlib.oauth2.rfc6749.grants import (
    ClientCredentialsGrant,
    RefreshTokenGrant,
    ResourceOwnerPasswordCredentialsGrant,
)
from authlib.oauth2.rfc8628 import DeviceCodeGrant

from labkit.authserver.access_tokens import Issued
from labkit.authserver.confirmation import confirmation
from labkit.authserver.refusals import Refused
from labkit.authserver.scopes import narrowed

__all__ = ["ClientCredentials", "DeviceCode", "Password", "RefreshToken"]


class _TokenResponse(dict[str, Any]):
    """The answer with the token, which Authlib writes into its log: this one does not show."""

    def __repr__(self) -> str:
        return "<token response>"


def _response(issued: Issued, refresh_token: str | None = None) -> _TokenResponse:
    """Spec: RFC 6749 §5.1."""
    response = _TokenResponse(access_token=issued.token, expires_in=issued.expires_in, scope=issued.scope)
    response["token_type"] = "Bearer"  # noqa: S105  # its type, not a token
    if refresh_token is not None:
        response["refresh_token"] = refresh_token
    return response


class _Grant:
    """What all grants share: the parameters that any token request may have."""

    request: Any
    server: Any
    GRANT_TYPE: ClassVar[str]
    TOKEN_RESPONSE_HEADER: ClassVar[list[Any]] = []

    @property
    def scope(self) -> str | None:
        return self.request.form.get("scope")  # type: ignore[no-any-return]

    @property
    def resource(self) -> str | None:
        return self.request.form.get("resource")  # type: ignore[no-any-return]

    def required(self, name: str) -> str:
        """A parameter that this grant cannot do without."""
        if name not in self.request.form:
            raise Refused("invalid_request", f"{name} is missing")
        return self.request.form[name]  # type: ignore[no-any-return]

    @property
    def cnf(self) -> dict[str, str]:
        """What the token will be bound to; asked before anything is used up."""
        return confirmation(self.request.client, self.request.incoming.certificate)

    def authenticated(self) -> Any:
        """The client, if it may use this grant."""
        client = self.server.authenticate_client(self.request, None)
        if not client.check_grant_type(self.GRANT_TYPE):
            raise Refused("unauthorized_client", "this client may not use this grant type")
        return client


class ClientCredentials(_Grant, ClientCredentialsGrant):  # type: ignore[misc]
    """A device gets a token for itself.  No refresh token: it can always come again (RFC 6749 §4.4.3)."""

    def generate_token(self, **options: Any) -> _TokenResponse:
        return _response(self.server.state.grant_to_client(self.client, self.scope, self.resource, self.cnf))


class Password(_Grant, ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    """A device shows a user's password.  Off unless switched on: RFC 9700 §2.4 forbids it."""

    def authenticate_user(self, username: str, password: str) -> str:
        self.server.state.registry.check_password(username, password, self.request.incoming.peer)
        return username

    def generate_token(self, **options: Any) -> _TokenResponse:
        state, client = self.server.state, self.client
        scopes, audience = narrowed(self.scope, client.scopes), state.resource(self.resource)
        user = self.request.user
        return _response(*state.grant_by_user(self.GRANT_TYPE, client, user, scopes, audience, self.cnf))


class RefreshToken(_Grant, RefreshTokenGrant):  # type: ignore[misc]
    """Check the owner, then the scope, use up the old token, and only then make new ones."""

    def validate_token_request(self) -> None:
        self.request.client = self.authenticated()
        self.request.refresh_token = self.required("refresh_token")

    def create_token_response(self) -> tuple[int, _TokenResponse, list[Any]]:
        request = self.request
        asked = request.refresh_token, self.scope, self.resource
        issued = self.server.state.refresh(request.client, *asked, self.cnf)
        return 200, _response(*issued), self.TOKEN_RESPONSE_HEADER


class DeviceCode(_Grant, DeviceCodeGrant):  # type: ignore[misc]
    """A device polls for its owner's answer.  Spec: RFC 8628 §3.4, §3.5."""

    def validate_token_request(self) -> None:
        self.request.client = self.authenticated()
        self.request.credential = self.required("device_code")

    def create_token_response(self) -> tuple[int, _TokenResponse, list[Any]]:
        issued = self.server.state.poll(self.request.client, self.request.credential, self.cnf)
        return 200, _response(*issued), self.TOKEN_RESPONSE_HEADER
