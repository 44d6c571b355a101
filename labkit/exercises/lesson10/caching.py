"""Write a key cache that a flood, a slow server and a broken one leave alone."""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any

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
from labkit.tokens.fetch import Endpoint, FetchFailed

__all__ = ["find"]

INTERVAL, AGE = 30, 300  # seconds
MOST = 1 + 180 // INTERVAL
OLD: Mapping[str, str] = {"key-1": "the first key"}
NEW: Mapping[str, str] = {"key-2": "the second key"}
#: When somebody asks for which key, what fetch() then does, whether it should be called, what comes back, and
#: what to say when it does not.  The last request before each line is that of an earlier line.
STEPS: tuple[tuple[float, str, Mapping[str, str] | None, bool, str | None, str], ...] = (
    (0, "key-1", OLD, True, "the first key", "the cache is empty, so the set has to be fetched."),
    (10, "key-1", OLD, False, "the first key", "it asked 10 s ago for this very key. Is that written down?"),
    (15, "key-9", OLD, False, None, "the last request was only 15 s ago."),
    (29, "key-8", OLD, False, None, "strangers bring ever new key ids, and the last request was 29 s ago."),
    (30, "key-7", OLD, True, None, "it is unknown, and the last request was 30 s ago: it may be a new key."),
    (70, "key-1", None, False, "the first key", "it is known: however broken the server is, nobody asks it."),
    (70, "key-7", None, True, None, "it is unknown, and the last request was 40 s ago."),
    (71, "key-7", None, False, None, "a request failed 1 s ago: do not hammer the server, count attempts."),
    (72, "key-1", None, False, "the first key", "a failed request must leave the old keys in use."),
    (100, "key-2", NEW, True, "the second key", "it is unknown, and the last request was 30 s ago."),
    (399, "key-2", NEW, False, "the second key", "it is known, and the set is 299 s old."),
    (400, "key-2", OLD, True, None, "the set is 300 s old: fetch it, as this key may have been retired."),
    (700, "key-1", None, True, "the first key", "the set is 300 s old; when no newer can be had, keep it."),
    (720, "key-1", None, False, "the first key", "a request failed 20 s ago, so this is too early."),
)  # fmt: skip


def _cache() -> dict[str, Any]:
    return {"keys": {}, "asked": -math.inf}


def _objection(answer: Any) -> str:
    """What is wrong with the learner's function on a day of troubles; nothing if it does well."""
    cache, calls = _cache(), 0
    for at, kid, served, due, wanted, why in STEPS:
        before = calls

        def fetch(served: Mapping[str, str] | None = served) -> dict[str, str]:
            nonlocal calls
            calls += 1
            if served is None:
                raise OSError("HTTP 503")
            return dict(served)

        moment = f"after {at:g} s, {kid}"
        try:
            found = try_answer(answer, kid, cache, fetch, at)
        except AnswerFailed as failed:
            kind = type(failed.__cause__)
            told = "the error of fetch() came out" if kind is OSError else f"it raised {name_of(kind)}"
            return f"{moment}: {told}, but {why}"
        if calls - before > due:
            return f"{moment}: it called fetch(), but {why}"
        if calls - before < due:
            return f"{moment}: it did not call fetch(), but {why}"
        if type(found) not in (str, type(None)) or found != wanted:
            return f"{moment}: it returned {brief(found)} and not {brief(wanted)}, but {why}"
    return ""


def _flood(answer: Any, lab: Any) -> tuple[int, int]:
    """1800 strangers in 180 s at the lab's server while it is broken in three ways, and an honest key.

    How many requests they cost, and how many times the honest key was not found.
    """
    requests = missed = 0
    cache = _cache()
    known = next(key.kid for key in lab.authserver.keys if key.role == "current")
    with contextlib.closing(Endpoint(lab.jwks_uri)) as endpoint:

        def fetch() -> dict[str, Any]:
            nonlocal requests
            requests += 1
            try:
                return {jwk["kid"]: jwk for jwk in endpoint.get()["keys"]}
            except FetchFailed as failure:
                raise OSError(str(failure)) from None

        try_answer(answer, known, cache, fetch, 0)
        faults = lab.authserver.faults
        for minute, order in enumerate((faults.status, faults.garbage, faults.drop)):
            with order(path=lab.jwks_uri):
                for number in range(600):
                    now = 60 * minute + number / 10
                    try_answer(answer, f"key-{minute}-{number}", cache, fetch, now)
                    honest = try_answer(answer, known, cache, fetch, now)
                    missed += type(honest) is not dict or honest.get("kid") != known
    return requests, missed


