"""When a connection ends, and when to refresh the token under it."""

import socket
from dataclasses import replace
from random import Random, SystemRandom
from typing import Any

from labkit.broker import Broker
from labkit.device import Token, TokenSource
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
from labkit.exercises.trying import AnswerInterrupted
from labkit.record import Record
from labkit.tokens import TokenValidator
from labkit.wire import Connect, encode

__all__ = ["closes_after", "refresh_after"]

LIFETIME, AGE, LEEWAY = 300, 200, 30  # seconds


def _lasted(lab: Any) -> float:
    """How long the lab lets a connection live that was opened with a token of that age, in seconds."""
    lab.register("check-sensor", lifetime=LIFETIME)
    token = lab.token("check-sensor")
    lab.clock.advance(seconds=AGE)
    record = Record(lab.clock.now)
    validator = TokenValidator(lab.issuer, lab.audience, lab.keys, leeway=LEEWAY, clock=lab.clock)
    with Broker(validator=validator, clock=lab.clock, record=record, leeway=LEEWAY) as broker:
        connect = Connect(client_id="check-sensor", username="check-sensor", password=token.encode())
        with socket.create_connection((broker.mqtt.host, broker.mqtt.port), 5) as sock:
            sock.sendall(encode(connect))
            opened = record.wait("connect.accepted").at
            lab.clock.advance(seconds=LIFETIME)
            closed = record.wait("token.expired").at
    return closed - opened


@exercise(
    question=(
        "A sensor fetched a token that lives 300 s, searched for its network for 200 s, and then connected. "
        "The broker forgives clocks that differ by up to 30 s. How many seconds after CONNECT does the "
        "broker close the connection?"
    ),
    cell="closes_after = ____\n\nex.closes_after.check(closes_after, lab)",
    solution="closes_after = 300 - 200 + 30\n\nex.closes_after.check(closes_after, lab)",
    wrong=(
        Wrong(says="counted from CONNECT", answer=300),
        Wrong(says="forgives 30 s on top", answer=100),
        Wrong(says="the leeway is added", answer=70),
        Wrong(says="a number of seconds", answer="130 s"),
        Wrong(says="Draw a line", answer=30),
    ),
    hints=(
        "The broker reads exp in the token. When did the life of the token begin: at CONNECT, or before?",
        "Draw a line: issued at 0, CONNECT at 200. Where on that line is exp, and where exp plus leeway?",
        "exp is at 300, and the leeway moves the end to 330. CONNECT was at 200.",
    ),
    why=(
        "exp is a moment, not a span: it is fixed when the token is issued. Whoever connects late has less "
        "left. The leeway is for clocks that differ, and it is added to the life of every token (RFC 7519 "
        "§4.1.4)."
    ),
)
def closes_after(answer: Any, lab: Any) -> Result:
    if type(answer) not in (int, float):
        return not_yet("give a number of seconds, without a unit.")
    if answer in (LIFETIME, LIFETIME + LEEWAY):
        return not_yet(f"{answer} s would be counted from CONNECT. The token was {AGE} s old by then.")
    if answer == LIFETIME - AGE:
        return not_yet("that is what is left of the token. This broker forgives 30 s on top.")
    if answer == LIFETIME - AGE - LEEWAY:
        return not_yet("the leeway is added, not taken away: it forgives, it does not punish.")
    if answer != LIFETIME - AGE + LEEWAY:
        return not_yet(f"not after {brief(answer)} s. Draw a line with issue, CONNECT, exp and leeway on it.")
    if not answer - 3 < _lasted(lab) < answer + 1:  # exp is a whole second: up to one is missing
        return cannot_tell("here the broker did otherwise. Run the set-up cell at the top again.")
    return right("a broker with that leeway, started for this check, closed such a connection then.")


#: How many moments forty devices should at least spread to; fewer are herds again.
_MOMENTS = 8


def _seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - spreads load, keeps no secret


class _Timed(TokenSource):
    """A source of tokens that leaves the moment of refresh to the learner."""

    refresh_after: Any
    drawn_from: Random
    trouble: Exception | None = None

    def current(self) -> Token:
        return self._timed(super().current())

    def fetch(self) -> Token:
        return self._timed(super().fetch())

    def _timed(self, token: Token) -> Token:
        assert token.expires_at is not None
        try:
            after = try_answer(self.refresh_after, LIFETIME, self.drawn_from)
            if not _is_number(after):
                raise AnswerFailed from TypeError(f"at a later call it returned {brief(after)}")
        except (AnswerFailed, AnswerInterrupted) as trouble:
            self.trouble = trouble  # a thread of the device's is no place to raise it
            after = LIFETIME / 2
        return replace(token, refresh_at=token.expires_at - LIFETIME + max(1.0, after))


