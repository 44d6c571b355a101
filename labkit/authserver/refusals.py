"""How the authorization server says no: one exception, one place that turns it into an answer."""

import math
import re

from authlib.oauth2.base import OAuth2Error

from labkit.authserver.replies import Reply

__all__ = ["MAX_LIFETIME", "OAuth2Error", "Refused", "refusal", "restricted", "retry_after"]

#: The longest an access token may live, in seconds (RFC 6750 §5.3: one hour or less).
MAX_LIFETIME = 3600

#: What an error text may not hold (RFC 6749 §5.2).
_FORBIDDEN = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class Refused(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped, and catches only its own
    """A request that gets an error instead of what it asked for.

    Args:
        error: code from RFC 6749 §5.2, or of the standard that adds one.
        description: one sentence for the developer of the client.  Never a token or a secret.
        status: HTTP status, or ``None`` for the usual one.
        retry_after: seconds to wait before the next attempt, or ``None``.
    """

    def __init__(
        self, error: str, description: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(
            description=restricted(description), error=error, status_code=status or _usual(error)
        )
        self.retry_after = retry_after


def refusal(error: OAuth2Error) -> Reply:
    """The one way an error becomes an answer.  Spec: RFC 6749 §5.2."""
    code = error.error or "invalid_request"
    status = error.status_code if isinstance(error, Refused) else _usual(code)
    body = {"error": code}
    if description := restricted(error.get_error_description() or ""):
        body["error_description"] = description
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:  # RFC 9110 §11.6.1: always with a challenge
        headers.append((b"www-authenticate", b'Basic realm="labkit", charset="UTF-8"'))
    if isinstance(error, Refused) and error.retry_after is not None:
        headers.append(retry_after(error.retry_after))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    return Reply.of_json(body, status=status, headers=headers)


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """The header that says how long to wait, in whole seconds (RFC 9110 §10.2.3)."""
    return b"retry-after", b"%d" % max(1, math.ceil(seconds))


def restricted(text: str) -> str:
    """``text`` in the characters and at a length that an error description may have (RFC 6749 §5.2)."""
    return _FORBIDDEN.sub("'", text[:300])


def _usual(error: str) -> int:
    """The HTTP status of an error code.  Failed authentication is always 401: one rule for every carrier."""
    return 401 if error == "invalid_client" else 400
