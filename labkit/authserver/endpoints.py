"""The endpoints beside the token endpoint: introspection, revocation, device authorization.

Authlib names the steps; RFC 7009 §2.1 and RFC 7662 §2.1 are stricter about hints and softer about junk.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint

from labkit.authserver.client_auth import failed
from labkit.authserver.clients import DEVICE_CODE, Client
from labkit.authserver.device_codes import INTERVAL, LIFETIME
from labkit.authserver.families import Family
from labkit.authserver.refusals import Refused

__all__ = ["DeviceAuthorization", "Introspection", "Revocation"]


class _AnyHint:
    """A hint about the token's type is a hint: all types are searched, and nonsense changes nothing."""

    def check_params(self, request: Any, client: Client) -> None:
        if "token" not in request.form:
            raise Refused("invalid_request", "token is missing")


class Introspection(_AnyHint, IntrospectionEndpoint):  # type: ignore[misc]
    """Tells a resource server about an access token for it, and nobody anything else.  Spec: RFC 7662 §2.

    A token that is expired, revoked, forged, for another audience, or a refresh token, and any token when a
    client asks that is no resource server: all are inactive, without a reason.
    """

    def authenticate_token(self, request: Any, client: Client) -> Mapping[str, Any] | None:
        if client.auth == "none":  # RFC 7662 §2.1: a name alone is no authorization
            raise failed()
        self.check_params(request, client)
        claims = self.server.state.active(request.form["token"])
        return claims if claims is not None and claims["aud"] == client.introspects else None

    def create_introspection_payload(self, token: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"active": False} if token is None else {"active": True, "token_type": "Bearer", **token}

    def create_endpoint_response(self, request: Any) -> Any:
        response = super().create_endpoint_response(request)
        _, body, _ = response
        self.server.state.note("introspection", caller=request.client.client_id, active=body["active"])
        return response


class Revocation(_AnyHint, RevocationEndpoint):  # type: ignore[misc]
    """A client gives back a token of its own: a refresh token with all its grant, an access token alone.

    Spec: RFC 7009 §2.
    """

    def query_token(self, token: str, hint: str | None) -> "_Presented | None":
        state = self.server.state
        family = state.families.find(token)
        if family is not None:
            return _Presented(family.client_id, family=family)
        claims = state.active(token)
        return None if claims is None else _Presented(claims["client_id"], jti=claims["jti"])

    def create_endpoint_response(self, request: Any) -> Any:
        response = super().create_endpoint_response(request)
        self.server.state.note("revocation.answered", client_id=request.client.client_id)
        return response

    def revoke_token(self, token: "_Presented", request: Any) -> None:
        self.server.state.note("revocation.asked", client_id=token.client_id)
        if token.family is not None:
            self.server.state.kill(token.family)
        else:
            self.server.state.revoke(token.jti)


class _Presented:
    """A token somebody shows, in the shape that Authlib wants."""

    def __init__(self, client_id: str, *, family: Family | None = None, jti: str = "") -> None:
        self.client_id = client_id
        self.family = family
        self.jti = jti

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id


class DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    """A device asks for codes.  Spec: RFC 8628 §3.1, §3.2."""

    def create_endpoint_response(self, request: Any) -> Any:
        state = self.server.state
        client = self.authenticate_client(request)
        if not client.check_grant_type(DEVICE_CODE):
            raise Refused("unauthorized_client", "this client may not use this grant type")
        device_code, user_code = state.ask_owner(
            client, request.form.get("scope"), request.form.get("resource")
        )
        state.note("device.asked", client_id=client.client_id, expires_in=LIFETIME)
        uri = self.server.verification_uri
        body = {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": uri,
            "verification_uri_complete": f"{uri}?user_code={user_code}",
            "expires_in": LIFETIME,
            "interval": INTERVAL,
        }
        return 200, body, []
