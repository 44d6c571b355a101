"""What Eclipse's interoperability tests ask for and do not get, met with a strict client of our own.

``tests/eclipse5.py`` runs those tests themselves; CONTRIBUTING.md has the results.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from eclipse5 import KNOWN
from support_broker import Site, site
from support_broker5 import client5, enter

from labkit.broker import Limits
from labkit.wire import v5
from labkit.wire.v5 import Property

P = Property
TOPIC = "devices/dev-1/t"
CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.md"


def test_the_table_of_results_says_why_each_fails() -> None:
    table = re.findall(
        r"^\| `(test_\w+)` \| (\w+) \| (.*) \|$", CONTRIBUTING.read_text("utf-8"), re.MULTILINE
    )
    assert len(table) > len(KNOWN)
    assert [row[0] for row in table] == sorted({row[0] for row in table})
    assert {test: why for test, result, why in table if result != "passes"} == KNOWN


def test_no_client_identifier_is_made_up(place: Site) -> None:
    for clean in (True, False):
        with client5(place) as client:
            connack = client.enter("", place.token(), clean_start=clean)
            assert connack.reason_code == 0x85
            assert P.ASSIGNED_CLIENT_IDENTIFIER not in connack.properties


def test_a_client_that_would_take_topic_aliases_gets_none(place: Site) -> None:
    with enter(place, properties={P.TOPIC_ALIAS_MAXIMUM: 10}) as client:
        client.ask(TOPIC)
        for payload in (b"first", b"second"):
            client.tell(TOPIC, payload, qos=0)
            message = client.expect(v5.Publish)
            assert (message.topic, message.payload) == (TOPIC, payload)
            assert P.TOPIC_ALIAS not in message.properties


@pytest.mark.parametrize("wish", [0, 1, 600, 601, 65_535])
@pytest.mark.parametrize("longest", [0, 600])
def test_a_client_that_would_be_silent_for_too_long_is_told_so(wish: int, longest: int) -> None:
    """Spec: MQTT 5 §3.2.2.3.14."""
    told = {P.SERVER_KEEP_ALIVE: 600} if longest and wish not in (1, 600) else {}
    with site(limits=Limits(max_keep_alive=longest)) as place, client5(place) as client:
        connack = client.enter("dev-1", place.token(), keep_alive=wish)
        assert connack.reason_code == 0
        assert connack.properties.items() & {P.SERVER_KEEP_ALIVE: 600}.items() == told.items()


def test_the_broker_keeps_to_the_keep_alive_that_it_has_told() -> None:
    with site(limits=Limits(max_keep_alive=1)) as place, enter(place) as client:
        assert client.expect(v5.Disconnect).reason_code == 0x8D
        assert client.ended()


def test_a_subscription_that_the_token_does_not_allow_has_a_code_of_its_own(place: Site) -> None:
    """Spec: MQTT 5 §3.9.3; 3.1.1 had 0x80 for all."""
    with enter(place) as client:
        assert client.ask("test/nosubscribe", TOPIC) == (0x87, 2)


@pytest.mark.parametrize("qos", [1, 2])
def test_a_topic_with_a_dollar_is_refused_whatever_the_token_allows(place: Site, qos: int) -> None:
    """Spec: MQTT 5 §4.7.2.  The reason does not blame the token, which may allow it."""
    with enter(place, token=place.token(publish=("$x/#",), subscribe=("$x/#",))) as client:
        client.ask("$x/#")
        client.say(v5.Publish(topic="$x/t", qos=qos, packet_id=9))
        answer: Any = client.receive()
        assert answer.reason_code == 0x87
        assert answer.properties[P.REASON_STRING] == "This connection may not publish to this topic."
        assert client.silent()
