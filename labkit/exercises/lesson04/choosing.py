"""Choose a lifetime for a fleet."""

from typing import Any

from labkit.exercises import Result, Wrong, exercise, not_yet, right

__all__ = ["lifetime"]

DEVICES, REQUESTS, OUTAGE, EXPOSURE = 20_000, 50, 120, 900
REFRESH_AT = 0.8


@exercise(
    question=(
        "Choose a lifetime in seconds for a fleet of 20,000 devices that refresh after 80 % of it: a stolen "
        "token is good for 15 minutes at most, a server that is away for 2 minutes costs no connection, and "
        "the server can make 50 tokens a second."
    ),
    cell="lifetime = ____\n\nex.lifetime.check(lifetime)",
    solution="lifetime = 900\n\nex.lifetime.check(lifetime)",
    wrong=(
        Wrong(says="a thief has an hour", answer=3600),
        Wrong(says="83 requests a second", answer=300),
        Wrong(says="only 110 s are left", answer=550),
        Wrong(says="only 119.8 s are left", answer=599),
        Wrong(says="more than an hour is too long", answer=86_400),
        Wrong(says="a whole number of seconds", answer="15 min"),
    ),
    hints=(
        "Each of the three wishes gives a bound: one from above, two from below.",
        "From above: 15 minutes. From below: a fifth of the life covers 2 minutes.",
        "120 s are 20 % of 600 s, and 15 minutes are 900 s: anything from 600 to 900 will do.",
    ),
    why=(
        "short tokens limit what a thief can do, long ones spare the server and bridge its absence. "
        "There is no right lifetime, only one that fits what you can bear on each side."
    ),
)
def lifetime(answer: Any) -> Result:
    if type(answer) is not int or not 1 <= answer < 10**9:
        return not_yet("give a whole number of seconds, at least 1.")
    if answer > 3600:
        return not_yet(
            "more than an hour is too long for a token that whoever holds it can use (RFC 6750 §5.3)."
        )
    if answer > EXPOSURE:
        exposed = "an hour" if answer == 3600 else f"{answer} s"
        return not_yet(f"a thief has {exposed}, and 15 minutes are allowed.")
    load = DEVICES / (REFRESH_AT * answer)
    if load > REQUESTS:
        return not_yet(f"the fleet would send {load:.0f} requests a second, and the server makes {REQUESTS}.")
    spare = (1 - REFRESH_AT) * answer
    if spare < OUTAGE - 1e-6:
        return not_yet(
            f"when the first try fails, only {spare:.5g} s are left, and the outage takes {OUTAGE} s."
        )
    return right(f"{answer} s means {load:.0f} requests a second, and {spare:.0f} s to bridge an outage.")