def _an_hour(answer: Any, lab: Any) -> tuple[int, int]:
    """Refreshes and expired connections of a device in an hour, with the learner's moment of refresh."""
    credentials = lab.register("check-device", lifetime=LIFETIME)
    record = Record(lab.clock.now)
    tokens = _Timed(
        lab.token_endpoint, "check-device", credentials.client_secret, now=lab.clock.now, record=record
    )
    tokens.refresh_after, tokens.drawn_from = answer, _seeded(40)
    mark = lab.record.mark()
    with lab.device("check-device", tokens=tokens, record=record):
        lab.clock.advance(hours=1)
    if tokens.trouble is not None:
        raise tokens.trouble
    expired = lab.record.events("token.expired", since=mark, client_id="check-device")
    return len(record.events("refreshed")), len(expired)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e9 < value < 1e9  # as long as a life could be; not NaN either


def _objection(answer: Any) -> str:
    """What is wrong with the moments the learner's function gives; nothing if they are all right."""
    for life in (60, 300, 3600):
        drawn = [try_answer(answer, life, _seeded(seed)) for seed in range(40)]
        again = try_answer(answer, life, _seeded(39))
        if strange := [each for each in drawn if not _is_number(each)]:
            told = f"for a token that lives {life} s it returns {brief(strange[0])}"
            if type(strange[0]) in (int, float):
                return f"{told}: wanted is how many seconds to wait, and not a moment on the clock."
            return f"{told}: a number is wanted."
        if 0 < max(drawn) < 1:
            return f"after {max(drawn):.1g} s a token that lives {life} s has hardly begun: is that a share?"
        if max(drawn) >= life:
            return f"with a token that lives {life} s it waits {max(drawn):.0f} s: by then the token is dead."
        if max(drawn) > 0.9 * life + 1e-6:
            return f"after {max(drawn) / life:.0%} of the life, too little time is left to try again."
        if min(drawn) < 0.7 * life - 1e-6:
            return (
                f"a token that lives {life} s is replaced after {min(drawn):.0f} s: that is more requests "
                "than it takes. Wait for 70 % of its life."
            )
        if max(drawn) == min(drawn):
            return (
                f"it is always {drawn[0]:.0f} s: devices that start together ask together, for ever. Draw "
                "the moment with random.uniform."
            )
        if max(drawn) - min(drawn) < 0.1 * life:
            return f"all moments lie within {max(drawn) - min(drawn):.0f} s: use the whole of 70 to 90 %."
        if len(set(drawn)) < _MOMENTS:
            return (
                f"it knows only {len(set(drawn))} moments, and a fleet would come together at each of them."
            )
        if again != drawn[39]:
            return "draw from the random that is handed in, so that a test can repeat what happened."
    return ""


@exercise(
    question=(
        "Complete the function: it returns how many seconds after the request a device should refresh, "
        "drawn at random between 70 and 90 % of the token's life."
    ),
    cell="""
def refresh_after(expires_in, random):
    return ____


ex.refresh_after.check(refresh_after, lab)
""",
    solution="""
def refresh_after(expires_in, random):
    return expires_in * random.uniform(0.7, 0.9)


ex.refresh_after.check(refresh_after, lab)
""",
    wrong=(
        Wrong(says="by then the token is dead", answer=lambda life, random: life + 1),
        Wrong(says="devices that start together ask together", answer=lambda life, random: 0.8 * life),
        Wrong(says="too little time is left", answer=lambda life, random: life * random.uniform(0.7, 0.99)),
        Wrong(
            says="more requests than it takes", answer=lambda life, random: life * random.uniform(0.1, 0.9)
        ),
        Wrong(says="use the whole of", answer=lambda life, random: life * random.uniform(0.79, 0.81)),
        Wrong(
            says="draw from the random that is handed in",
            answer=lambda life, random: life * SystemRandom().uniform(0.7, 0.9),
        ),
        Wrong(says="only 3 moments", answer=lambda life, random: life * random.choice((0.7, 0.8, 0.9))),
        Wrong(says="is that a share?", answer=lambda life, random: random.uniform(0.7, 0.9)),
        Wrong(says="a moment on the clock", answer=lambda life, random: 1.8e9 + 0.8 * life),
        Wrong(says="a number is wanted", answer=lambda life, random: f"{0.8 * life} s"),
        Wrong(says="hand over the function itself", answer=240),
    ),
    hints=(
        "The result grows with expires_in, and differs from call to call.",
        "random.uniform(a, b) draws a number between a and b.",
        "Draw a share of the life, random.uniform(0.7, 0.9), and multiply it by expires_in.",
    ),
    why=(
        "the first 70 % cost the server no request, the last 10 % are there for second tries, and chance in "
        "between keeps a fleet that woke up together from coming back together."
    ),
)
def refresh_after(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(refresh_after, lab).")
    objection = _objection(answer)
    if objection:
        return not_yet(objection)
    refreshed, expired = _an_hour(answer, lab)
    if expired:
        return not_yet(f"in an hour, {expired} connections of a device ended because the token expired.")
    return right(f"in an hour a device refreshed {refreshed} times, and no connection expired.")
