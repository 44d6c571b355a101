"""Genuine tokens in the wrong hands, for the wrong service, of the wrong kind, or at the wrong time.

T01 to T04, T10, T13, T30, T33, T42, T43.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from labkit import forge
from labkit.errors import TokenRejected
from labkit.exercises.lesson05.knocking import knock
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.parts import (
    Checks,
    by_token,
    gate,
    genuine,
    issuer_of,
    opened,
    refused_at_the_gate,
)
from labkit.tokens import peek_unverified

__all__ = ["BORROWED"]

#: The thumbprint of a key (RFC 7638) that the honest device has, and the thief has not.
_KEY = {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}


def _bearer(token: str, proved: dict[str, str], issuer: forge.Issuer) -> bool:
    return Checks(("cnf",))(token, issuer.client_id, issuer)


def _with_its_key(token: str, proved: dict[str, str], issuer: forge.Issuer) -> bool:
    try:
        issuer.validator().validate(token, issuer.client_id, proved=proved)
    except TokenRejected:
        return False
    return True


def _without_the_key(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    return bool(target(issuer.token(cnf=_KEY), {}, issuer))


def _with_the_key(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    return bool(target(issuer.token(cnf=_KEY), _KEY, issuer) and target(issuer.token(), {}, issuer))


def _bound_at_the_gate(lab: Any) -> bool:
    issuer = issuer_of(lab)
    return not refused_at_the_gate(issuer, (issuer.token(cnf=_KEY), issuer.client_id))


def _looks_for_the_word(token: str, client_id: str, issuer: forge.Issuer) -> bool:
    if not Checks(("required scopes",))(token, client_id, issuer):
        return False
    return "mqtt.connect" in peek_unverified(token).claims["scope"]


_HOUR = 3600


def _an_hour_of_grace(claims: dict[str, Any], now: float) -> bool:
    return bool(claims["iat"] - _HOUR <= now < claims["exp"] + _HOUR)


def _half_a_minute_of_grace(claims: dict[str, Any], now: float) -> bool:
    return bool(claims["iat"] - 30 <= now < claims["exp"] + 30)


def _late(target: Any, lab: Any) -> bool:
    """A token that ended ten minutes ago."""
    issuer = issuer_of(lab)
    return bool(target(issuer.claims(iat=issuer.now - 900, exp=issuer.now - 600), issuer.now))


def _clocks_a_little_off(target: Any, lab: Any) -> bool:
    """The server's clock is ten seconds ahead; then ten seconds behind, at the end of a life."""
    issuer = issuer_of(lab)
    early = issuer.claims(iat=issuer.now + 10, exp=issuer.now + 310)
    late = issuer.claims(iat=issuer.now - 310, exp=issuer.now - 10)
    return bool(target(early, issuer.now) and target(late, issuer.now))


def _late_at_the_gate(lab: Any) -> bool:
    """With half a minute of grace: the late token stays outside, the skewed one gets in."""
    issuer = issuer_of(lab)
    ahead = issuer.token(iat=issuer.now + 10, exp=issuer.now + 310)
    late = issuer.token(iat=issuer.now - 900, exp=issuer.now - 600)
    with gate(issuer, issuer.validator(leeway=30)) as broker:
        if knock(broker, issuer.client_id, ahead) != 0:
            raise RuntimeError("the gate does not forgive a clock that is ten seconds off")
        return knock(broker, issuer.client_id, late) == 0


def _two_readers(token: str, client_id: str, issuer: forge.Issuer) -> str | None:
    """Whose rights a connection gets, or None."""
    _, payload, _, _ = opened(token)
    quick = re.search(rb'"client_id": ?"([^"]*)"', payload)
    if not genuine(token, issuer) or quick is None or quick[1].decode() != client_id:
        return None
    return str(json.loads(payload)["client_id"])


def _one_reader(token: str, client_id: str, issuer: forge.Issuer) -> str | None:
    """Whose rights a connection gets, or None."""
    try:
        return issuer.validator().validate(token, client_id).client_id
    except TokenRejected:
        return None


