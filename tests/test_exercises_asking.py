"""What lesson 07 measures and shows: the price of asking, and four brokers with a fault each."""

import re
from typing import Any

import pytest
from support_show import survives

from labkit import Lab
from labkit.exercises import Outcome, progress
from labkit.exercises.lesson07 import brokers, choosing, four_brokers, measuring
from labkit.exercises.lesson07.standing import Visit, code_for, standing


@pytest.fixture(autouse=True)
def _progress_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "path", None)


def rows(shown: Any, heads: int) -> dict[str, list[str]]:
    """The lines of a table below its heads: what stands in front, and the cells."""
    lines = [re.split(r"  +", line.strip()) for line in shown.text.splitlines()[heads:]]
    return {name: cells for name, *cells in lines}


def test_the_price_of_every_way_is_what_its_ttl_says() -> None:
    shown = measuring.prices()
    survives(shown)
    found = {way: [int(cell.split()[0]) for cell in cells] for way, cells in rows(shown, 3).items()}
    assert list(found) == [way for way, _ in measuring.WAYS]
    for way, options in measuring.WAYS:
        logins, live, login_dead, live_dead = found[way]
        asks, told = options["validation"] != "jwt", options.get("push_revocation", True)
        ttl = options.get("introspection_ttl", 0)
        assert logins == (
            4 * -(-25 // (ttl // 7 + 1)) if asks else 0
        )  # every 7 s, until an answer is too old
        assert live == (10 * 60 // ttl if asks and not told else 0)
        assert login_dead == live_dead == (0 if told else ttl if asks else 300)


#: What each of the four lets in beside the good tokens, and what any broker that keeps answers does.
LETS_IN = {
    "open": {"revoked 5 s ago", "a made-up token; the answer: a web page", "a made-up token; no answer"},
    "text": {"revoked 15 s ago, with == behind it"},
    "looks": {
        "revoked 5 s ago",
        'a made-up token; the answer: {"active": "true"}',
        'a made-up token; the answer: {"active": "false"}',
    },
    "late": {"revoked 5 s ago", "the same, 1 s after its exp"},
}


def test_each_of_the_four_has_its_fault_and_no_other(lab: Lab) -> None:
    shown = four_brokers(lab)
    assert survives(shown)
    table = rows(shown, 1)
    good = {what for what, cells in table.items() if cells == ["in"] * 4}
    assert good == {"a good token", "a good token, 5 s before its exp"}
    for number, fault in enumerate(brokers.FAULTS.values()):
        assert {what for what, cells in table.items() if cells[number] == "in"} - good == LETS_IN[fault]
    assert str(four_brokers(lab)) == str(shown)


def test_one_without_a_fault_lets_in_what_it_should(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "PARTIES", {"A": brokers._Party})
    let_in = {what for what, cells in rows(four_brokers(lab), 1).items() if cells == ["in"]}
    assert let_in == {"a good token", "revoked 5 s ago", "a good token, 5 s before its exp"}


def test_in_a_standing_lab_nothing_moves_by_itself() -> None:
    with standing() as lab:
        began = lab.clock.now()
        lab.register("dev-1", lifetime=60)
        token = lab.token("dev-1")
        with Visit(lab, "dev-1", token) as visit:
            assert (visit.code, visit.alive, lab.clock.now()) == (0, True, began)
            lab.clock.advance(seconds=60)
            assert not visit.alive
        assert code_for(lab, "dev-1", token) == 4


@pytest.mark.parametrize(
    ("place", "chosen", "good"),
    [
        ("door", ("introspection", 10), True),
        ("door", ("both", 10.5), False),
        ("ship", ("jwt", 3600), True),
        ("buses", ("introspection", 29), True),
        ("buses", ("introspection", 28), False),
        ("buses", ("introspection", 60), True),
        ("buses", ("introspection", 61), False),
    ],
)
def test_the_bounds_of_the_three_places_are_those_of_the_text(place: str, chosen: Any, good: bool) -> None:
    result = choosing.settings.check(choosing.RIGHT | {place: chosen})
    assert result.outcome is (Outcome.RIGHT if good else Outcome.NOT_YET), str(result)
