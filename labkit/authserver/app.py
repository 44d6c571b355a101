"""The HTTP face: which path is answered by what.  Spec: RFC 6749 §3.2, RFC 8414 §3."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from labkit.authserver import page
from labkit.authserver.client_auth import claimed_client_id
from labkit.authserver.core import Core
from labkit.authserver.keys import JWKS_MAX_AGE
from labkit.authserver.refusals import OAuth2Error, refusal
from labkit.authserver.replies import Receive, Reply, Scope, Send, compact
from labkit.authserver.requests import Request, read_request
from labkit.authserver.state import State

__all__ = ["PATHS", "build_app"]

#: Where each endpoint is, by its name in the metadata (RFC 8414 §2, RFC 8628 §4).
PATHS = {
    "token_endpoint": "/oauth2/token",
    "introspection_endpoint": "/oauth2/introspect",
    "revocation_endpoint": "/oauth2/revoke",
    "device_authorization_endpoint": "/oauth2/device_authorization",
    "jwks_uri": "/oauth2/jwks",
}
METADATA_PATH = "/.well-known/oauth-authorization-server"
VERIFICATION_PATH = "/device"


class Form:
    """An endpoint that takes a form: reads it, has it answered, sends the answer.

    Args:
        answer: makes the answer; runs on a worker thread, where it may hash a password, write to disk, or
            call listeners.
        state: writes down what is refused.
        at_once: says for which requests ``answer`` never blocks: they are answered on the loop itself.
        refused: kind of the event for a refusal.
    """

    def __init__(
        self,
        answer: Callable[[Request], Reply],
        state: State,
        *,
        at_once: Callable[[Request], bool],
        refused: str = "request.refused",
    ) -> None:
        self._answer = answer
        self._state = state
        self._at_once = at_once
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = None
        try:
            request = await read_request(scope, receive)
            if self._at_once(request):
                reply = self._answer(request)
            else:
                reply = await asyncio.to_thread(self._answer, request)
        except OAuth2Error as error:
            reply = refusal(error)
            self._state.note(
                self._refused,
                client_id=claimed_client_id(request) if request is not None else None,
                error=error.error,
                reason=error.get_error_description() or None,
                status=reply.status,
                path=scope["path"],
                grant=request.form.get("grant_type") if request is not None else None,
            )
        await reply(scope, receive, send)


class Document:
    """An endpoint that shows something: ``show`` makes it afresh for each request."""

    def __init__(self, show: Callable[[Scope], Reply]) -> None:
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._show(scope)(scope, receive, send)


def build_app(core: Core, describe: Callable[[], Mapping[str, Any]], origin: str) -> Starlette:
    """The ASGI application.

    Args:
        core: answers OAuth2 requests.
        describe: makes the metadata document.
        origin: scheme, host and port of this server, as a browser writes them.
    """
    state = core.state

    def healthy(scope: Scope) -> Reply:
        return Reply.of_json({"status": "ok"})

    def jwks(scope: Scope) -> Reply:
        keys = {"keys": [key.jwk for key in state.keys.published()]}
        state.note("keys.served", keys=len(keys["keys"]))
        return _cacheable(keys, b"application/jwk-set+json", JWKS_MAX_AGE)  # RFC 7517 §8.5.1

    def described(scope: Scope) -> Reply:
        state.note("metadata.served", path=scope["path"])
        return _cacheable(describe(), b"application/json", 60)

    def page_form(scope: Scope) -> Reply:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        return page.form(query.get("user_code", "")[:40])

    def page_answer(request: Request) -> Reply:
        return page.answer(request, state, origin)

    def for_client_itself(request: Request) -> bool:
        return request.form.get("grant_type") == "client_credentials" and not state.tokens.slow

    def post(path: str, answer: Callable[[Request], Reply], at_once: Callable[[Request], bool]) -> Route:
        refused = "token.refused" if path == PATHS["token_endpoint"] else "request.refused"
        return Route(path, Form(answer, state, at_once=at_once, refused=refused), methods=["POST"])

    def get(path: str, show: Callable[[Scope], Reply]) -> Route:
        return Route(path, Document(show), methods=["GET"])

    routes = [
        post(PATHS["token_endpoint"], core.token, for_client_itself),
        post(PATHS["introspection_endpoint"], core.introspection, _always),
        post(PATHS["revocation_endpoint"], core.revocation, _never),
        post(PATHS["device_authorization_endpoint"], core.device_authorization, _never),
        get(PATHS["jwks_uri"], jwks),
        get(METADATA_PATH, described),
        get("/.well-known/openid-configuration", described),
        get(VERIFICATION_PATH, page_form),
        post(VERIFICATION_PATH, page_answer, _never),
        get("/healthz", healthy),
    ]
    handlers: Any = {HTTPException: _not_served, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


def _always(request: Request) -> bool:
    return True


def _never(request: Request) -> bool:
    return False


def _cacheable(document: Any, content_type: bytes, max_age: int) -> Reply:
    headers = [(b"content-type", content_type), (b"cache-control", b"public, max-age=%d" % max_age)]
    return Reply(body=compact(document).encode(), headers=headers)


async def _not_served(request: Any, error: Exception) -> Reply:
    """Unknown paths and methods: JSON like every other answer."""
    assert isinstance(error, HTTPException)
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    code = "not_found" if error.status_code == 404 else "invalid_request"
    body = {"error": code, "error_description": error.detail}
    return Reply.of_json(body, status=error.status_code, headers=headers)


async def _failed(request: Any, error: Exception) -> Reply:
    return Reply.of_json({"error": "server_error"}, status=500)
