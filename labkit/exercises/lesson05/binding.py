"""Write the check that binds a token to a client id, and break four that look like it."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from labkit.exercises import (
    AnswerFailed,
    Result,
    Wrong,
    brief,
    cannot_tell,
    exercise,
    not_yet,
    right,
    try_answer,
)
from labkit.exercises.lesson05.knocking import knock

__all__ = ["impostors", "may_connect"]

OWNER = "check-thermostat-1"
TOPICS = ("devices/check/#",)

#: Client ids that are not the owner's, each with what to say when the learner's check takes it for the owner.
OTHERS = {
    "mallory": "a token of {owner} gets in as mallory: the claim and the client id have to be compared.",
    OWNER.upper(): "{shown} gets in: upper and lower case make different devices (RFC 7519 §7.3).",
    OWNER + "0": "{shown} gets in with a token of {owner}: the beginning is not enough.",
    OWNER[:-2]: "{shown} gets in with a token of {owner}: a part of the name is not enough.",
    OWNER + " ": "{shown}, with a space at the end, gets in: leave the client id as it came.",
    OWNER[:-1] + "\uff11": "{shown} gets in: it looks like a 1, and is another character. Do not normalise.",
}


@exercise(
    question=(
        "Complete the check: it takes the claims of a good token, a dict, and the client id from CONNECT, "
        "and returns True if this client may use this token, and False if not."
    ),
    cell="""
def may_connect(claims, client_id):
    return ____


ex.may_connect.check(may_connect, lab)
""",
    solution="""
def may_connect(claims, client_id):
    return claims["client_id"] == client_id


ex.may_connect.check(may_connect, lab)
""",
    wrong=(
        Wrong(says="gets in as mallory", answer=lambda claims, client_id: True),
        Wrong(says="was its own", answer=lambda claims, client_id: False),
        Wrong(
            says="upper and lower case",
            answer=lambda claims, client_id: claims["client_id"].lower() == client_id.lower(),
        ),
        Wrong(
            says="the beginning is not enough",
            answer=lambda claims, client_id: client_id.startswith(claims["client_id"]),
        ),
        Wrong(
            says="a part of the name is not enough",
            answer=lambda claims, client_id: client_id in claims["client_id"],
        ),
        Wrong(
            says="with a space at the end",
            answer=lambda claims, client_id: claims["client_id"] == client_id.strip(),
        ),
        Wrong(
            says="Do not normalise",
            answer=lambda claims, client_id: (
                claims["client_id"] == unicodedata.normalize("NFKC", client_id.rstrip("\n"))
                and not client_id.endswith(" ")
            ),
        ),
        Wrong(says="sub names the owner", answer=lambda claims, client_id: claims["sub"] == client_id),
        Wrong(
            says="gets in as alice",
            answer=lambda claims, client_id: client_id in (claims.get("client_id"), claims["sub"]),
        ),
        Wrong(
            says="without a client_id claim",
            answer=lambda claims, client_id: claims.get("client_id", client_id) == client_id,
        ),
        Wrong(says="True or False", answer=lambda claims, client_id: "yes"),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "One claim says which client asked for the token. Which, and what has to be true of it?",
        "sub is for whom the token acts, which may be a person. The client stands in client_id.",
        'Equal, and nothing else: claims["client_id"] == client_id.',
    ),
    why=(
        "any rule but equality, character by character, makes two names one, and whoever can get the "
        "second name gets the rights of the first."
    ),
)
def may_connect(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(may_connect, lab).")
    lab.register(OWNER)
    claims = dict(lab.validator.validate(lab.token(OWNER)).claims)

    own = try_answer(answer, dict(claims), OWNER)
    if type(own) is not bool:
        return not_yet(f"it returns {brief(own)}: True or False is wanted.")
    if not own:
        return not_yet(
            f"{OWNER} is refused with a token that was its own. Is the right claim compared, and with ==?"
        )
    for client_id, message in OTHERS.items():
        if _lets_in(answer, claims, client_id):
            return not_yet(message.format(owner=OWNER, shown=ascii(client_id).strip("'")))
    if not _lets_in(answer, claims | {"sub": "alice"}, OWNER):
        return not_yet("a camera acts for alice, and is refused: there, sub names the owner and no client.")
    if _lets_in(answer, claims | {"sub": "alice"}, "alice"):
        return not_yet(
            "a token that a camera got for alice gets in as alice: only client_id names the client."
        )
    without = {name: value for name, value in claims.items() if name != "client_id"}
    if any(_lets_in(answer, without, name) for name in ("mallory", "")):
        return not_yet("a token without a client_id claim gets in: what is missing is equal to nothing.")
    return right(f"it lets {OWNER} in, and {len(OTHERS)} that look like it or use its token stay outside.")


def _lets_in(answer: Callable[..., Any], claims: Mapping[str, Any], client_id: str) -> bool:
    try:
        said = try_answer(answer, dict(claims), client_id)
    except AnswerFailed:
        return False  # a check that fails lets nobody in
    if type(said) is not bool:
        raise AnswerFailed from TypeError(f"for {client_id!a} it returned {brief(said)}")
    return said


VICTIM = "thermostat-1"
CHECKS: dict[int, Callable[[str], bool]] = {
    1: lambda client_id: client_id.lower() == VICTIM.lower(),
    2: lambda client_id: client_id.startswith(VICTIM),
    3: lambda client_id: client_id in VICTIM,
    4: lambda client_id: unicodedata.normalize("NFKC", client_id) == VICTIM,
}
BROKEN = {1: "Thermostat-1", 2: "thermostat-10", 3: "thermostat", 4: "thermostat-\uff11"}


@exercise(
    question=(
        "Each of the four checks lets somebody in who is not thermostat-1, with a token of thermostat-1. "
        "Give a client id for each."
    ),
    cell="""
