"""Keep answers, for a while and never past exp."""

from collections.abc import Callable
from typing import Any, Final

from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right, try_answer
from labkit.exercises.lesson07.carried import introspect

__all__ = ["answer_for"]

NAME: Final = "check-sensor-2"
SHORT: Final = "check-sensor-3"


class _Asked:
    """Asks the live server, counts, and remembers what it handed out."""

    def __init__(self, lab: Any, *known: str) -> None:
        self._lab, self._known = lab, known
        self.answers: list[dict[str, Any]] = []

    def __call__(self, token: str) -> dict[str, Any]:
        if type(token) is not str or token not in self._known:
            raise ValueError("ask was given something else than the token")
        answer: dict[str, Any] = introspect(token, self._lab, self._lab.resource_server).json()
        self.answers.append(answer)
        return answer


def _made(
    until: Callable[[float, Any], float],
    fresh: Callable[[float, float], bool] = lambda now, until: now < until,
    one: bool = False,
) -> Callable[..., Any]:
    """The function of the exercise with other blanks, or with one place for all tokens: for wrong answers."""
    kept: dict[str, Any] = {}
    asked: list[Any] = []

    def answer_for(token: str, ask: Any, now: float) -> Any:
        if asked != [ask]:  # another check, perhaps in another lab: nothing is kept from the one before
            kept.clear()
            asked[:] = [ask]
        name = "" if one else token
        if name in kept and fresh(now, kept[name][0]):
            return kept[name][1]
        answer = ask(token)
        if answer.get("active") is True:
            kept[name] = until(now, answer), answer
        return answer

    return answer_for


@exercise(
    question=(
        "Complete the cache: an answer that says yes is used again for TTL seconds, but never at or after "
        "the token's exp; then the server is asked again."
    ),
    cell="""
def answer_for(token, ask, now):
    name = sha256(token.encode()).digest()
    if name in kept and ____:
        return kept[name][1]
    answer = ask(token)
    if answer.get("active") is True:
        kept[name] = ____, answer
    return answer


ex.answer_for.check(answer_for, lab)
""",
    solution="""
def answer_for(token, ask, now):
    name = sha256(token.encode()).digest()
    if name in kept and now < kept[name][0]:
        return kept[name][1]
    answer = ask(token)
    if answer.get("active") is True:
        kept[name] = min(now + TTL, answer["exp"]), answer
    return answer


ex.answer_for.check(answer_for, lab)
""",
    given="from hashlib import sha256\n\nTTL, kept = 10, {}",
    wrong=(
        Wrong(says="past its exp", answer=_made(lambda now, answer: now + 10)),
        Wrong(says="still works", answer=_made(lambda now, answer: answer["exp"])),
        Wrong(says="within TTL", answer=_made(lambda now, answer: min(now + 5, answer["exp"]))),
        Wrong(
            says="at 10 s sharp",
            answer=_made(lambda now, answer: min(now + 10, answer["exp"]), lambda now, until: now <= until),
        ),
        Wrong(says="1 s later it asks again", answer=_made(lambda now, answer: 10)),
        Wrong(says="the answer about another token", answer=_made(lambda now, answer: now + 10, one=True)),
        Wrong(says="never asks", answer=lambda token, ask, now: {"active": True}),
        Wrong(says="no answer that ask gave", answer=lambda token, ask, now: ask(token)["active"]),
        Wrong(says="hand over the function itself", answer=True),
    ),
    hints=(
        "Beside each answer stands a moment: until then it is used. First blank: has it come?",
        "Second blank: two moments bound it, now + TTL and the exp in the answer. Which of them counts?",
        'First: now < kept[name][0]. Second: the smaller of the two, min(now + TTL, answer["exp"]).',
    ),
    why=(
        'an answer "MUST NOT be cached beyond the time indicated" by exp (RFC 7662 §4). And TTL is how long '
        "a revoked token may live on: you choose it, and the server pays for it."
    ),
)
def answer_for(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(answer_for, lab).")
    lab.register(NAME, lifetime=300)
    lab.register(SHORT, lifetime=5)
    return (
        _bounded(answer, lab)
        or _expires(answer, lab)
        or right("one question serves 10 s, a revoked token lives 10 s longer, and none outlives its exp.")
    )


def _bounded(answer: Callable[..., Any], lab: Any) -> Result | None:
    """Kept for TTL, each token for itself, and asked about again after that."""
    token, other, start = lab.token(NAME), lab.token(NAME), lab.clock.now()
    ask = _Asked(lab, token, other)
    if problem := _problem(answer, ask, token, start):
        return not_yet(problem)
    if len(ask.answers) != 1 or ask.answers[0].get("active") is not True:
        return (
            _strange() if ask.answers else not_yet("it never asks: for a new token there is no answer yet.")
        )
    if problem := _problem(answer, ask, token, start + 1):
        return not_yet(problem)
    if len(ask.answers) > 1:
        return not_yet("the same token, and 1 s later it asks again. Nothing is kept, or not found.")
    if problem := _problem(answer, ask, other, start + 1):
        return not_yet(problem)
    if len(ask.answers) == 1:
        return not_yet("for a second token it returns the answer about another token.")
    if problem := _problem(answer, ask, token, start + 9):
        return not_yet(problem)
    if len(ask.answers) > 2:
        return not_yet("it asks again after 9 s, which is within TTL.")
    lab.revoke(NAME)
    if problem := _problem(answer, ask, token, start + 10):
        return not_yet(problem)
    if len(ask.answers) > 2:
        return None
    if problem := _problem(answer, ask, token, start + 11):
        return not_yet(problem)
    if len(ask.answers) > 2:
        return not_yet("at 10 s sharp it does not ask, and TTL is over then: not a moment more.")
    return not_yet(
        "a token that was revoked 11 s before still works: an answer lives for TTL, however late exp."
    )


def _expires(answer: Callable[..., Any], lab: Any) -> Result | None:
    """A token with less life than TTL."""
    token = lab.token(SHORT)
    ask = _Asked(lab, token)
    exp = ask(token).get("exp")
    if type(exp) is not int:
        return _strange()
    if problem := _problem(answer, ask, token, exp - 4) or _problem(answer, ask, token, exp - 1):
        return not_yet(problem)
    if len(ask.answers) > 2:
        return not_yet(
            "a token with 4 s to live is asked about twice in 3 s: within TTL, and before its exp."
        )
    lab.clock.advance(seconds=6)
    if problem := _problem(answer, ask, token, exp):
        return not_yet(problem)
    if len(ask.answers) < 3:
        return not_yet("an answer about a token is used past its exp: at exp the token is dead.")
    return None


def _problem(answer: Callable[..., Any], ask: _Asked, token: str, now: float) -> str:
    """What is wrong with what it returns, whether it asked or not; empty if nothing is."""
    got = try_answer(answer, token, ask, now)
    if any(got is each for each in ask.answers) or not ask.answers:
        return ""
    return f"it returns {brief(got)}: no answer that ask gave."


def _strange() -> Result:
    return cannot_tell("the server did not answer as it should. Run the set-up cell at the top again.")
