"""Connections, tokens and answers that outlive their time.

T11, T12, T19.
"""

from collections.abc import Callable, Sequence
from typing import Any

from labkit import forge
from labkit.clock import Clock
from labkit.errors import TokenRejected
from labkit.exercises.lesson05.knocking import knock
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.live import Connected
from labkit.exercises.lesson11.exhibits.parts import Checks, gate, issuer_of
from labkit.tokens import IntrospectionClient, peek_unverified

__all__ = ["LASTING"]

_NAME = "gallery-1"


class _AskedOnce:
    """A door that looks at the token when a client connects."""

    def __init__(self, issuer: forge.Issuer) -> None:
        self.issuer = issuer
        self.until: dict[str, float] = {}

    def connect(self, client_id: str, token: str) -> None:
        self.until[client_id] = self.issuer.validator().validate(token, client_id).expires_at

    def delivers_to(self, client_id: str) -> bool:
        return client_id in self.until


class _UntilTheEnd(_AskedOnce):
    """The same, and it looks at the clock as well."""

    def delivers_to(self, client_id: str) -> bool:
        return self.issuer.now < self.until.get(client_id, 0)


def _stay(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    door = target(issuer)
    door.connect(issuer.client_id, issuer.token())
    issuer.clock.advance(seconds=301)
    return bool(door.delivers_to(issuer.client_id))


def _stay_for_a_while(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    door = target(issuer)
    door.connect(issuer.client_id, issuer.token())
    issuer.clock.advance(seconds=299)
    return bool(door.delivers_to(issuer.client_id))


def _stay_at_the_gate(lab: Any) -> bool:
    issuer = issuer_of(lab)
    with gate(issuer) as broker, Connected(broker, issuer.client_id, issuer.token()) as client:
        issuer.clock.advance(seconds=299)
        if not client.answers():
            raise RuntimeError("the gate closes a connection before its token has ended")
        issuer.clock.advance(seconds=2)
        return client.answers()


class _NobodyTold:
    """A broker that checks tokens by itself."""

    def __init__(self, issuer: forge.Issuer) -> None:
        self.issuer = issuer
        self.revoked: set[str] = set()

    def told(self, jti: str) -> None:
        """The authorization server says that it has revoked a token."""

    def lets_in(self, token: str) -> bool:
        return Checks()(token, self.issuer.client_id, self.issuer) and (
            peek_unverified(token).claims["jti"] not in self.revoked
        )


class _Told(_NobodyTold):
    """The same, and it listens when the server says that a token is revoked."""

    def told(self, jti: str) -> None:
        self.revoked.add(jti)


def _use_a_revoked_one(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    broker = target(issuer)
    broker.told("b7a1")
    return bool(broker.lets_in(issuer.token(jti="b7a1")))


def _use_another(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    broker = target(issuer)
    broker.told("b7a1")
    return bool(broker.lets_in(issuer.token(jti="b7a2")))


def _use_a_revoked_one_at_the_gate(lab: Any) -> bool:
    lab.register(_NAME)
    token = lab.token(_NAME)
    if knock(lab, _NAME, token) != 0:
        raise RuntimeError("the gate does not let the honest device in")
    lab.authserver.revoke(peek_unverified(token).claims["jti"])
    if knock(lab, _NAME, lab.token(_NAME)) != 0:
        raise RuntimeError("the gate does not let the device in with its next token")
    return knock(lab, _NAME, token) == 0


class _KeepsAnswers:
    """What the server said about a token; ``ask`` asks it, ``now`` is the time in seconds."""

    def __init__(self, ask: Callable[[str], dict[str, Any]], now: Callable[[], float]) -> None:
        self.ask, self.now = ask, now
        self.kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def until(self, answer: dict[str, Any]) -> float:
        return self.now() + 3600

    def active(self, token: str) -> bool:
        until, answer = self.kept.get(token, (0.0, {}))
        if self.now() >= until:
            answer = self.ask(token)
            self.kept[token] = (self.until(answer), answer)
        return answer["active"] is True


class _KeepsThemShortly(_KeepsAnswers):
    """The same, for ten seconds, and never beyond the end of the token."""

    def until(self, answer: dict[str, Any]) -> float:
        return float(min(self.now() + 10, answer.get("exp", 0)))


def _ask_later(target: Any, lab: Any) -> bool:
    """A token that has expired, and one that was revoked: is one of them active a little later?"""
    issuer, revoked = issuer_of(lab), []

    def ask(token: str) -> dict[str, Any]:
        exp = peek_unverified(token).claims["exp"]
        return {"active": issuer.now < exp and token not in revoked, "exp": exp}

    cache = target(ask, issuer.clock.now)
    short, long = issuer.token(exp=issuer.now + 5), issuer.token()
    if not (cache.active(short) and cache.active(long)):
        return False
    issuer.clock.advance(seconds=6)
    expired = cache.active(short)
    revoked.append(long)
    issuer.clock.advance(seconds=10)
    return bool(expired or cache.active(long))


def _ask_twice(target: Any, lab: Any) -> bool:
    """An answer that is a moment old is used again."""
    issuer, asked = issuer_of(lab), []

    def ask(token: str) -> dict[str, Any]:
        asked.append(token)
        return {"active": True, "exp": issuer.now + 300}

    cache = target(ask, issuer.clock.now)
    return bool(cache.active("a token") and cache.active("a token") and len(asked) == 1)


def _ask_the_server_later(lab: Any) -> bool:
    """The lab's own way to ask, on a clock of its own."""
    lab.register(_NAME, lifetime=300)
    token, other = lab.token(_NAME), lab.token(_NAME)
    start = lab.clock.now() + 1
    clock = Clock(lambda: start)
    broker = lab.resource_server
    client = IntrospectionClient(
        lab.introspection_endpoint,
        broker.client_id,
        broker.client_secret,
        lab.issuer,
        lab.audience,
        clock=clock,
        ttl=10,
    )
    with client:
        client.validate(token)  # honest traffic passes, or this raises
        client.validate(other)
        lab.authserver.revoke(peek_unverified(token).claims["jti"])
        clock.advance(seconds=11)
        revoked = _accepts(client, token)
        client.validate(other)
        clock.advance(seconds=300)
        return revoked or _accepts(client, other)


def _accepts(judge: Any, token: str) -> bool:
    try:
        judge.validate(token)
    except TokenRejected:
        return False
    return True


LASTING: Sequence[Exhibit] = (
    Exhibit(
        id="T11",
        name="a connection that outlives its token",
        story="The token is checked when the thief connects, and never again: she stays connected for weeks.",
        stopped_by="a timer that closes the connection at exp",
        naive=_AskedOnce,
        repaired=_UntilTheEnd,
        attack=_stay,
        honest=_stay_for_a_while,
        real=_stay_at_the_gate,
    ),
    Exhibit(
        id="T12",
        name="a revoked token",
        story="The token was reported as stolen and revoked, but a broker that checks tokens by itself is "
        "never told.",
        stopped_by="the server tells the broker, or the broker asks (introspection)",
        naive=_NobodyTold,
        repaired=_Told,
        attack=_use_a_revoked_one,
        honest=_use_another,
        real=_use_a_revoked_one_at_the_gate,
    ),
    Exhibit(
        id="T19",
        name="an answer from long ago",
        story="The broker asks the server about each token, and believes the answer for an hour: expired and "
        "revoked tokens live on in its memory.",
        stopped_by="answers are kept for seconds, and never beyond exp",
        naive=_KeepsAnswers,
        repaired=_KeepsThemShortly,
        attack=_ask_later,
        honest=_ask_twice,
        real=_ask_the_server_later,
    ),
)
