"""Break it: scopes that four careless authorization servers grant to a device that was never given them."""

from collections.abc import Callable
from typing import Any

import httpx

from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right
from labkit.topics import Permissions, covers

__all__ = ["wishes"]

NAME = "door-1"
OWN = f"devices/{NAME}/#"
REGISTERED = ("mqtt.connect", f"mqtt.publish:{OWN}")
_STARTS = ("mqtt.connect", "mqtt.publish:devices/door-1")
#: Whether a server gives what is asked for, a list of scopes.
SERVERS: dict[int, Callable[[list[str]], bool]] = {
    1: lambda asked: asked[0] in REGISTERED,
    2: lambda asked: all(scope.startswith(_STARTS) for scope in asked),
    3: lambda asked: all(scope.split(":")[-1] in ("mqtt.connect", OWN) for scope in asked),
    4: lambda asked: "mqtt.publish:#" not in asked,
}
BROKEN = {
    1: "mqtt.connect mqtt.publish:#",
    2: "mqtt.publish:devices/door-10/#",
    3: "mqtt.subscribe:devices/door-1/#",
    4: "mqtt.publish:devices/#",
}
ABOUT = {
    1: "it looks at one scope. Which one, and what of the others?",
    2: "each scope has to begin like one of the registered ones. What may come after that?",
    3: "it looks at what comes after the last colon. What of the part before?",
    4: "that one scope is forbidden. Which others are as wide?",
}


@exercise(
    question=(
        "Each of the four servers gives a scope with a right that door-1 was not registered for. What does "
        "the thief ask for, at each?"
    ),
    cell="""
wishes = {
    1: ____,
    2: ____,
    3: ____,
    4: ____,
}
ex.wishes.check(wishes, lab)
""",
    solution="""
wishes = {
    1: "mqtt.connect mqtt.publish:#",
    2: "mqtt.publish:devices/door-10/#",
    3: "mqtt.subscribe:devices/door-1/#",
    4: "mqtt.publish:devices/#",
}
ex.wishes.check(wishes, lab)
""",
    wrong=(
        Wrong(says="Which one, and what of the others?", answer=BROKEN | {1: "mqtt.publish:#"}),
        Wrong(says="What may come after that?", answer=BROKEN | {2: "mqtt.publish:#"}),
        Wrong(says="What of the part before?", answer=BROKEN | {3: "mqtt.publish:#"}),
        Wrong(says="Which others are as wide?", answer=BROKEN | {4: "mqtt.publish:#"}),
        Wrong(
            says="is no more than door-1 was registered for",
            answer=BROKEN | {1: "mqtt.connect"},
        ),
        Wrong(says="means nothing to a broker: 'mqtt.admin'", answer=BROKEN | {4: "mqtt.admin"}),
        Wrong(says="one text for each", answer={1: "mqtt.publish:#"}),
        Wrong(says="one space between two", answer=BROKEN | {1: ["mqtt.connect", "mqtt.publish:#"]}),
    ),
    hints=(
        "Ask of each server: what of the wish does it not look at?",
        "1 looks at the first scope only. 2 looks at beginnings. 3 forgets what may be done with the topic. "
        "4 knows a single bad wish.",
        "1: a good scope first, then mqtt.publish:#. 2: a door whose name begins like this one. 3: subscribe "
        "in place of publish. 4: nearly everything, such as devices/#.",
    ),
    why=(
        "a scope is granted when all of it is inside what was registered, each scope as a whole. A list of "
        "what is forbidden is never complete (RFC 6749 §3.3: the server may give less than it is asked for)."
    ),
)
def wishes(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(SERVERS):
        return not_yet("give one text for each of the servers 1 to 4.")
    for number, grants in SERVERS.items():
        wish = answer[number]
        if type(wish) is not str or not _well_formed(wish):
            return not_yet(
                f"server {number} is asked for one text of scopes, with one space between two of them, and "
                f"not for {brief(wish)}."
            )
        if not grants(wish.split(" ")):
            return not_yet(f"server {number} refuses {brief(wish)}: {ABOUT[number]}")
        if not _is_more(wish.split(" ")):
            return not_yet(
                f"what server {number} gives is no more than door-1 was registered for, or means nothing to "
                f"a broker: {brief(wish)}."
            )
    known = lab.register(NAME, publish=[OWN], subscribe=[])
    auth = known.client_id, known.client_secret
    if not _gets(lab, auth, " ".join(REGISTERED)) or any(_gets(lab, auth, wish) for wish in answer.values()):
        return cannot_tell("the lab's server decided otherwise. Run the set-up cell at the top again.")
    return right("four servers broken. The lab's own refuses all four wishes, and gives what is registered.")


def _well_formed(wish: str) -> bool:
    return len(wish) <= 200 and wish.isascii() and wish.isprintable() and all(wish.split(" "))


def _is_more(scopes: list[str]) -> bool:
    wanted = Permissions.from_scopes(scopes)
    return bool(wanted.subscribe) or any(not covers(OWN, topic) for topic in wanted.publish)


def _gets(lab: Any, auth: tuple[str, str], scope: str) -> bool:
    form = {"grant_type": "client_credentials", "scope": scope}
    answer = httpx.post(lab.token_endpoint, data=form, auth=auth, trust_env=False)
    return answer.status_code == 200