def _like(
    due: Callable[[str, dict[str, Any], float], bool] | None = None,
    first: bool = True,
    failed: Callable[[dict[str, Any]], Any] = lambda cache: None,
) -> Any:
    """A wrong answer: the solution with another condition, another order, or another end of a failure."""

    def answer(kid: str, cache: dict[str, Any], fetch: Any, now: float) -> Any:
        since = now - cache["asked"]
        wanted = since >= AGE or (kid not in cache["keys"] and since >= INTERVAL)
        if due(kid, cache, since) if due else wanted:
            if first:
                cache["asked"] = now
            try:
                cache["keys"] = fetch()
                cache["asked"] = now
            except OSError:
                failed(cache)
        return cache["keys"].get(kid)

    return answer


def _raise(cache: dict[str, Any]) -> None:
    raise OSError


@exercise(
    question=(
        "Complete the key cache. An unknown key has the set fetched, unless a request was made less than "
        "30 s ago. When the last request is 300 s old, any key does. While requests fail, the old keys "
        "stay in use."
    ),
    cell="""
def find(kid, cache, fetch, now):
    since = now - cache["asked"]
    if since >= 300 or ____:
        ____
        try:
            cache["keys"] = fetch()
        except OSError:
            ____
    return cache["keys"].get(kid)


ex.find.check(find, lab)
""",
    solution="""
def find(kid, cache, fetch, now):
    since = now - cache["asked"]
    if since >= 300 or (since >= 30 and kid not in cache["keys"]):
        cache["asked"] = now
        try:
            cache["keys"] = fetch()
        except OSError:
            pass
    return cache["keys"].get(kid)


ex.find.check(find, lab)
""",
    wrong=(
        Wrong(
            says="the last request was only 15 s ago",
            answer=_like(due=lambda kid, cache, since: kid not in cache["keys"] or since >= AGE),
        ),
        Wrong(says="Is that written down?", answer=_like(due=lambda kid, cache, since: True)),
        Wrong(
            says="it is known: however broken",
            answer=_like(due=lambda kid, cache, since: since >= INTERVAL),
        ),
        Wrong(
            says="it may be a new key",
            answer=_like(due=lambda kid, cache, since: since >= AGE),
        ),
        Wrong(says="count attempts", answer=_like(first=False)),
        Wrong(
            says="a failed request must leave the old keys in use",
            answer=_like(failed=lambda cache: cache.update(keys={})),
        ),
        Wrong(says="the error of fetch() came out", answer=_like(failed=_raise)),
        Wrong(
            says="may have been retired",
            answer=_like(due=lambda kid, cache, since: kid not in cache["keys"] and since >= INTERVAL),
        ),
        Wrong(says="hand over the function itself", answer="find"),
    ),
    hints=(
        "The second reason to fetch has two parts: the key is unknown, and the last request is not too "
        "young. Then write down that you ask, and only then ask.",
        'kid not in cache["keys"] is the first part. What does cache["asked"] have to be, so that since is '
        "right the next time, even if fetch() fails?",
        'The condition: (since >= 30 and kid not in cache["keys"]). Then cache["asked"] = now. After a '
        "failure there is nothing to do: pass.",
    ),
    why=(
        "whoever knocks chooses the key id, so the interval is all that stands between strangers and the "
        "server. It counts attempts, or a server in trouble gets the most requests of all. And old keys are "
        "better than none: what they verify was signed by the issuer."
    ),
)
def find(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(find, lab).")
    if objection := _objection(answer):
        return not_yet(objection)
    requests, missed = _flood(answer, lab)
    if missed:
        return not_yet(f"while the lab's server was broken, a good key was not found {missed} times.")
    if requests > MOST:
        return not_yet(f"1800 strangers in 180 s cost the lab's server {requests} requests; {MOST} will do.")
    if requests < 2:
        return cannot_tell("the lab's server was not asked. Run the set-up cell at the top again.")
    return right(
        f"1800 strangers in 180 s cost the lab's broken server {requests} requests, and the good key was "
        "found every time."
    )
