"""How much leeway two wrong clocks take."""

from typing import Any

from labkit.exercises import Result, Wrong, brief, cannot_tell, exercise, not_yet, right
from labkit.tokens import TokenValidator

__all__ = ["leeway"]

AHEAD, BEHIND = 15, 20  # seconds: the authorization server's clock, the broker's
MOST = 300


def _refusal(lab: Any, seconds: int) -> str | None:
    """Why a broker whose clock is so far behind the server's refuses a fresh token, with that leeway."""
    lab.register("check-skew")
    clock = lab.clock.skewed(-(AHEAD + BEHIND))
    validator = TokenValidator(lab.issuer, lab.audience, lab.keys, leeway=seconds, clock=clock)
    refusal = validator.explain(lab.token("check-skew"), client_id="check-skew").refusal
    return None if refusal is None else refusal.reason


@exercise(
    question=(
        "The clock of an authorization server is 15 s ahead of the right time, that of a broker 20 s behind. "
        "Which leeway, in whole seconds, is the smallest with which the broker lets in a fresh token at once?"
    ),
    cell="leeway = ____\n\nex.leeway.check(leeway, lab)",
    solution="leeway = 15 + 20\n\nex.leeway.check(leeway, lab)",
    wrong=(
        Wrong(says="they add up", answer=5),
        Wrong(says="only the broker's clock", answer=20),
        Wrong(says="only the server's clock", answer=15),
        Wrong(says="issued-in-future", answer=34),
        Wrong(says="25 s longer than it has to", answer=60),
        Wrong(says="a whole number of seconds", answer="35 s"),
        Wrong(says="0 to 300", answer=3600),
    ),
    hints=(
        "It is noon. What does the clock of each show?",
        "The server writes iat by its clock: 12:00:15. The broker's shows 11:59:40.",
        "The leeway has to cover the whole way from 11:59:40 to 12:00:15.",
    ),
    why=(
        "a leeway covers the difference between two clocks, and the worst case is two errors in opposite "
        "directions. Each second of it is also a second more for every token, a stolen one too: better set "
        "the clocks right, and keep the leeway small."
    ),
)
def leeway(answer: Any, lab: Any) -> Result:
    if type(answer) is not int or not 0 <= answer <= MOST:
        return not_yet(f"give a whole number of seconds from 0 to {MOST}.")
    if answer == BEHIND - AHEAD:
        return not_yet(
            "the two clocks are wrong in opposite directions: the errors do not cancel, they add up."
        )
    if answer in (AHEAD, BEHIND):
        return not_yet(f"that makes up for only the {'server' if answer == AHEAD else 'broker'}'s clock.")
    if answer > AHEAD + BEHIND:
        return not_yet(f"it works, and every token lives {answer - AHEAD - BEHIND} s longer than it has to.")
    refusal = _refusal(lab, answer)
    if answer < AHEAD + BEHIND:
        if refusal is None:
            return cannot_tell("the broker let a token in that it should not. Run the set-up cell again.")
        return not_yet(f"with {brief(answer)} s the broker refused such a token just now: {refusal}.")
    if refusal is not None:
        return cannot_tell(f"the broker refused the token: {refusal}. Run the set-up cell at the top again.")
    return right("a broker with clocks that far apart let a fresh token in, and with 34 s it does not.")
