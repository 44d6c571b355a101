"""Containment is exact: compared with the topics themselves, in a table and at random."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_topics import oracle

from labkit.topics import Permissions, covers, matches, valid_filter, valid_topic

TABLE = Path(__file__).parent / "containment.txt"


def lines() -> Iterator[tuple[str, list[str], list[str]]]:
    """Grant, held, not held."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(";"):
            grant, held, not_held = (column.split() for column in line.split("|"))
            assert all(map(valid_filter, (*grant, *held, *not_held))), line
            yield grant[0], held, not_held


ROWS = list(lines())


def topics_of(wanted: str, other: str) -> Iterator[str]:
    """Enough topics of ``wanted`` to tell whether each is one of ``other``, too.

    Where ``wanted`` leaves a level open, it is filled with every level of ``other``, and with one that occurs
    in neither.  For ``#`` stand no level and up to three: the shortest topics are among them, and whoever has
    these and lacks a longer one lacks it for a level that comes next.
    """
    levels = wanted.split("/")
    letters = sorted({*other.split("/"), "", "other", "$other"} - {"+", "#"})
    below: list[tuple[str, ...]] = [()]
    if levels[-1] == "#":
        del levels[-1]
        below = [end for size in range(4) for end in product(letters, repeat=size)]
    choices = [letters if level == "+" else [level] for level in levels]
    for start in product(*choices):
        for end in below:
            topic = "/".join((*start, *end))
            if valid_topic(topic) and oracle(wanted, topic):
                yield topic


def by_counting(grant: str, wanted: str) -> bool:
    return all(oracle(grant, topic) for topic in topics_of(wanted, grant))


def test_the_table_has_hundreds_of_pairs_and_every_kind() -> None:
    held = sum(len(row[1]) for row in ROWS)
    not_held = sum(len(row[2]) for row in ROWS)
    assert held > 250
    assert not_held > 400
    text = TABLE.read_text(encoding="utf-8")
    for kind in ("$share", "$SYS", "//", "/+/", "/#", "é"):
        assert kind in text


@pytest.mark.parametrize(("grant", "held", "not_held"), ROWS, ids=[row[0] for row in ROWS])
@pytest.mark.conformance("RS-45", "RS-46", "RS-62")
def test_pairs_made_by_hand(grant: str, held: list[str], not_held: list[str]) -> None:
    assert [wanted for wanted in held if not covers(grant, wanted)] == []
    assert [wanted for wanted in not_held if covers(grant, wanted)] == []
    # The table itself is checked, by counting topics.
    for wanted in (*held, *not_held):
        assert by_counting(grant, wanted) == (wanted in held), wanted
    # Between a grant and a topic, containment and matching are the same.
    for topic in filter(valid_topic, (*held, *not_held)):
        assert matches(grant, topic) == (topic in held)


level = st.sampled_from(("", "a", "b", "$s", "$SYS", "+", "+"))
any_filter = st.builds(
    lambda levels, end: "/".join([*levels, *end]),
    st.lists(level, max_size=4),
    st.sampled_from(([], [], ["#"])),
).filter(valid_filter)
#: A wanted filter that has much in common with a grant: some of its levels exchanged.
thorough = settings(deadline=None, max_examples=500)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[str, str]:
    grant = draw(any_filter)
    wanted = [draw(level) if draw(st.integers(0, 3)) == 0 else each for each in grant.split("/")]
    end = draw(st.sampled_from(([], ["#"], ["a"], ["+"], [""], ["+", "#"])))
    text = "/".join([*(each for each in wanted if each != "#"), *end])
    return grant, text if valid_filter(text) else grant


@thorough
@given(st.tuples(any_filter, any_filter) | neighbours())
@pytest.mark.conformance("RS-46")
def test_everything_covered_is_allowed_and_everything_allowed_is_covered(pair: tuple[str, str]) -> None:
    grant, wanted = pair
    assert covers(grant, wanted) == by_counting(grant, wanted)


@thorough
@given(st.lists(any_filter, max_size=4), any_filter, st.sampled_from(("", "$share/g/", "$share/g h/")))
def test_rights_are_those_of_single_grants(grants: list[str], wanted: str, share: str) -> None:
    rights = Permissions(publish=tuple(grants), subscribe=tuple(grants))
    allowed = rights.may_subscribe(share + wanted)
    # A filter inside a share begins again: $SYS in it is still a $ topic, and needs its name (MQTT 5 §4.8.2).
    assert allowed == any(by_counting(grant, wanted) for grant in grants)
    for topic in topics_of(wanted, "/".join(grants[:1]) or "a"):
        if allowed:
            assert rights.may_receive(topic)
        assert rights.may_publish(topic) == any(oracle(grant, topic) for grant in grants)


def test_several_grants_are_not_added_up_on_purpose() -> None:
    # Together they hold every topic of a/#.  Permissions says why it does not add them up.
    together = Permissions(subscribe=("a", "a/+/#"))
    assert not together.may_subscribe("a/#")
    assert together.may_subscribe("a")
    assert together.may_subscribe("a/+/#")
    assert all(together.may_receive(topic) for topic in topics_of("a/#", "a/b"))
    assert "single" in (Permissions.__doc__ or "")


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("$share/g/a", True),
        ("$share/g/a/b", True),
        ("$share/g/a/#", True),
        ("$share/g/a/+", True),
        ("$share/other/a/+/#", True),
        ("$share/a b/a", True),
        ("$share/$g/a/b", True),
        ("$share/g/$SYS/broker/+", True),
        ("$share/g/b", False),
        ("$share/g/#", False),
        ("$share/g/+", False),
        ("$share/g/+/#", False),
        ("$share/g/$SYS/#", False),
        ("$share/g//a", False),
        ("$share/g/", False),
        ("$share/g", False),
        ("$share/", False),
        ("$share", False),
        ("$share//a", False),
        ("$share/+/a", False),
        ("$share/#/a", False),
        ("$share/g+/a", False),
        ("$share/#", False),
        ("$share/g/a#", False),
        ("$share/g/#/a", False),
        ("$share/g/$share/h/a", False),
        ("$share/g/$share", False),
        ("$Share/g/a", False),
        ("$shared/g/a", False),
        ("$share/g/A", False),
        ("/$share/g/a", False),
        ("$queue/a", False),
    ],
)
@pytest.mark.conformance("RS-46")
def test_a_share_is_judged_by_the_filter_inside(wanted: str, allowed: bool) -> None:
    rights = Permissions(subscribe=("a/#", "$SYS/broker/#"))
    assert rights.may_subscribe(wanted) is allowed
    assert not rights.may_receive(wanted)


def test_a_share_inside_a_share_is_no_share() -> None:
    # Nobody can be granted $share; should somebody be, it is still no way to a filter two shares deep.
    assert not Permissions(subscribe=("$share/#",)).may_subscribe("$share/g/$share/h/a")
