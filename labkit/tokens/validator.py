"""The relying party's judge over JWT access tokens."""

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.clock import Clock
from labkit.tokens.checks import CHECKS
from labkit.tokens.jose import NotStrict, decode_header
from labkit.tokens.jwks import JwksCache
from labkit.tokens.keys import KeySource, StaticKeys, is_usable_kid
from labkit.tokens.policy import Now, Policy, media_type, strings
from labkit.tokens.relying_party import RelyingParty

__all__ = ["TokenValidator"]


class TokenValidator(RelyingParty):
    """Decides whether a JWT access token is good, for this relying party, now and from this client.

    It walks the table :data:`~labkit.tokens.CHECKS`: spelling, header, key, signature; only then the claims;
    last, who may use the token.  Safe to use from several threads.

    Args:
        issuer: the authorization server, exactly as it writes ``iss``.
        audience: this relying party's own identifier; ``aud`` has to contain it.
        keys: the issuer's keys: the URL of its JWK set, a JWK set as ``dict``, or any ``KeySource``.
        algorithms: allow-list of signature algorithms.
        required_scopes: scopes without which nobody gets in.
        leeway: seconds that the clocks may differ, 0 to 300.
        max_token_bytes: longest token that is looked at, in bytes.
        clock: anything with ``now()`` in Unix seconds; the system's clock when left out.
        token_types: accepted values of ``typ``.  Some servers still write ``"JWT"``: adding it here gives up
            the distinction between access tokens and, say, ID tokens.

    Raises:
        ValueError: a setting, or the key set, would make the checks worthless.

    Spec: RFC 9068 §4, RFC 8725 §3.
    """

    checks = CHECKS

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: str | Mapping[str, Any] | KeySource,
        algorithms: Iterable[str] = ("ES256", "RS256", "EdDSA"),
        required_scopes: Iterable[str] = ("mqtt.connect",),
        leeway: float = 0,
        max_token_bytes: int = 16_384,
        clock: Now | None = None,
        *,
        token_types: Iterable[str] = ("at+jwt",),
    ) -> None:
        clock = clock or Clock()
        allowed = strings("algorithms", algorithms)
        types = strings("token_types", token_types)
        if not allowed or not types:
            raise ValueError(
                "algorithms and token_types are allow-lists: with an empty one no token can pass"
            )
        if isinstance(keys, str):
            keys = JwksCache(keys, clock=clock)
        elif isinstance(keys, Mapping):
            keys = StaticKeys(keys)
        elif not all(callable(getattr(keys, name, None)) for name in ("find", "ready")):
            raise ValueError("keys is the URL of a JWK set, a JWK set as a dict, or a KeySource")
        policy = Policy(
            issuer=issuer,
            audience=audience,
            algorithms=allowed,
            token_types=frozenset(map(media_type, types)),
            required_scopes=strings("required_scopes", required_scopes),
            leeway=leeway,
            max_token_bytes=max_token_bytes,
            keys=keys,
        )
        super().__init__(policy, clock)

    @property
    def keys(self) -> KeySource | None:
        """Where it finds the issuer's keys."""
        return self._policy.keys

    def ready_for(self, token: str | bytes) -> bool:
        """Whether :meth:`validate` will answer without touching the network; never raises.

        An event loop asks this first, and hands a token that needs a fetch to a thread.
        """
        if not isinstance(token, str | bytes) or len(token) > self._policy.max_token_bytes:
            return True
        try:
            text = token if isinstance(token, str) else token.decode("latin-1")
            header = decode_header(text.partition(".")[0])
        except NotStrict:
            return True
        kid, alg = header.get("kid"), header.get("alg")
        if "kid" in header and not is_usable_kid(kid):
            return True
        if not isinstance(alg, str) or alg not in self._policy.algorithms:
            return True
        return self._policy.keys is None or self._policy.keys.ready(kid, alg)

    def close(self) -> None:
        """Fetch no more keys, where they come from a URL."""
        if isinstance(self._policy.keys, JwksCache):
            self._policy.keys.close()

    def __repr__(self) -> str:
        return f"<TokenValidator for {self.audience}, trusting {self.issuer}>"
