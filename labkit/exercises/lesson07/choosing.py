"""Choose mode and ttl for three places, and have the broker of each run with them."""

from typing import Any, Final

from labkit.exercises import Result, Wrong, exercise, not_yet, right
from labkit.exercises.lesson07.measuring import requests_for_logins
from labkit.exercises.lesson07.standing import Visit, code_for, standing
from labkit.tokens import MODES

__all__ = ["settings"]

RIGHT: Final = {"door": ("both", 5), "ship": ("jwt", 0), "buses": ("introspection", 45)}
NAME: Final = "check-place-1"
OTHER: Final = "check-place-2"
_DOOR, _OUTAGE, _BUSES, _REQUESTS = 10, 2400, 60, 20


@exercise(
    question=(
        "Three places, and nobody there who tells the broker of revoked tokens: choose a mode and a ttl in "
        "seconds for each."
    ),
    cell="""
settings = {
    "door": (____, ____),
    "ship": (____, ____),
    "buses": (____, ____),
}
ex.settings.check(settings)
""",
    solution="""
settings = {
    "door": ("both", 5),
    "ship": ("jwt", 0),
    "buses": ("introspection", 45),
}
ex.settings.check(settings)
""",
    wrong=(
        Wrong(says="its connection is still open 10 s after", answer=RIGHT | {"door": ("jwt", 5)}),
        Wrong(says="it still opens 10 s after", answer=RIGHT | {"door": ("both", 30)}),
        Wrong(says="every 0 s", answer=RIGHT | {"door": ("introspection", 0)}),
        Wrong(says="whom the broker has not seen before", answer=RIGHT | {"ship": ("introspection", 3600)}),
        Wrong(says="an opaque token says nothing by itself", answer=RIGHT | {"buses": ("both", 45)}),
        Wrong(says="100 logins cost 52 requests", answer=RIGHT | {"buses": ("introspection", 10)}),
        Wrong(says="a minute after the revocation", answer=RIGHT | {"buses": ("introspection", 300)}),
        Wrong(says="for each of the three places", answer={"door": ("both", 5)}),
        Wrong(says="a mode and a number", answer=RIGHT | {"door": "both"}),
        Wrong(says="one of the three modes", answer=RIGHT | {"door": ("push", 5)}),
        Wrong(says="a number of seconds from 0 to 3600", answer=RIGHT | {"door": ("both", "5 s")}),
    ),
    hints=(
        "For each place ask: may the broker depend on the server at this moment, and how long may a no take?",
        "The ship must not depend on it. An opaque token cannot do without it. A ttl bounds both others.",
        "The door: both or introspection, 1 to 10 s. The ship: jwt. The buses: introspection, 29 to 60 s.",
    ),
    why=(
        "whoever asks, learns of a revocation and depends on the server; whoever does not ask, depends on "
        "nobody and learns nothing before exp. The ttl lies between: RFC 7662 §4 leaves the choice to you."
    ),
)
def settings(answer: Any) -> Result:
    if type(answer) is not dict or any(type(key) is not str for key in answer) or set(answer) != set(RIGHT):
        return not_yet('give a mode and a ttl for each of the three places: "door", "ship" and "buses".')
    for place, chosen in answer.items():
        if problem := _malformed(place, chosen):
            return not_yet(problem)
    problem = _door(*answer["door"]) or _ship(*answer["ship"]) or _buses(*answer["buses"])
    if problem:
        return not_yet(problem)
    return right("each of the three ran with your settings: the no came in time, and the yes came at sea.")


def _malformed(place: str, chosen: Any) -> str:
    if type(chosen) is not tuple or len(chosen) != 2:
        return f'{place}: a mode and a number in parentheses, such as ("jwt", 30).'
    mode, ttl = chosen
    if type(mode) is not str or mode not in MODES:
        return f'{place}: choose one of the three modes, "jwt", "introspection" or "both".'
    if type(ttl) not in (int, float) or not 0 <= ttl <= 3600:
        return f"{place}: the ttl is a number of seconds from 0 to 3600."
    if ttl < 1 and mode != "jwt":
        return f"{place}: nobody can ask again about a connection every {ttl:g} s. Give it 1 s or more."
    return ""


def _options(mode: str, ttl: float) -> dict[str, Any]:
    return {"validation": mode, "introspection_ttl": ttl, "push_revocation": False}


def _door(mode: str, ttl: float) -> str:
    with standing(**_options(mode, ttl)) as lab:
        for name in (NAME, OTHER):
            lab.register(name, lifetime=3600)
        token, other = lab.token(NAME), lab.token(OTHER)
        lab.clock.advance(seconds=1)  # who revokes all tokens of a client means those of earlier seconds
        code_for(lab, NAME, token)
        with Visit(lab, OTHER, other) as visit:
            lab.revoke(NAME)
            lab.revoke(OTHER)
            lab.clock.advance(seconds=_DOOR)
            alive = visit.alive
        opens = code_for(lab, NAME, token) == 0
    if alive and mode == "jwt":
        return f"door: a token is revoked, and its connection is still open {_DOOR} s after: who would tell?"
    if alive or opens:
        return f"door: a token is revoked, and it still opens {_DOOR} s after, by an answer from before."
    return ""


def _ship(mode: str, ttl: float) -> str:
    with standing(**_options(mode, ttl)) as lab:
        for name in (NAME, OTHER):
            lab.register(name, lifetime=3600)
        token, other = lab.token(NAME), lab.token(OTHER)
        code_for(lab, NAME, token)
        lab.authserver.stop()
        lab.clock.advance(seconds=_OUTAGE)
        codes = [code_for(lab, NAME, token), code_for(lab, OTHER, other)]
    if codes[0] != 0:
        return f"ship: {_OUTAGE // 60} minutes at sea, and a good token gets code {codes[0]}: nobody to ask."
    if codes[1] != 0:
        return f"ship: a device whom the broker has not seen before gets code {codes[1]}: nobody to ask."
    return ""


def _buses(mode: str, ttl: float) -> str:
    if mode != "introspection":
        return f"buses: an opaque token says nothing by itself, and mode {mode} has to read it."
    with standing(**_options(mode, ttl), token_format="opaque") as lab:  # noqa: S106  # a format
        requests = requests_for_logins(lab)
        lab.register(NAME, lifetime=3600)
        token = lab.token(NAME)
        lab.clock.advance(seconds=1)
        code_for(lab, NAME, token)
        lab.revoke(NAME)
        lab.clock.advance(seconds=_BUSES)
        alive = code_for(lab, NAME, token) == 0
    if requests > _REQUESTS:
        return f"buses: 100 logins cost {requests} requests, and the server grants {_REQUESTS}."
    if alive:
        return "buses: a token still works a minute after the revocation."
    return ""
