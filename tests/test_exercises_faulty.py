"""Find the fault: what is faulty in the lessons is faulty in just that way."""

import re
from typing import Any

import pytest
from refresh_notebooks import find, read
from support_show import survives

from labkit import Lab, topics
from labkit.exercises import Outcome
from labkit.exercises.lesson03 import careless, ex, fifteen_tokens, four_validators
from labkit.exercises.lesson03.forging import CLIENT, good_claims, sign, validator
from labkit.exercises.lesson04 import four_cameras
from labkit.exercises.lesson05 import four_fleets
from labkit.exercises.lesson06 import brokers, matches
from labkit.exercises.lesson06 import ex as topic_exercises
from labkit.exercises.lesson06.faults import FAULTS as topic_words
from labkit.exercises.lesson10 import four_devices
from labkit.exercises.lesson10.planning import PLAN, _rotated

GOOD = {"a good token", "aud of two, one ours"}
#: What each of the four lets in beside the good ones.
TOO_MUCH = {
    "alg": {"alg none, no signature", "HS256, public key"},
    "key": {"key id of a thief"},
    "open": {"key id of a thief", "no exp", "exp as text"},
    "part": {"aud begins like ours", "scope xmqtt.connect"},
}


def let_in(lets_in: Any, tokens: dict[str, str]) -> set[str]:
    return {what for what, token in tokens.items() if lets_in(token, CLIENT)}


def test_each_validator_has_its_fault_and_no_other(lab: Lab) -> None:
    validators, tokens = four_validators(lab)
    assert len(tokens) == 17
    assert let_in(careless._Strict(lab).lets_in, tokens) == GOOD
    for letter, lets_in in validators.items():
        assert let_in(lets_in, tokens) == GOOD | TOO_MUCH[careless.FAULTS[letter]], letter


def test_the_real_validator_agrees_with_the_strict_one(lab: Lab) -> None:
    _, tokens = four_validators(lab)
    real = validator(lab)
    assert {what for what, token in tokens.items() if real.explain(token, CLIENT).refusal is None} == GOOD


@pytest.mark.parametrize("token", ["", "a.b.c", "....", "é.é.é", "e30.e30.", "W10.W10.W10"])
def test_what_is_no_token_gets_in_only_where_falling_over_opens(token: str, lab: Lab) -> None:
    validators, _ = four_validators(lab)
    for letter, lets_in in validators.items():
        assert isinstance(lets_in(token, CLIENT), bool)
        assert careless.FAULTS[letter] == "open" or not lets_in(token, CLIENT), letter


def test_another_device_stays_outside_of_all_four(lab: Lab) -> None:
    validators, _ = four_validators(lab)
    token = sign(good_claims(lab))
    assert all(lets_in(token, CLIENT) for lets_in in validators.values())
    assert not any(lets_in(token, "mallory") for lets_in in validators.values())


def test_the_judge_says_which_token_speaks_against_a_word(lab: Lab) -> None:
    """Every wrong word for every validator is answered with a token that the table shows."""
    _, tokens = four_validators(lab)
    for letter, fault in careless.FAULTS.items():
        for word in set(careless.FAULTS.values()) - {fault}:
            result = ex.faults.check(careless.FAULTS | {letter: word}, lab)
            assert result.outcome is Outcome.NOT_YET
            (named,) = (what for what in tokens if f'"{what}"' in result.text)
            assert f"validator {letter}: it " in result.text
            assert named in GOOD | TOO_MUCH[word] | TOO_MUCH[fault]


def test_the_tokens_are_made_anew_and_last_the_day(lab: Lab) -> None:
    *_, first = fifteen_tokens(lab)
    lab.clock.advance(hours=20)
    *_, second = fifteen_tokens(lab)
    assert list(first) == list(second)
    real = validator(lab)
    assert real.explain(first["a good token"], CLIENT).refusal is None


