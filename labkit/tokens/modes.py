"""Three ways to judge a token, chosen by one word.

=================  =================  =============  ========================================================
mode               asks the server    opaque tokens  while the server is down
=================  =================  =============  ========================================================
``jwt``            for its keys       no             goes on with the keys it has; refuses what needs others
``introspection``  about every token  yes            refuses, but for tokens it asked about just now (ttl)
``both``           for both           no             the same, and it needs the keys as well
=================  =================  =============  ========================================================

To refuse because nobody can tell is CONNACK 3 (:class:`~labkit.errors.Undecided`): a device comes back later.
"""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from labkit.tokens.combined import CombinedValidator
from labkit.tokens.introspection import IntrospectionClient
from labkit.tokens.keys import KeySource
from labkit.tokens.policy import Now
from labkit.tokens.validator import TokenValidator

__all__ = ["MODES", "AnyValidator", "Mode", "new_validator"]

#: The three ways.
Mode: TypeAlias = Literal["jwt", "introspection", "both"]
MODES: tuple[Mode, ...] = ("jwt", "introspection", "both")
#: What a gate can be given.
AnyValidator: TypeAlias = TokenValidator | IntrospectionClient | CombinedValidator


def new_validator(
    mode: Mode,
    *,
    issuer: str,
    audience: str,
    keys: str | KeySource,
    endpoint: str,
    client_id: str,
    client_secret: str,
    algorithms: Iterable[str] = ("ES256", "RS256", "EdDSA"),
    leeway: float = 0,
    ttl: float = 10.0,
    clock: Now | None = None,
    ca_file: str | None = None,
) -> AnyValidator:
    """The validator for a mode.

    Args:
        mode: ``"jwt"``, ``"introspection"`` or ``"both"``.
        issuer: the authorization server, exactly as it writes ``iss``.
        audience: this relying party's identifier in ``aud``.
        keys: the issuer's keys: the URL of its JWK set, or any ``KeySource``.
        endpoint: the introspection endpoint.
        client_id: this relying party's own identifier at the authorization server.
        client_secret: its secret.
        algorithms: allow-list of signature algorithms.
        leeway: seconds that the clocks may differ, 0 to 300.
        ttl: seconds that an introspection answer is used again.
        clock: anything with ``now()`` in Unix seconds; the system's clock when left out.
        ca_file: PEM file of the certificates to trust at the introspection endpoint; the usual ones if none.

    Raises:
        ValueError: there is no such mode, or a setting would make the checks worthless.
    """
    if mode not in MODES:
        raise ValueError(f"there is no way to validate called {mode!r}: choose {', '.join(MODES)}")

    def by_itself() -> TokenValidator:
        return TokenValidator(issuer, audience, keys, leeway=leeway, clock=clock, algorithms=algorithms)

    def by_asking() -> IntrospectionClient:
        settings: dict[str, Any] = {"leeway": leeway, "clock": clock, "ttl": ttl, "ca_file": ca_file}
        return IntrospectionClient(endpoint, client_id, client_secret, issuer, audience, **settings)

    if mode == "jwt":
        return by_itself()
    return by_asking() if mode == "introspection" else CombinedValidator(by_itself(), by_asking())
