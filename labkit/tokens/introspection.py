"""The other way to judge a token: ask the authorization server about each one.

It works for opaque tokens, and a revoked token is dead at once.  The price is a request per connection, and a
door that stays shut while the server is down.
"""

import threading
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote_plus

from labkit.clock import Clock
from labkit.errors import Undecided
from labkit.tokens.checks import INTROSPECTION_CHECKS
from labkit.tokens.claims import is_date
from labkit.tokens.fetch import Endpoint, FetchFailed
from labkit.tokens.policy import Answer, Now, Policy, strings
from labkit.tokens.relying_party import Asking
from labkit.tokens.spelling import TEXT
from labkit.tokens.vouched import token_hash

__all__ = ["IntrospectionClient"]


class IntrospectionClient(Asking):
    """Decides about tokens by RFC 7662, with the same face as :class:`~labkit.tokens.TokenValidator`.

    The server's answer is not believed blindly: ``active`` has to be JSON ``true``, and issuer, audience,
    client, times and scopes are checked by the same rows as those of a JWT.  Only a missing ``jti`` is made
    up for, as opaque tokens often have none.  An answer is kept for ``ttl`` seconds, never past ``exp``,
    under the SHA-256 of the token; refusals and failures are not kept.  Thread-safe.

    Args:
        endpoint: the introspection endpoint; https, or http to a loopback address.
        client_id: this relying party's own identifier at the authorization server.
        client_secret: its secret.
        issuer: the authorization server, exactly as it writes ``iss``.
        audience: this relying party's identifier in ``aud``.
        required_scopes: scopes without which nobody gets in.
        leeway: seconds that the clocks may differ, 0 to 300.
        max_token_bytes: longest token that is sent, in bytes.
        clock: anything with ``now()`` in Unix seconds; the system's clock when left out.
        ttl: seconds that an answer is used again, and that a revoked token can live on; 0 asks every time.
        max_answers: how many answers are kept.
        ca_file: PEM file of the certificates to trust instead of the usual ones.
        timeout: seconds for each step of an exchange.

    Attributes:
        requests: how often the server has been asked, for tests and lessons.

    Raises:
        ValueError: a setting would make the checks worthless, or send the secret in the clear.

    Spec: RFC 7662 §2, §4.
    """

    checks = INTROSPECTION_CHECKS

    def __init__(
        self,
        endpoint: str,
        client_id: str,
        client_secret: str,
        issuer: str,
        audience: str,
        *,
        required_scopes: Iterable[str] = ("mqtt.connect",),
        leeway: float = 0,
        max_token_bytes: int = 16_384,
        clock: Now | None = None,
        ttl: float = 10.0,
        max_answers: int = 1024,
        ca_file: Path | str | None = None,
        timeout: float = 3.0,
    ) -> None:
        policy = Policy(
            issuer=issuer,
            audience=audience,
            required_scopes=strings("required_scopes", required_scopes),
            leeway=leeway,
            max_token_bytes=max_token_bytes,
            ask=self.ask,
        )
        super().__init__(policy, clock or Clock(), self.ask_anew)
        if not 0 <= ttl < float("inf"):
            raise ValueError("ttl is a number of seconds: an answer that is kept for ever revokes nothing")
        # Basic credentials are form-encoded first (RFC 6749 §2.3.1): an id may hold a colon.
        credentials = (quote_plus(client_id), quote_plus(client_secret))
        self.requests = 0
        self._endpoint = Endpoint(endpoint, ca_file=ca_file, auth=credentials, timeout=timeout)
        self._ttl = ttl
        self._max_answers = max_answers
        self._answers: dict[bytes, tuple[float, Answer]] = {}
        self._lock = threading.Lock()

    def ready_for(self, token: str | bytes) -> bool:
        """Whether :meth:`validate` will answer without touching the network; never raises."""
        case = self._case(token)
        if any(row.predicate(case) is not None for row in TEXT):
            return True
        return self._kept(token_hash(case.text)) is not None

    def ask(self, token: str) -> Answer:
        """What the server says about ``token``, or has said in the last ``ttl`` seconds.

        Raises:
            Undecided: it says nothing that can be used.
        """
        return self._kept(token_hash(token)) or self.ask_anew(token)

    def ask_anew(self, token: str) -> Answer:
        """What the server says about ``token`` now.

        Raises:
            Undecided: it says nothing that can be used.
        """
        name, asked_at = token_hash(token), self._clock.now()
        with self._lock:
            self.requests += 1
        try:
            claims = self._endpoint.post({"token": token, "token_type_hint": "access_token"})
        except FetchFailed as error:
            raise _undecided(error) from None
        answer = Answer(claims=claims, asked_at=asked_at)
        good = claims.get("active") is True and is_date(claims.get("exp"))
        self._keep(name, min(asked_at + self._ttl, claims["exp"]) if good else asked_at, answer)
        return answer

    def close(self) -> None:
        """Close the connections to the server."""
        self._endpoint.close()

    def __repr__(self) -> str:
        return f"<IntrospectionClient for {self.audience}, asking {self._endpoint.url}>"

    def _kept(self, name: bytes) -> Answer | None:
        until, answer = self._answers.get(name, (0.0, None))
        if answer is None or not answer.asked_at <= self._clock.now() < until:  # a clock can be set back
            return None
        return answer

    def _keep(self, name: bytes, until: float, answer: Answer) -> None:
        """Keep an answer until then; one that cannot be kept takes the place of what was kept, too."""
        with self._lock:
            self._answers.pop(name, None)
            if until > answer.asked_at:
                self._answers[name] = (until, answer)
            if len(self._answers) > self._max_answers:
                del self._answers[next(iter(self._answers))]


def _undecided(error: FetchFailed) -> Undecided:
    hint = "The authorization server is out of reach, and nobody is let in unchecked: try again later."
    if error.status in (401, 403):
        hint = "The server does not know this relying party: check its own client_id and client_secret."
    return Undecided(
        "introspection-unavailable",
        expected="an answer about the token",
        actual=str(error),
        spec="RFC 7662 §2.3",
        hint=hint,
    )
