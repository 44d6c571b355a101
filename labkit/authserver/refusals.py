"""How the authorization server says no: one exception, one place that turns it into an answer."""

import re

from authlib.oauth2.base import OAuth2Error

__all__ = ["MAX_LIFETIME", "OAuth2Error", "Refused"]

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
        super().__init__(description=restricted(description), error=error, status_code=status or usual(error))
        self.retry_after = retry_after


def restricted(text: str) -> str:
    """``text`` in the characters that an error description may have (RFC 6749 §5.2)."""
    return _FORBIDDEN.sub("'", text)


def usual(error: str) -> int:
    """The HTTP status of an error code.  Failed authentication is always 401: one rule for every carrier."""
    return 401 if error == "invalid_client" else 400
