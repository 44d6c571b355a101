"""Servers that answer too much: to thieves, to strangers, and to a fleet that means no harm.

T16, T32, T44.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import httpx

from labkit.device import TokenSource
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.parts import issuer_of

__all__ = ["ASKED"]

_NAME = "gallery-1"


class _OneForEver:
    """A token endpoint: a device gets a refresh token, and changes it for access."""

    def __init__(self) -> None:
        self.good: set[str] = set()

    def grant(self) -> str:
        self.good.add(first := secrets.token_urlsafe(8))
        return first

    def refresh(self, used: str) -> str | None:
        return used if used in self.good else None


class _OneAfterTheOther(_OneForEver):
    """Each refresh token works once; one that is used again ends its whole family."""

    def __init__(self) -> None:
        super().__init__()
        self.family: dict[str, str] = {}

    def grant(self) -> str:
        first = super().grant()
        self.family[first] = first
        return first

    def refresh(self, used: str) -> str | None:
        family = self.family.get(used)
        if used not in self.good:
            self.good -= {token for token, of in self.family.items() if of == family}
            return None
        self.good.remove(used)
        self.good.add(token := secrets.token_urlsafe(8))
        self.family[token] = self.family[used]
        return token


def _use_a_copy(target: Any, lab: Any) -> bool:
    """The thief copies a refresh token; the device uses it; then the thief does, and whatever came of it."""
    endpoint = target()
    copied = endpoint.grant()
    endpoint.refresh(copied)
    return endpoint.refresh(copied) is not None


def _use_the_newest(target: Any, lab: Any) -> bool:
    endpoint = target()
    token = endpoint.grant()
    for _ in range(3):
        token = token and endpoint.refresh(token)
    return token is not None


def _use_a_copy_at_the_server(lab: Any) -> bool:
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    lab.register(_NAME, grants=(grant,), auth="none")
    lab.authserver.register_user("gallery-owner", "tea for two")
    with httpx.Client(trust_env=False) as http:

        def post(url: str, **form: str) -> dict[str, Any]:
            answer: dict[str, Any] = http.post(url, data={"client_id": _NAME, **form}).json()
            return answer

        def refresh(token: str) -> dict[str, Any]:
            return post(lab.token_endpoint, grant_type="refresh_token", refresh_token=token)

        codes = post(lab.authserver.device_authorization_endpoint)
        lab.authserver.approve(codes["user_code"], username="gallery-owner")
        first = post(lab.token_endpoint, grant_type=grant, device_code=codes["device_code"])
        second = refresh(first["refresh_token"])
        third = refresh(second["refresh_token"])
        thief = refresh(second["refresh_token"])
        family = refresh(third["refresh_token"])
    return "access_token" in thief or "access_token" in family


_FLEET = 60


def _at_80_percent(lifetime: float, random: Random) -> float:
    return 0.8 * lifetime


def _at_70_to_90_percent(lifetime: float, random: Random) -> float:
    return random.uniform(0.7, 0.9) * lifetime


def _most_in_a_second(moments: Sequence[float]) -> int:
    return max(Counter(map(int, moments)).values())


def _wake_up_together(target: Any, lab: Any) -> bool:
    """A fleet that got its tokens in the same second: does more than a fifth of it come back in one?"""
    moments = [target(300, Random(number)) for number in range(_FLEET)]  # noqa: S311  # no secret
    return _most_in_a_second(moments) > _FLEET / 5


def _refresh_in_time(target: Any, lab: Any) -> bool:
    moments = [target(300, Random(number)) for number in range(_FLEET)]  # noqa: S311  # no secret
    return all(150 <= moment < 300 for moment in moments)


def _wake_up_together_as_devices(lab: Any) -> bool:
    known = lab.register(_NAME, lifetime=300)
    moments = []
    for number in range(_FLEET):
        source = TokenSource(
            lab.token_endpoint,
            known.client_id,
            known.client_secret,
            now=lambda: 0.0,
            random=Random(number),  # noqa: S311  # no secret
        )
        token = source.fetch()
        moments.append(token.refresh_at)
    if not all(150 <= moment < 300 for moment in moments):
        raise RuntimeError("a device of the lab does not refresh in time")
    return _most_in_a_second(moments) > _FLEET / 5


#: Who may ask about tokens: name, secret, and the audience that it may ask about.
_ASKERS = {"broker": (secrets.token_urlsafe(8), "https://mqtt.lab")}


def _answers_everybody(token: dict[str, Any], asker: str | None, secret: str | None) -> dict[str, Any]:
    return {"active": True, **token}


def _answers_brokers(token: dict[str, Any], asker: str | None, secret: str | None) -> dict[str, Any]:
    known = _ASKERS.get(asker or "")
    if known is None or secret is None or not secrets.compare_digest(secret, known[0]):
        raise PermissionError("401: who are you?")
    return {"active": True, **token} if token["aud"] == known[1] else {"active": False}


def _ask_as_a_stranger(target: Any, lab: Any) -> bool:
    """With a text that was found somewhere: is it a token, whose, and for what?"""
    claims = issuer_of(lab).claims(aud="https://mqtt.lab")
    for asker, secret in ((None, None), ("broker", "a guess"), ("mallory", "a guess")):
        try:
            if target(claims, asker, secret)["active"]:
                return True
        except PermissionError:
            continue
    return False


def _ask_as_the_broker(target: Any, lab: Any) -> bool:
    claims = issuer_of(lab).claims(aud="https://mqtt.lab")
    return target(claims, "broker", _ASKERS["broker"][0])["active"] is True


def _ask_the_server_as_a_stranger(lab: Any) -> bool:
    device, broker = lab.register(_NAME), lab.resource_server
    form = {"token": lab.token(_NAME)}

    def active(auth: tuple[str, str] | None) -> bool:
        answer = httpx.post(lab.introspection_endpoint, data=form, auth=auth, trust_env=False)
        return answer.json().get("active") is True

    if not active((broker.client_id, broker.client_secret or "")):
        raise RuntimeError("the server does not tell the broker")
    strangers = None, (broker.client_id, "a guess"), (device.client_id, device.client_secret or "")
    return any(active(each) for each in strangers)


ASKED: Sequence[Exhibit] = (
    Exhibit(
        id="T16",
        name="a copied refresh token",
        story="A thief has copied a refresh token, and uses it whenever she likes; device and server notice "
        "nothing.",
        stopped_by="a refresh token works once, and its second use ends the whole family",
        naive=_OneForEver,
        repaired=_OneAfterTheOther,
        attack=_use_a_copy,
        honest=_use_the_newest,
        real=_use_a_copy_at_the_server,
    ),
    Exhibit(
        id="T32",
        name="a herd",
        story="No thief is needed: after a power cut all devices get their tokens in one second, and come "
        "for the next in one second as well, again and again.",
        stopped_by="a random moment for each device",
        naive=_at_80_percent,
        repaired=_at_70_to_90_percent,
        attack=_wake_up_together,
        honest=_refresh_in_time,
        real=_wake_up_together_as_devices,
    ),
    Exhibit(
        id="T44",
        name="a server that answers everybody",
        story="A stranger has found a text that may be a token, and the introspection endpoint tells: it is, "
        "whose it is, and what it opens.",
        stopped_by="who asks has to log in, and hears of tokens for itself alone",
        naive=_answers_everybody,
        repaired=_answers_brokers,
        attack=_ask_as_a_stranger,
        honest=_ask_as_the_broker,
        real=_ask_the_server_as_a_stranger,
    ),
)
