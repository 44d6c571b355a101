"""Writing an HTTP answer.  Nothing that this server says about a token is ever stored by anybody."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Receive", "Reply", "Scope", "Send", "compact"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: RFC 6749 §5.1: no answer with a token, or about one, is ever stored.
_NO_STORE = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
]

#: JSON without white space.
compact = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer.  ``headers`` says all but its length."""

    status: int = 200
    body: bytes = field(repr=False)
    headers: list[tuple[bytes, bytes]]

    @classmethod
    def of_json(
        cls, body: Any, *, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
    ) -> "Reply":
        """``body`` as JSON that nobody may store."""
        return cls(status=status, body=compact(body).encode(), headers=_NO_STORE + (headers or []))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
