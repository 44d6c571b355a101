"""``OAUTHBEARER``: the SASL mechanism of RFC 7628.

::

    client  n,a=lamp-1,^A auth=Bearer TOKEN ^A ^A       (^A is the byte 1; no spaces)
    server  {"status":"invalid_token"}                  if it says no
    client  ^A                                          which means: I have read it
"""

import json
import re
from typing import ClassVar, Final

from labkit.broker.methods.steps import Failed, Shown, Step
from labkit.broker.reasons import Refused

__all__ = ["OAuthBearer"]

#: §3.1: gs2-header, kvsep, pairs that end with kvsep each, kvsep.  Channel binding (p=) is not for this one.
_MESSAGE: Final = re.compile(rb"[ny],(?:a=([^,\x00]+))?,\x01((?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)*)\x01")
#: RFC 6750 §2.1; the scheme ignores case (RFC 9110 §11.1).
_CREDENTIALS: Final = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_CANNOT_TELL: Final = 3


class OAuthBearer:
    """One message, and one more when it is refused.

    Args:
        client_id: the client identifier of CONNECT; who acts for somebody else (``a=``) is refused.
    """

    name: ClassVar[str] = "OAUTHBEARER"

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id

    def begin(self, data: bytes) -> Step:
        """The client's message: one pair ``auth``; pairs of other names are ignored (§3.1)."""
        if not data:
            return Failed("no-data")
        found = _MESSAGE.fullmatch(data)
        if found is None:
            return Failed("message")
        identity, pairs = found.groups()
        if identity is not None and _plain(identity) != self._client_id:
            return Failed("client-id")
        named = [pair.partition(b"=") for pair in pairs.split(b"\x01")]
        values = [value for name, _, value in named if name == b"auth"]
        if len(values) != 1:  # RFC 6750 §2: one token
            return Failed("ambiguous" if values else "no-data")
        credentials = _CREDENTIALS.fullmatch(values[0])
        return Failed("message") if credentials is None else Shown(credentials[1].decode())

    def go_on(self, data: bytes) -> Step:
        """Nothing was asked."""
        return Failed("message")

    def regret(self, refused: Refused) -> bytes | None:
        """The error in JSON (§3.2.2), where the token is the reason."""
        if refused.return_code == _CANNOT_TELL:
            return None
        status = "insufficient_scope" if refused.reason == "missing-scope" else "invalid_token"
        return json.dumps({"status": status}).encode()


def _plain(name: bytes) -> str | None:
    """A saslname without its escapes: RFC 5801 §4."""
    if re.search(rb"=(?!2C|3D)", name):
        return None
    try:
        return name.replace(b"=2C", b",").replace(b"=3D", b"=").decode()
    except UnicodeDecodeError:
        return None
