"""The issuer's keys: one that was thrown away, and many that never were.

T14, T15.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from labkit import forge
from labkit.exercises.lesson05.knocking import knock
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.parts import Canary, gate, issuer_of
from labkit.tokens import JwksCache, TokenValidator

__all__ = ["KEYS"]

_NAME = "gallery-1"


class _KeepsAllKeys:
    """The issuer's keys by key id; ``fetch`` gets the set that is published now."""

    def __init__(self, fetch: Callable[[], dict[str, Any]]) -> None:
        self.fetch = fetch
        self.keys: dict[str, Any] = {}

    def refresh(self) -> None:
        self.keys |= {jwk["kid"]: jwk for jwk in self.fetch()["keys"]}

    def find(self, kid: str) -> Any:
        return self.keys.get(kid)


class _KeepsTheSet(_KeepsAllKeys):
    """The same; what is not published any more is forgotten."""

    def refresh(self) -> None:
        self.keys = {jwk["kid"]: jwk for jwk in self.fetch()["keys"]}


def _two_sets() -> list[dict[str, Any]]:
    """A key set before a key was stolen, and after."""
    old = forge.public_jwk(forge.key_of("issuer", "ES256"), "ES256", kid="old")
    new = forge.public_jwk(forge.key_of("next issuer", "ES256"), "ES256", kid="new")
    return [{"keys": [old]}, {"keys": [new]}]


def _sign_with_the_old_key(target: Any, lab: Any) -> bool:
    published = _two_sets()
    keys = target(lambda: published[0])
    keys.refresh()
    del published[0]
    keys.refresh()
    return keys.find("old") is not None


def _sign_with_the_new_key(target: Any, lab: Any) -> bool:
    published = _two_sets()
    keys = target(lambda: published[0])
    keys.refresh()
    before = keys.find("old") is not None
    del published[0]
    keys.refresh()
    return before and keys.find("new") is not None


def _sign_with_the_old_key_at_the_gate(lab: Any) -> bool:
    issuer = issuer_of(lab)
    before, after = _two_sets()
    token = issuer.token({"kid": "old"}, exp=issuer.now + 3600)
    fresh = forge.token(
        issuer.claims(exp=issuer.now + 3600), header={"kid": "new"}, key=forge.key_of("next issuer", "ES256")
    )
    with Canary(before) as server:
        keys = JwksCache(server.url, clock=issuer.clock)
        judge = TokenValidator(issuer.issuer, issuer.audience, keys, ("ES256",), clock=issuer.clock)
        with gate(issuer, judge) as broker:
            if knock(broker, issuer.client_id, token) != 0:
                raise RuntimeError("the gate does not let the honest device in")
            server.document = after
            issuer.clock.advance(seconds=301)  # an old set is not used for ever
            if knock(broker, issuer.client_id, fresh) != 0:
                raise RuntimeError("the gate does not know the new key")
            code = knock(broker, issuer.client_id, token)
        keys.close()
    return code == 0


class _FetchesEachTime:
    """Keys by key id; ``fetch`` asks the issuer, and ``now`` is the time in seconds."""

    def __init__(self, fetch: Callable[[], dict[str, Any]], now: Callable[[], float]) -> None:
        self.fetch, self.now = fetch, now
        self.asked_at = float("-inf")
        self.keys: dict[str, Any] = {}

    def find(self, kid: str) -> Any:
        if kid not in self.keys:
            self.keys = {jwk["kid"]: jwk for jwk in self.fetch()["keys"]}
        return self.keys.get(kid)


class _FetchesSeldom(_FetchesEachTime):
    """The same, at most once in 30 seconds."""

    def find(self, kid: str) -> Any:
        if kid not in self.keys and self.now() - self.asked_at >= 30:
            self.asked_at = self.now()
            self.keys = {jwk["kid"]: jwk for jwk in self.fetch()["keys"]}
        return self.keys.get(kid)


def _flood(target: Any, lab: Any) -> bool:
    issuer, fetches = issuer_of(lab), Counter[str]()

    def fetch() -> dict[str, Any]:
        fetches["keys"] += 1
        return issuer.jwks

    keys = target(fetch, issuer.clock.now)
    for number in range(100):
        keys.find(f"made-up-{number}")
    return fetches["keys"] > 10


def _meet_a_new_key(target: Any, lab: Any) -> bool:
    issuer, published = issuer_of(lab), _two_sets()
    keys = target(lambda: published[0], issuer.clock.now)
    before = keys.find("old") is not None
    del published[0]
    issuer.clock.advance(seconds=60)
    return before and keys.find("new") is not None


def _flood_the_gate(lab: Any) -> bool:
    lab.register(_NAME)
    if knock(lab, _NAME, lab.token(_NAME)) != 0:
        raise RuntimeError("the gate does not let the honest device in")
    before = lab.keys.fetches
    stranger = forge.Issuer(lab.issuer, lab.audience, clock=lab.clock)
    for number in range(40):
        knock(lab, _NAME, stranger.stolen_key(kid=f"made-up-{number}"))
    return bool(lab.keys.fetches - before > 4)


KEYS: Sequence[Exhibit] = (
    Exhibit(
        id="T14",
        name="a key that was thrown away",
        story="A stolen signing key is replaced and no longer published; a broker that only ever adds keys "
        "still believes what is signed with it.",
        stopped_by="the key set is replaced as a whole, and fetched anew when it is old",
        naive=_KeepsAllKeys,
        repaired=_KeepsTheSet,
        attack=_sign_with_the_old_key,
        honest=_sign_with_the_new_key,
        real=_sign_with_the_old_key_at_the_gate,
    ),
    Exhibit(
        id="T15",
        name="a flood of made-up key ids",
        story="Each token names another key id, and for each the broker asks the authorization server for "
        "its keys: the flood is passed on.",
        stopped_by="at most one request in so many seconds",
        naive=_FetchesEachTime,
        repaired=_FetchesSeldom,
        attack=_flood,
        honest=_meet_a_new_key,
        real=_flood_the_gate,
    ),
)
