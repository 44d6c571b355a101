"""Which tokens are good no more, though their time is not up: what a signature cannot tell."""

import math
import threading

from labkit.tokens import AccessToken

__all__ = ["Revocations"]

#: How many tokens, and how many clients, are remembered; the oldest go first.
_MOST = 100_000


class Revocations:
    """Remembers what the authorization server has taken back.  Safe to use from several threads.

    A token is known by its ``jti``, never by its text, which can be spelled in more than one way.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, None] = {}
        self._clients: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, jti: str) -> None:
        """One token."""
        with self._lock:
            self._tokens[jti] = None
            if len(self._tokens) > _MOST:
                del self._tokens[next(iter(self._tokens))]

    def add_all_of(self, client_id: str, now: float) -> None:
        """Every token that was issued to a client before this second, in Unix seconds.

        ``iat`` counts whole seconds: a token of this very second may be one that was asked for afterwards.
        """
        with self._lock:
            self._clients.pop(client_id, None)
            self._clients[client_id] = math.floor(now)
            if len(self._clients) > _MOST:
                del self._clients[next(iter(self._clients))]

    def __contains__(self, token: AccessToken) -> bool:
        return token.jti in self._tokens or token.issued_at < self._clients.get(token.client_id, -math.inf)
