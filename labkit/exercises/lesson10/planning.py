"""Plan the life of a key: how long it is published before it signs, and how long after."""

import json
import time
from typing import Any

from labkit import forge
from labkit.clock import Clock
from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right
from labkit.tokens import TokenValidator
from labkit.tokens.fetch import Endpoint
from labkit.tokens.keys import KeySet, VerificationKey, unknown_key

__all__ = ["plan"]

KEPT, LIFETIME, LEEWAY = 600, 900, 30  # seconds: of a key set, of a token, and forgiven
PLAN = {"before": KEPT, "after": LIFETIME + LEEWAY}


class _Obedient:
    """A key source that keeps the set for exactly as long as it may, and asks for nothing in between."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._endpoint, self._clock = Endpoint(url), clock
        self._keys: KeySet | None = None
        self._asked_at = 0.0

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        if self._keys is None or self._clock.now() - self._asked_at >= KEPT:
            self._keys, self._asked_at = KeySet.from_jwks(self._endpoint.get()), self._clock.now()
        key = self._keys.find(kid, algorithm)
        if key is None:
            raise unknown_key(kid)
        return key

    def ready(self, kid: str | None, algorithm: str) -> bool:
        return True


def _rotated(lab: Any, before: int, after: int) -> tuple[bool, bool]:
    """Whether the first token by the new key is believed, and the last one by the old until its end."""
    start = float(int(time.time()))
    clock = Clock(lambda: start)
    issuer = forge.Issuer(lab.issuer, lab.audience, clock=clock)

    def signed(kid: str) -> str:
        claims = issuer.claims(exp=issuer.now + LIFETIME)
        return forge.token(claims, header={"kid": kid}, key=forge.key_of(f"check {kid}"))

    def accepts(broker: TokenValidator, token: str) -> bool:
        return broker.explain(token, issuer.client_id).accepted

    def broker() -> TokenValidator:
        source = _Obedient(lab.jwks_uri, clock)
        return TokenValidator(lab.issuer, lab.audience, source, leeway=LEEWAY, clock=clock)

    with _serving(lab, "old"):
        unlucky = broker()  # it asks a moment before the new key is published
        accepts(unlucky, signed("old"))
    with _serving(lab, "old", "new"):
        clock.advance(seconds=before)
        last, first = signed("old"), signed("new")
        first_is_good = accepts(unlucky, first)
    end = LIFETIME + LEEWAY - 0.5
    clock.advance(seconds=end)
    with _serving(lab, *(["old", "new"] if end < after else ["new"])):
        return first_is_good, accepts(broker(), last)


def _serving(lab: Any, *kids: str) -> Any:
    """The lab's server, publishing these keys instead of its own."""
    keys = [forge.public_jwk(forge.key_of(f"check {kid}"), "ES256", kid=kid) for kid in kids]
    return lab.authserver.faults.garbage(json.dumps({"keys": keys}).encode(), path=lab.jwks_uri)


@exercise(
    question=(
        "Brokers may keep the key set of a server for 600 s, its tokens live up to 900 s, and the brokers "
        "have a leeway of 30 s. How many seconds must a key be published before it signs, and how many must "
        "it stay after its last signature? Give the smallest whole numbers."
    ),
    cell="""
plan = {
    "before": ____,
    "after": ____,
}
ex.plan.check(plan, lab)
""",
    solution="""
plan = {
    "before": 600,
    "after": 930,
}
ex.plan.check(plan, lab)
""",
    wrong=(
        Wrong(says="asked a moment before", answer=PLAN | {"before": 0}),
        Wrong(says="that is the life of a token", answer=PLAN | {"before": 900}),
        Wrong(says="30 s longer than it takes", answer=PLAN | {"before": 630}),
        Wrong(says="for its last 330 s", answer=PLAN | {"after": 600}),
        Wrong(says="forgive 30 s on top", answer=PLAN | {"after": 900}),
        Wrong(says="longer than any token", answer=PLAN | {"after": 3600}),
        Wrong(says="a whole number of seconds", answer=PLAN | {"after": "15 min"}),
        Wrong(says='"before" and "after"', answer=600),
    ),
    hints=(
        "Before: think of the broker with the oldest key set. After: think of the token that ends last.",
        "The oldest set was fetched a moment before the key was published. The last token was signed a "
        "moment before the change.",
        "Before: as long as a set may be kept. After: the life of a token, and the leeway on top.",
    ),
    why=(
        "a key must be in every broker's set when its first token arrives, and in the server's set until "
        "its last token is worth nothing. A rotation is slow; only the change in its middle is sudden."
    ),
)
def plan(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(PLAN):
        return not_yet('give a number of seconds for "before" and "after".')
    before, after = answer["before"], answer["after"]
    for name in PLAN:
        if type(answer[name]) is not int or not 0 <= answer[name] < 10**6:
            return not_yet(f'"{name}" needs a whole number of seconds, and not {brief(answer[name])}.')
    if before == LIFETIME and LIFETIME != KEPT:
        return not_yet('"before": that is the life of a token. How long does a broker keep a set without it?')
    if before > KEPT:
        return not_yet(f'"before" works, and is {before - KEPT} s longer than it takes.')
    if LIFETIME <= after < LIFETIME + LEEWAY:
        missing = LIFETIME + LEEWAY - after
        return not_yet(
            f'"after": brokers forgive {LEEWAY} s on top of the {LIFETIME} s: {missing} s are missing.'
        )
    if after > LIFETIME + LEEWAY:
        return not_yet(f'"after" works, and keeps the key {after - PLAN["after"]} s longer than any token.')
    first, last = _rotated(lab, before, after)
    if not first:
        missing = KEPT - before
        return not_yet(
            f'"before": a broker that asked a moment before the key was published did not know it when its '
            f"first token came, and for {missing} s more."
        )
    if not last:
        return not_yet(
            f'"after": the last token by the old key was refused for its last {PLAN["after"] - after} s.'
        )
    if answer != PLAN:
        return cannot_tell("the rotation came out otherwise than it should. Run the set-up cell again.")
    return right("rotated like this just now, the unluckiest broker refused no token.")
