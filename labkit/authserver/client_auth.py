"""Who is asking?  One mechanism per request, and one answer for all that fail.  Spec: RFC 6749 §2.3."""

import base64
import binascii
import contextlib
from urllib.parse import unquote_plus

from labkit.authserver.assertions import Assertions
from labkit.authserver.clients import Client, fingerprint, same
from labkit.authserver.refusals import Refused
from labkit.authserver.requests import Request
from labkit.authserver.state import State

__all__ = ["METHODS", "ClientAuthentication", "claimed_client_id"]

#: Names of the ways to authenticate (RFC 8414 §2); ``none`` is for public clients.
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")

_NO_HASH = fingerprint("")


class ClientAuthentication:
    """Finds and authenticates the client of a request.

    A limit on failures per client id and address answers 429 (RFC 6749 §2.3.1).  It guards secrets that can
    be guessed.  A secret made by ``register`` has 256 random bits and cannot be, so the right one always
    opens: who sends wrong ones from the same machine cannot lock the device out.  A secret that a person
    chose is refused even if right while the limit holds, or the limit would be none.
    """

    def __init__(self, state: State, assertions: Assertions) -> None:
        self._state = state
        self._assertions = assertions

    def __call__(self, request: Request) -> Client:
        """The client of this request.

        Raises:
            Refused: ``invalid_client``, the same for an unknown client and a wrong secret; or
                ``invalid_request`` for more than one mechanism (RFC 6749 §2.3).
        """
        form = request.form
        signed = "client_assertion" in form or "client_assertion_type" in form
        if (request.authorization is not None) + ("client_secret" in form) + signed > 1:
            raise Refused("invalid_request", "use one way to authenticate the client, not two")
        if request.authorization is not None:
            client_id, secret = _basic(request.authorization)
            if form.get("client_id", client_id) != client_id:
                raise Refused("invalid_request", "the header and the body name different clients")
            return self._with_secret(client_id, secret, request.peer)
        if signed:
            return self._assertions.client_of(form)
        if "client_secret" in form:
            return self._with_secret(form.get("client_id", ""), form["client_secret"], request.peer)
        client = self._state.registry.client(form.get("client_id", ""))
        if client is None or client.auth != "none":
            raise failed()
        return client

    def _with_secret(self, client_id: str, secret: str, peer: str) -> Client:
        key = (client_id, peer)
        wait = self._state.registry.client_failures.wait(key)
        client = self._state.registry.client(client_id)
        expected = client.secret_hash if client is not None else None
        # The same work for every client id, registered or not: the time must not tell.
        right = same(fingerprint(secret), expected or _NO_HASH) and expected is not None
        if client is not None and right and not (wait and client.guessable):
            return client
        if wait:
            raise Refused("invalid_client", "too many failed attempts: wait", status=429, retry_after=wait)
        self._state.registry.client_failures.failed(key)
        raise failed()


def failed() -> Refused:
    """The one answer to a client that did not prove who it is."""
    return Refused("invalid_client", "client authentication failed")


def claimed_client_id(request: Request) -> str | None:
    """Who a request says it is from, for the record."""
    with contextlib.suppress(Refused):
        if request.authorization is not None:
            return _basic(request.authorization)[0]
    return request.form.get("client_id")


def _basic(header: str) -> tuple[str, str]:
    """Client id and secret of a Basic header; both are form-encoded inside (RFC 6749 §2.3.1, appendix B)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise failed()
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        if not colon:
            raise failed()
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeError, ValueError):
        raise failed() from None
