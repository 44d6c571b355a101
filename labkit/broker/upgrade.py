"""What an HTTP request must be to become an MQTT connection, and what it is told when it is not.

Spec: RFC 6455 §4.2, MQTT 3.1.1 and 5 §6, RFC 6750 §2.1.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request

from labkit.errors import ServiceFailed
from labkit.service import is_loopback

__all__ = [
    "HEAD_LIMIT",
    "HEAD_TOO_LONG",
    "LINE_TOO_LONG",
    "NO_HTTP",
    "NO_KEY",
    "NO_UPGRADE",
    "PATH",
    "REFUSALS",
    "SILENT",
    "TOO_SLOW",
    "Rules",
    "Turned",
    "Welcome",
]

#: The one path that leads to the broker.
PATH: Final = "/mqtt"
#: Bytes of a whole request head.  One line of it may have 8192, which is some 8000 for a token.
HEAD_LIMIT: Final = 16_384

_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)  # RFC 6750 §2.1
_ORIGIN = re.compile(r"https?://[^/\s?#@]+")  # RFC 6454 §6.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The request may become a WebSocket; ``bearer`` is the token of its header, if there is one."""

    bearer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """The request is turned away: with an HTTP status, a reason for the record, and words for its sender."""

    status: int
    reason: str
    words: str
    headers: tuple[tuple[str, str], ...] = ()

    def answer(self) -> bytes:
        """The HTTP response."""
        body = f"{self.words}\n".encode()
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {text}" for name, text in self.headers]
        lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
        lines += ["Cache-Control: no-store", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + body


_REALM = 'Bearer realm="mqtt"'

TOO_SLOW = Turned(status=408, reason="timeout", words="The request did not come in time.")
HEAD_TOO_LONG = Turned(
    status=431, reason="head-too-long", words=f"A request head has at most {HEAD_LIMIT} bytes."
)
LINE_TOO_LONG = Turned(status=431, reason="head-too-long", words="A header line has at most 8192 bytes.")
NO_HTTP = Turned(status=400, reason="request", words="This is no HTTP/1.1 GET request.")
_TOKEN_IN_URL = Turned(  # RFC 6750 §5.3
    status=400,
    reason="token-in-url",
    words="Never put a token into a URL: servers and proxies log it.  Send Authorization: Bearer.",
)
_OTHER_PATH = Turned(status=404, reason="path", words=f"The broker is at {PATH}.")
_NO_HOST = Turned(status=400, reason="host", words="Send exactly one Host header.")  # RFC 9112 §3.2
_OTHER_HOST = Turned(
    status=421,
    reason="host",
    words="This broker is for its own machine: connect to 127.0.0.1 or localhost.",
)
_OTHER_ORIGIN = Turned(  # RFC 6455 §10.2
    status=403,
    reason="origin",
    words="Pages of this origin may not connect: name it in the broker's list of origins.",
)
_OTHER_VERSION = Turned(  # RFC 6455 §4.4
    status=426,
    reason="websocket-version",
    words="Speak version 13 of the WebSocket protocol.",
    headers=(("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
)
_OTHER_PROTOCOL = Turned(  # [MQTT-6.0.0-3]
    status=400,
    reason="subprotocol",
    words="Offer the subprotocol mqtt in Sec-WebSocket-Protocol.",
)
_OTHER_SCHEME = Turned(
    status=401,
    reason="authorization-scheme",
    words="This broker takes access tokens: send Authorization: Bearer, or the token in CONNECT.",
    headers=(("WWW-Authenticate", _REALM),),
)
_NO_BEARER = Turned(  # RFC 6750 §3.1
    status=400,
    reason="authorization",
    words="Send one Authorization header: the word Bearer, a space, and the token.",
    headers=(("WWW-Authenticate", f'{_REALM}, error="invalid_request"'),),
)
NO_UPGRADE = Turned(
    status=426,
    reason="no-upgrade",
    words="This is a WebSocket: use an MQTT client that speaks WebSocket.",
    headers=(("Upgrade", "websocket"),),
)
NO_KEY = Turned(status=400, reason="websocket-key", words="Send one Sec-WebSocket-Key of 16 bytes in base64.")

#: Every way to be turned away, in the order in which a request is looked at.
REFUSALS: Final = (
    TOO_SLOW,
    HEAD_TOO_LONG,
    LINE_TOO_LONG,
    NO_HTTP,
    _TOKEN_IN_URL,
    _OTHER_PATH,
    _NO_HOST,
    _OTHER_HOST,
    _OTHER_ORIGIN,
    _OTHER_VERSION,
    _OTHER_PROTOCOL,
    _OTHER_SCHEME,
    _NO_BEARER,
    NO_UPGRADE,
    NO_KEY,
)


class _Silent(logging.Logger):
    """``websockets`` would log headers, and with them tokens."""

    def isEnabledFor(self, level: int) -> bool:  # logging's name
        return False


SILENT = _Silent("websockets of the broker")


class Rules:
    """Decides about upgrade requests by what stands in them.

    Args:
        host: the address that is listened on.  On a loopback address, ``Host`` has to name one as well: a web
            page whose own name leads to 127.0.0.1 (DNS rebinding) stays outside.
        origins: web origins (``"https://shop.example"``) whose pages may connect.  Pages from the host that
            they connect to always may, and so may everything that is no browser and has no ``Origin``.

    Raises:
        ServiceFailed: an origin is none.
    """

    def __init__(self, host: str, origins: Iterable[str] = ()) -> None:
        self._local = is_loopback(host)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        for origin in self._origins:
            if not _ORIGIN.fullmatch(origin):
                raise ServiceFailed(f"{origin!r} is no web origin: write it as 'https://shop.example'")

    def judge(self, request: Request) -> Welcome | Turned:
        """Whether the request may become a WebSocket."""
        try:
            target = urlsplit(request.path)
        except ValueError:  # such as //[
            return _OTHER_PATH
        if "access_token" in parse_qs(target.query, keep_blank_values=True):
            return _TOKEN_IN_URL
        if target.path != PATH:
            return _OTHER_PATH
        return (
            self._host(request.headers)
            or self._origin(request.headers)
            or _protocol(request.headers)
            or _token(request.headers)
        )

    def _host(self, headers: Headers) -> Turned | None:
        names = headers.get_all("Host")
        host = _hostname(f"//{names[0]}") if len(names) == 1 else None
        if host is None:
            return _NO_HOST
        if self._local and not is_loopback(host):
            return _OTHER_HOST
        return None

    def _origin(self, headers: Headers) -> Turned | None:
        origins = headers.get_all("Origin")
        if not origins:
            return None
        origin = origins[0].lower()
        if len(origins) == 1 and (origin in self._origins or self._is_ours(origin, headers["Host"])):
            return None
        return _OTHER_ORIGIN

    def _is_ours(self, origin: str, host: str) -> bool:
        theirs = _hostname(origin) if _ORIGIN.fullmatch(origin) else None
        return theirs is not None and (
            theirs == _hostname(f"//{host}") or (self._local and is_loopback(theirs))
        )


def _hostname(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is no number
    except ValueError:
        return None
    return None if parts.path or parts.query or parts.username is not None else parts.hostname


def _protocol(headers: Headers) -> Turned | None:
    if headers.get_all("Sec-WebSocket-Version") not in ([], ["13"]):  # none at all: no WebSocket, see below
        return _OTHER_VERSION
    lines = headers.get_all("Sec-WebSocket-Protocol")
    try:
        offered = [name for line in lines for name in parse_subprotocol(line)]
    except InvalidHeader:
        offered = []
    upgrade = ",".join(headers.get_all("Upgrade")).lower()
    if "mqtt" not in offered and "websocket" in upgrade:
        return _OTHER_PROTOCOL
    return None


def _token(headers: Headers) -> Welcome | Turned:
    values = headers.get_all("Authorization")
    if not values:
        return Welcome()  # a browser cannot set the header: its token comes in CONNECT
    if len(values) == 1 and (found := _BEARER.fullmatch(values[0].strip())):
        return Welcome(bearer=found[1])
    if len(values) == 1 and values[0].split(None, 1)[:1] not in ([], ["Bearer"], ["bearer"]):
        return _OTHER_SCHEME
    return _NO_BEARER