def _as_two(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    token = forge.named("client_id twice").build(issuer)
    return bool(target(token, "mallory", issuer) == issuer.client_id)


def _as_one(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    return bool(target(issuer.token(), issuer.client_id, issuer) == issuer.client_id)


def _as_two_at_the_gate(lab: Any) -> bool:
    issuer = issuer_of(lab)
    made = [each.build(issuer) for each in forge.of_threat("T42")]
    attempts = [(token, name) for token in made for name in ("mallory", issuer.client_id)]
    return not refused_at_the_gate(issuer, *attempts)


class _ListOfTexts:
    """A door with a list of revoked tokens."""

    def __init__(self, issuer: forge.Issuer) -> None:
        self.issuer = issuer
        self.revoked: set[str] = set()

    def revoke(self, token: str) -> None:
        self.revoked.add(token)

    def lets_in(self, token: str) -> bool:
        return token not in self.revoked and Checks()(token, self.issuer.client_id, self.issuer)


class _ListOfNumbers(_ListOfTexts):
    """The same, by the number that every token has."""

    def revoke(self, token: str) -> None:
        self.revoked.add(peek_unverified(token).claims["jti"])

    def lets_in(self, token: str) -> bool:
        if not Checks()(token, self.issuer.client_id, self.issuer):
            return False
        return peek_unverified(token).claims["jti"] not in self.revoked


def _spell_it_otherwise(target: Any, lab: Any) -> bool:
    issuer = issuer_of(lab)
    door, token = target(issuer), issuer.token()
    door.revoke(token)
    return bool(door.lets_in(forge.high_s(token)))


def _a_new_one(target: Any, lab: Any) -> bool:
    """The device gets a new token after the old one was revoked."""
    issuer = issuer_of(lab)
    door = target(issuer)
    first, second = issuer.token(), issuer.token(jti="b7a2")
    if not door.lets_in(first):
        return False
    door.revoke(first)
    return not door.lets_in(first) and bool(door.lets_in(second))


def _spell_it_otherwise_at_the_gate(lab: Any) -> bool:
    name = "gallery-1"
    lab.register(name)
    token = lab.token(name)
    if knock(lab, name, token) != 0:
        raise RuntimeError("the gate does not let the honest device in")
    lab.authserver.revoke(peek_unverified(token).claims["jti"])
    return 0 in (knock(lab, name, token), knock(lab, name, forge.high_s(token)))


BORROWED: Sequence[Exhibit] = (
    by_token(
        "T01",
        "a token under another name",
        story="Mallory has a copy of the thermostat's token, and connects with it under her own client id.",
        stopped_by="client binding: client id and claim client_id are equal",
        naive=Checks(("client binding",)),
        forged="stolen token",
        client_id="mallory",
    ),
    Exhibit(
        id="T02",
        name="a token under its own name",
        story="Mallory uses the copy under the thermostat's name, so the names agree. The token is tied to a "
        "key that only the thermostat has, but nobody asks for it.",
        stopped_by="cnf: a token that is tied to a key comes with proof of that key",
        naive=_bearer,
        repaired=_with_its_key,
        attack=_without_the_key,
        honest=_with_the_key,
        real=_bound_at_the_gate,
    ),
    by_token(
        "T03",
        "a token for somebody else",
        story="A genuine token that was made for another service is shown to the broker.",
        stopped_by="aud: the broker's own name is in it",
        naive=Checks(("aud",)),
        forged="audience of another service",
    ),
    by_token(
        "T04",
        "a token of another kind",
        story="An ID token, which tells an app who has logged in, is used as an access token.",
        stopped_by="typ: it says at+jwt",
        naive=Checks(("typ",)),
        forged="ID token as access token",
    ),
    by_token(
        "T10",
        "a token that has ended",
        story="A token from yesterday, found in a backup.",
        stopped_by="exp: a number that is still to come",
        naive=Checks(("exp",)),
        forged=lambda issuer: issuer.token(iat=issuer.now - 86_400, exp=issuer.now - 86_100),
    ),
    Exhibit(
        id="T13",
        name="an hour of grace",
        story="Clocks differ, so somebody has allowed an hour: now every token lives an hour longer.",
        stopped_by="a leeway of seconds, and clocks that are set",
        naive=_an_hour_of_grace,
        repaired=_half_a_minute_of_grace,
        attack=_late,
        honest=_clocks_a_little_off,
        real=_late_at_the_gate,
    ),
    by_token(
        "T30",
        "nearly the right scope",
        story="The scope mqtt.connect is looked for anywhere in the text, and xmqtt.connect contains it.",
        stopped_by="required scopes: whole words, split at spaces and nowhere else",
        naive=_looks_for_the_word,
        forged="scope that contains the word",
    ),
    by_token(
        "T33",
        "a token of 27 kilobytes",
        story="A token has grown so long that every small device that meets it runs out of memory, and the "
        "broker reads it to the end.",
        stopped_by="length: a limit before anything else",
        naive=Checks(("length",)),
        forged="huge claim",
    ),
    Exhibit(
        id="T42",
        name="two readers, two names",
        story="The name stands twice in the token. One reader, who checks it, takes the first; the other, "
        "who gives the rights, takes the last.",
        stopped_by="claims: one strict reader, and no name twice",
        naive=_two_readers,
        repaired=_one_reader,
        attack=_as_two,
        honest=_as_one,
        real=_as_two_at_the_gate,
    ),
    Exhibit(
        id="T43",
        name="the same token, spelled otherwise",
        story="The token is revoked, and comes back with the other signature that fits: the list of revoked "
        "tokens compares texts.",
        stopped_by="the list goes by jti, the number of the token",
        naive=_ListOfTexts,
        repaired=_ListOfNumbers,
        attack=_spell_it_otherwise,
        honest=_a_new_one,
        real=_spell_it_otherwise_at_the_gate,
    ),
)
