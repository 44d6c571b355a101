"""Decide by what the authorization server answers."""

from collections.abc import Iterator
from typing import Any, Final

import httpx

from labkit.exercises import (
    AnswerFailed,
    Result,
    Wrong,
    brief,
    cannot_tell,
    exercise,
    name_of,
    not_yet,
    right,
    try_answer,
)
from labkit.exercises.lesson07.carried import introspect

__all__ = ["lets_in"]

NAME: Final = "check-sensor-1"
#: Answers that are no yes, made to order by the lab's server: the body, and what to say who takes them.
ORDERED: Final[tuple[tuple[bytes, str], ...]] = (
    (b'{"active": "true"}', 'the text "true" counts as a yes: only JSON true does.'),
    (b'{"active": 1}', "the number 1 counts as a yes, and in Python 1 == True: ask with `is`."),
    (
        b'{"active": "false"}',
        'the text "false" counts as a yes: every text that is not empty is truthy.',
    ),
    (
        b'{"active": false, "scope": "mqtt.connect", "exp": 9999999999}',
        "a no with other claims beside it counts as a yes.",
    ),
    (b'{"error": "server_error"}', "an answer without `active` counts as a yes."),
    (b"<html>It works!</html>", "a web page counts as a yes: no answer is no yes."),
)
WRONG_STATUS: Final = "an answer that came with status {} counts as a yes: 200 is the only one."


@exercise(
    question=(
        "Complete the function: it takes the HTTP status of the server's answer and the JSON object in it, "
        "and returns True if the token is good, and False in every other case."
    ),
    cell="""
def lets_in(status, answer):
    return ____


ex.lets_in.check(lets_in, lab)
""",
    solution="""
def lets_in(status, answer):
    return status == 200 and answer.get("active") is True


ex.lets_in.check(lets_in, lab)
""",
    wrong=(
        Wrong(says='the text "true" counts', answer=lambda s, a: s == 200 and bool(a.get("active"))),
        Wrong(says="the number 1 counts", answer=lambda s, a: s == 200 and a.get("active") == True),  # noqa: E712
        Wrong(says="without `active` counts", answer=lambda s, a: s == 200 and a.get("active", True) is True),
        Wrong(says="a web page counts", answer=lambda s, a: s == 200 and (not a or a.get("active") is True)),
        Wrong(says="came with status 500", answer=lambda s, a: a.get("active") is True),
        Wrong(says="a revoked token gets in", answer=lambda s, a: s == 200),
        Wrong(says="a good token stays out", answer=lambda s, a: False),
        Wrong(says="returns a dict", answer=lambda s, a: a),
        Wrong(says="falls over", answer=lambda s, a: s == 200 and a["active"] is True),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "Two things have to be true: one of the status, one of `active`.",
        'answer.get("active") is None when there is no `active`; answer["active"] falls over then.',
        "`is True` is stricter than `== True`, and much stricter than a bare `if`.",
    ),
    why=(
        '`active` is a JSON boolean (RFC 7662 §2.2). A text that says "true" comes from a server that is '
        "broken, or is not the one you mean; and nothing at all is never a yes."
    ),
)
def lets_in(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(lets_in, lab).")
    lab.register(NAME)
    token = lab.token(NAME)
    good = _asked(lab, token)
    lab.revoke(NAME)
    revoked = _asked(lab, token)
    if good.json().get("active") is not True or revoked.json() != {"active": False}:
        return cannot_tell("the server did not answer as it should. Run the set-up cell at the top again.")
    verdict = try_answer(answer, 200, good.json())
    if type(verdict) is not bool:
        return not_yet(f"for a good token it returns {brief(verdict)}: True or False is wanted.")
    if not verdict:
        return not_yet("a good token stays out: status 200, and `active` is true.")
    refused = [
        *_no_yes(lab, token, revoked),
        *((status, good.json(), "a yes", WRONG_STATUS.format(status)) for status in (500, 401, 201)),
    ]
    for status, said, what, message in refused:
        try:
            verdict = try_answer(answer, status, said)
        except AnswerFailed as failed:
            name = name_of(type(failed.__cause__))
            return not_yet(f"it falls over status {status} with {what}: {name}. Each needs a verdict.")
        if type(verdict) is not bool:
            return not_yet(f"for status {status} with {what} it returns {brief(verdict)}: no True or False.")
        if verdict:
            return not_yet(message)
    return right(f"one yes, and {len(refused)} answers that are none.")


def _no_yes(lab: Any, token: str, revoked: httpx.Response) -> Iterator[tuple[int, dict[str, Any], str, str]]:
    """Live answers that are no yes: status, JSON object, what it is, and what to say who takes it for one."""
    message = "a revoked token gets in: the status is 200 there, too. What does `active` say?"
    yield revoked.status_code, revoked.json(), "a no", message
    for body, message in ORDERED:
        with lab.authserver.faults.garbage(body, path=lab.introspection_endpoint):
            reply = _asked(lab, token)
        yield reply.status_code, _object(reply), body.decode(), message
    with lab.authserver.faults.status(503, path=lab.introspection_endpoint):
        reply = _asked(lab, token)
    yield reply.status_code, _object(reply), "no yes", "a server that is overloaded (503) counts as a yes."


def _asked(lab: Any, token: str) -> httpx.Response:
    return introspect(token, lab, lab.resource_server)


def _object(reply: httpx.Response) -> dict[str, Any]:
    """The JSON object in an answer; empty, where there is none."""
    try:
        found = reply.json()
    except ValueError:
        return {}
    return found if type(found) is dict else {}