impostors = {
    1: ____,
    2: ____,
    3: ____,
    4: ____,
}
ex.impostors.check(impostors, lab)
""",
    solution="""
impostors = {
    1: "Thermostat-1",
    2: "thermostat-10",
    3: "thermostat",
    4: "thermostat-\\uff11",
}
ex.impostors.check(impostors, lab)
""",
    wrong=(
        Wrong(says="is the device itself", answer=BROKEN | {2: VICTIM}),
        Wrong(says="check 1 turns 'mallory' away: what does lower()", answer=BROKEN | {1: "mallory"}),
        Wrong(says="check 2 turns 'my-thermostat-1' away", answer=BROKEN | {2: "my-thermostat-1"}),
        Wrong(says="check 3 turns 'thermostat-10' away", answer=BROKEN | {3: "thermostat-10"}),
        Wrong(says="check 4 turns 'THERMOSTAT-1' away", answer=BROKEN | {4: "THERMOSTAT-1"}),
        Wrong(says="one client id for each", answer={1: "Thermostat-1"}),
        Wrong(says="is no text that could travel", answer=BROKEN | {1: 7}),
    ),
    hints=(
        "Ask of each check: which different texts does it treat as the same?",
        "1: case. 2: what may follow the name? 3: which texts are parts of it? 4: a raised or circled 1?",
        'NFKC turns compatible characters into plain ones: "\\uff11", "\\u00b9" and "\\u2460" all become 1.',
    ),
    why=(
        "every rule that is more generous than equality makes one device out of two. The lab's broker "
        "compares character by character, and so it refused all four."
    ),
)
def impostors(answer: Any, lab: Any) -> Result:
    if type(answer) is not dict or set(answer) != set(CHECKS):
        return not_yet("give one client id for each of the checks 1 to 4.")
    for number, check in CHECKS.items():
        client_id = answer[number]
        if type(client_id) is not str or not _can_travel(client_id):
            return not_yet(f"what you give for check {number} is no text that could travel as a client id.")
        if client_id == VICTIM:
            return not_yet(f"{VICTIM} is the device itself. Who else does check {number} let in?")
        if not check(client_id):
            return not_yet(f"check {number} turns {client_id[:40]!a} away: {ABOUT[number]}")
    lab.register(VICTIM)
    token = lab.token(VICTIM)
    codes = [knock(lab, client_id, token) for client_id in answer.values()]
    if 0 in codes:
        return cannot_tell("the lab's own broker let one of them in. Run the set-up cell at the top again.")
    return right(f"all four get in. The lab's broker answers them {', '.join(map(str, codes))}.")


ABOUT = {
    1: "what does lower() make equal?",
    2: "the name has to stand at the beginning. What may come after it?",
    3: "`in` looks for a part. Which parts does the name have?",
    4: "NFKC leaves case and other alphabets alone. It knows raised, circled and wide letters and digits.",
}


def _can_travel(client_id: str) -> bool:
    try:
        return len(client_id.encode()) <= 1000 and "\0" not in client_id
    except UnicodeEncodeError:
        return False
