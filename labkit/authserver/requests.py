"""Reading a form: stricter than Authlib, before Authlib.

Everything that every endpoint asks of a request is asked here, once: POST, a form in UTF-8, not too long, no
query string, no parameter twice, no credentials twice.
"""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from labkit.authserver.refusals import Refused
from labkit.authserver.replies import Receive, Scope

__all__ = ["Request", "read_request"]

#: Where the listener puts the thumbprint of the client's certificate, in the scope's ``state``.
CERTIFICATE = "labkit.certificate"
#: The longest request body, in bytes.
MAX_BODY = 65_536
#: How long a client may take to send it, in real seconds.
MAX_BODY_TIME = 10.0
_FORM = b"application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A well-formed POST of a form.

    Attributes:
        form: parameters that have a value; each occurs once.
        authorization: the ``Authorization`` header, or ``None``.
        origin: the ``Origin`` header, which a browser adds, or ``None``.
        peer: address of the client.
        certificate: ``x5t#S256`` of the certificate that the client has proven to hold, or ``None``.
    """

    form: dict[str, str] = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    origin: str | None = None
    peer: str = ""
    certificate: str | None = None


async def read_request(scope: Scope, receive: Receive) -> Request:
    """The request, if it is one that an endpoint can answer.

    Raises:
        Refused: ``invalid_request`` (RFC 6749 §5.2).
    """
    headers = _headers(scope, b"authorization", b"content-type", b"content-length", b"origin")
    if scope["query_string"]:  # RFC 6749 §2.3.1: credentials never in the URI; nor anything else
        raise Refused("invalid_request", "parameters belong into the body, not into the URL")
    if headers[b"content-type"].partition(b";")[0].strip().lower() != _FORM:
        raise Refused("invalid_request", "the body must be application/x-www-form-urlencoded")
    body = await _body(headers[b"content-length"], receive)
    return Request(
        form=_form(body),
        authorization=headers[b"authorization"].decode("latin-1") or None,
        origin=headers[b"origin"].decode("latin-1") or None,
        peer=scope["client"][0] if scope.get("client") else "",
        certificate=scope.get("state", {}).get(CERTIFICATE),
    )


def _headers(scope: Scope, *names: bytes) -> dict[bytes, bytes]:
    found = dict.fromkeys(names, b"")
    for name, value in scope["headers"]:
        if name in found:
            if found[name]:
                raise Refused("invalid_request", f"more than one {name.decode()} header")
            found[name] = value.strip()
    return found


async def _body(length: bytes, receive: Receive) -> bytes:
    if length.isdigit() and int(length[:20]) > MAX_BODY:
        raise _too_long()
    body = bytearray()
    try:
        async with asyncio.timeout(MAX_BODY_TIME):  # the first piece may be the one that never comes
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body") or len(body) > MAX_BODY:
                    break
    except TimeoutError:
        raise Refused("invalid_request", "the body did not come in time", status=408) from None
    if message["type"] == "http.disconnect":  # half a form must not count, and nobody waits for the answer
        raise Refused("invalid_request", "the body did not come")
    if len(body) > MAX_BODY:
        raise _too_long()
    return bytes(body)


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=100,
        )
    except ValueError:
        raise Refused("invalid_request", "the body is not a form in UTF-8") from None
    names = [name for name, _ in pairs]
    if names.count("resource") > 1:  # RFC 8707 §2 allows several, but a token of ours has one audience
        raise Refused("invalid_target", "a token is for one resource")
    if len(set(names)) < len(names):  # RFC 6749 §3.2: not more than once
        raise Refused("invalid_request", "a parameter occurs more than once")
    return {name: value for name, value in pairs if value}  # RFC 6749 §3.2: without a value = left out


def _too_long() -> Refused:
    return Refused("invalid_request", f"the body is longer than {MAX_BODY} bytes", status=413)
