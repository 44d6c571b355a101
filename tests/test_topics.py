"""Topic rights: containment of filters, compared with brute force over a small world."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.topics import (
    Permissions,
    covers,
    matches,
    scope_for_publish,
    scope_for_subscribe,
    valid_filter,
    valid_topic,
)

LEVELS = ("", "a", "b", "$s")
#: Every topic of one to five levels over a small alphabet; one empty level alone is no topic.
TOPICS = [
    topic for size in range(1, 6) for levels in product(LEVELS, repeat=size) if (topic := "/".join(levels))
]


def oracle(topic_filter: str, topic: str) -> bool:
    """MQTT 3.1.1 §4.7 once more, told in another way: consume both from the left."""
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    wanted, given_levels = topic_filter.split("/"), topic.split("/")
    while wanted and wanted[0] != "#":
        if not given_levels or wanted[0] not in ("+", given_levels[0]):
            return False
        del wanted[0], given_levels[0]
    return bool(wanted) or not given_levels


#: Every filter of one to three levels over that alphabet, with and without # at its end.
FILTERS = [
    "/".join((*levels, *end))
    for size in range(4)
    for levels in product((*LEVELS, "+"), repeat=size)
    for end in ((), ("#",))
    if any((*levels, *end))
]


@pytest.mark.conformance("RS-46")
def test_a_grant_covers_a_filter_when_it_has_all_its_topics() -> None:
    # The topics of each filter as the bits of one number.  With three levels in a filter and five in a topic,
    # and one letter that stands for all others, every difference between two filters shows.
    topics_of = {f: sum(oracle(f, topic) << bit for bit, topic in enumerate(TOPICS)) for f in FILTERS}
    for grant, granted in topics_of.items():
        wrong = [
            wanted for wanted, topics in topics_of.items() if covers(grant, wanted) == bool(topics & ~granted)
        ]
        assert wrong == [], f"{grant} and {wrong}"


def test_matching_is_that_of_the_standard() -> None:
    for topic_filter in FILTERS:
        assert [t for t in TOPICS if matches(topic_filter, t)] == [
            t for t in TOPICS if oracle(topic_filter, t)
        ]


@pytest.mark.parametrize(
    ("grant", "covered", "not_covered"),
    [
        (
            "a/#",
            ["a", "a/b", "a/+", "a/#", "a/+/#", "a/", "a//b"],
            ["#", "+", "+/#", "ab", "ab/#", "+/b", "/a", "A"],
        ),
        ("a/+", ["a/b", "a/+", "a/"], ["a", "a/b/c", "a/#", "a/+/#", "+/+", "+/b", "a/+/+"]),
        ("#", ["a", "/", "+", "#", "+/#", "a/#", "+/+"], ["$SYS", "$SYS/#", "$SYS/+", "$x", "$/a"]),
        ("+/#", ["#", "+", "a", "a/b", "+/+"], ["$SYS/a", "$SYS/#"]),
        ("+", ["a", "+"], ["#", "/", "a/", "+/+", "$SYS"]),
        ("+/a", ["b/a", "+/a", "/a"], ["$SYS/a", "#", "a"]),
        ("$SYS/#", ["$SYS", "$SYS/a", "$SYS/+"], ["#", "+/#", "$sys/a", "$other/a", "a"]),
        ("a/+/c", ["a/b/c", "a/+/c", "a//c"], ["a/b", "a/#", "a/b/+", "a/b/c/#"]),
        ("a/$b", ["a/$b"], ["a/+"]),
        ("a/+", ["a/$b"], []),
        ("/", ["/"], ["+/+", "//", "/+"]),
    ],
)
@pytest.mark.conformance("RS-45", "RS-46", "RS-62")
def test_containment_case_by_case(grant: str, covered: list[str], not_covered: list[str]) -> None:
    assert [wanted for wanted in covered if not covers(grant, wanted)] == []
    assert [wanted for wanted in not_covered if covers(grant, wanted)] == []


def test_what_is_a_topic_and_what_is_a_filter() -> None:
    for text in ("a", "/", "a/b", " ", "é/🌡", "$SYS/a", "a" * 65_535, "é" * 32_767, "\u007f", "//", "a b"):
        assert valid_topic(text)
        assert valid_filter(text)
    for text in ("", "\0", "a/\0", "\ud800", "a\udfff", "a" * 65_536, "é" * 32_768):
        assert not valid_topic(text)
        assert not valid_filter(text)
    for text in ("+", "#", "a/+", "a/#", "+/+/#", "/+", "+/", "//#", "$SYS/#"):
        assert valid_filter(text)
        assert not valid_topic(text)
    for text in ("a#", "#/a", "a+", "+a", "a/#/b", "##", "++", "a/b#", "a/+b/c", "#/", "+#"):
        assert not valid_filter(text)
        assert not valid_topic(text)


def test_what_is_ill_formed_covers_and_matches_nothing() -> None:
    for ill_formed in ("", "a#", "#/a", "a\0", "\ud800"):
        assert not covers(ill_formed, "a")
        assert not covers("#", ill_formed)
        assert not matches(ill_formed, "a")
        assert not matches("#", ill_formed)
    assert not matches("#", "+")


def test_scopes_become_grants_in_their_order() -> None:
    rights = Permissions.from_scopes(
        (
            "mqtt.connect",
            "mqtt.publish:b/#",
            "mqtt.publish:a",
            "mqtt.subscribe:cmd/+",
            "openid",
            "mqtt.publish:b/#",
        )
    )
    assert rights == Permissions(("b/#", "a", "b/#"), ("cmd/+",))
    assert rights.may_publish("b/c")
    assert not rights.may_publish("cmd/x")
    assert rights.may_subscribe("cmd/+")
    assert not rights.may_subscribe("b/c")
    assert rights.may_receive("cmd/x")
    assert not rights.may_receive("b/c")


def test_ill_formed_scopes_grant_nothing() -> None:
    scopes = (
        "mqtt.publish:", "mqtt.publish", "mqtt.publish:a/#/b", "mqtt.publish:a#", "MQTT.PUBLISH:#",
        "mqtt.subscribe:+a", "mqtt.pub:#", "#",
        "xmqtt.publish:#", "mqtt.publish :#", "mqtt.subscribe:$share/g/#", "mqtt.publish:$share",
    )  # fmt: skip
    assert Permissions.from_scopes(scopes) == Permissions()
    assert not Permissions().may_publish("a")
    assert not Permissions().may_subscribe("a")
    assert not Permissions().may_receive("a")


def test_wildcards_are_not_topics() -> None:
    rights = Permissions.from_scopes(["mqtt.publish:#", "mqtt.subscribe:#"])
    for wildcard in ("#", "+", "a/+", "a/#"):
        assert not rights.may_publish(wildcard)
        assert not rights.may_receive(wildcard)
        assert rights.may_subscribe(wildcard)


@pytest.mark.conformance("RS-46", "RS-62")
def test_dollar_topics_need_a_grant_that_names_them() -> None:
    everything = Permissions.from_scopes(["mqtt.publish:#", "mqtt.subscribe:#", "mqtt.subscribe:+/broker/+"])
    for topic in ("$SYS/broker/load", "$SYS", "$x/y"):
        assert not everything.may_publish(topic)
        assert not everything.may_subscribe(topic)
        assert not everything.may_receive(topic)
    assert not everything.may_subscribe("$SYS/#")
    named = Permissions.from_scopes(["mqtt.subscribe:$SYS/#"])
    assert named.may_subscribe("$SYS/broker/+")
    assert named.may_receive("$SYS/broker/load")
    assert not named.may_subscribe("#")


@pytest.mark.conformance("RS-46")
def test_a_shared_subscription_is_judged_by_its_inner_filter() -> None:
    rights = Permissions.from_scopes(["mqtt.subscribe:devices/a/#"])
    for good in ("$share/g/devices/a/#", "$share/group 1/devices/a", "$share/g/devices/a/+/x"):
        assert rights.may_subscribe(good)
    everything = Permissions.from_scopes(
        ["mqtt.subscribe:#", "mqtt.subscribe:$share/#", "mqtt.subscribe:$SYS/#"]
    )
    for ill_formed in ("$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#",
                       "$share/g#/a", "$share/g/a/#/b", "$share/g/$share/h/a", "$share/g/$share",
                       "$share/g/a#"):  # fmt: skip
        assert not everything.may_subscribe(ill_formed)
    assert everything.may_subscribe("$share/g/#")
    assert everything.may_subscribe("$share/g//a")
    assert everything.may_subscribe("$share/g/$SYS/load")
    for beyond in ("$share/g/#", "$share/g/devices/#", "$share/g/devices/+/a", "$share/devices/a"):
        assert not rights.may_subscribe(beyond)
    assert not everything.may_subscribe("$Share/g/a")


def test_two_grants_are_not_added_up() -> None:
    rights = Permissions.from_scopes(["mqtt.subscribe:a", "mqtt.subscribe:a/+/#"])
    assert not rights.may_subscribe("a/#")


def test_a_scope_is_made_of_a_filter() -> None:
    assert scope_for_publish("devices/a/#") == "mqtt.publish:devices/a/#"
    assert scope_for_subscribe("$SYS/+") == "mqtt.subscribe:$SYS/+"
    for impossible in ("", "a b", 'a"', "a\\b", "é", "a\tb", "a\n", "a/#/b", "\ud800", "$share/g/a"):
        for make in (scope_for_publish, scope_for_subscribe):
            with pytest.raises(ValueError, match=r"scope|filter|subscription"):
                make(impossible)


@given(st.text())
def test_no_text_upsets_the_rules(text: str) -> None:
    rights = Permissions.from_scopes([text, f"mqtt.publish:{text}", f"mqtt.subscribe:{text}"])
    assert isinstance(rights.may_publish(text), bool)
    assert isinstance(rights.may_subscribe(text), bool)
    assert isinstance(rights.may_receive(text), bool)
    if valid_filter(text):
        assert covers(text, text)


def test_filters_of_many_levels_are_compared_without_recursion() -> None:
    deep = "a/" * 32_000
    assert covers("a/#", deep)
    assert covers("+/" * 32_000 + "#", deep)
    assert not covers(deep, deep + "a")