def test_the_cameras_say_in_colour_what_they_say_as_text(lab: Lab) -> None:
    first, second = four_cameras(lab), four_cameras(lab)
    assert (first.text, first.html) == (second.text, second.html)
    words = " ".join(survives(first))
    assert words == " ".join(first.text.split())
    assert words.count("invalid_grant") == 7
    assert words.count("no answer") == 1


def test_the_fleets_are_the_same_on_every_run(lab: Lab) -> None:
    picture, again = four_fleets(lab), four_fleets(lab)
    assert (picture.text, picture.html) == (again.text, again.html)
    assert " ".join(survives(picture)) == " ".join(picture.text.split())
    first = picture.text
    assert "alice.smith@example.org" in first
    assert first.count("is new") == 3, "a device with a new name at every start is new every time"
    assert "registration" in first
    outcomes = re.findall(r"CONNACK +(\d)", first.split("fleet 4")[1])
    assert outcomes == ["0", "0", "5"], "whoever knows the name is in"


#: What a broker without a fault does in the table of lesson 06.
SOUND = ["granted", "refused", "refused", "arrives", "nothing", "nothing", "nothing", "nothing"]
#: The line in which each of the four differs, by its word.
DIFFERS = {"matching": 1, "text": 4, "will": 6, "once": 7}


def test_each_broker_of_lesson_06_has_its_fault_and_no_other(lab: Lab) -> None:
    shown = brokers.four_brokers(lab)
    rows = [re.split(r"  +", line)[1:] for line in shown.text.splitlines()[1:]]
    for number, column in enumerate(zip(*rows, strict=True), 1):
        (line,) = (place for place, found in enumerate(column) if found != SOUND[place])
        assert line == DIFFERS[topic_words[number]]
    assert survives(shown)
    assert str(brokers.four_brokers(lab)) == str(shown)


def test_the_labs_own_broker_passes_where_they_fail(lab: Lab) -> None:
    assert list(brokers.examined(lab, lab.broker).values()) == SOUND


def test_the_rule_that_a_learner_completes_is_too_narrow_for_one_pair_and_too_wide_for_none() -> None:
    names: dict[str, Any] = {"matches": matches}
    (path,) = find(["06"])
    for cell in read(path).cells:
        if cell.cell_type == "code" and ("FILTERS" in cell.source or "def wrongly_judged" in cell.source):
            exec(cell.source, names)
    solution = topic_exercises.tasks["covers"].solved.rsplit("\n", 1)[0]
    exec(solution, names)
    assert names["wrongly_judged"](names["covers"]) == ([], [("+/#", "#")])
    assert names["wrongly_judged"](topics.covers) == ([], [])


def test_the_devices_of_lesson_10_are_the_same_on_every_run_and_leave_no_fault_behind(lab: Lab) -> None:
    first, second = four_devices(lab), four_devices(lab)
    assert (str(first), first.html) == (str(second), second.html)
    assert " ".join(survives(first)) == " ".join(str(first).split())
    a, b, c, d = re.split(r"^device [BCD]\n", str(first), flags=re.M)
    asked = re.findall(r"after +(\S+) s  asks for a token, unit (\d)", a)
    assert len(asked) == 12
    assert all(asked.count((moment, unit)) == 1 for moment, _ in asked for unit in "123")  # always together
    assert b.count("Retry-After: 30") == 4
    assert re.search(r"300 s  is connected +closed by the broker\n +after +300 s  asks", c)
    assert "closed" not in d
    assert re.search(r"240 s  leaves the broker", d)
    assert repr(lab.authserver.faults) == "<Faults: none>"


def test_one_second_less_than_the_plan_of_lesson_10_and_an_honest_device_is_refused(lab: Lab) -> None:
    before, after = PLAN["before"], PLAN["after"]
    assert _rotated(lab, before, after) == (True, True)
    assert _rotated(lab, before - 1, after) == (False, True)
    assert _rotated(lab, before, after - 1) == (True, False)
