"""The rendered scopes, judged by a real RabbitMQ that trusts a lab's authorization server.

Debian's RabbitMQ 3.10 with its OAuth 2 plugin; the keys come by https, as it insists on.
"""

from collections.abc import Iterator

import pytest
from support_cli import needs
from support_rabbitmq import Client, Node, running

from labkit import rights
from labkit.rights import Rights

pytestmark = pytest.mark.timeout(180)  # it takes a quarter of a minute to start


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    needs("epmd")
    needs("rabbitmq-server")
    with running(tmp_path_factory.mktemp("rabbitmq")) as started:
        yield started


def test_one_device_uses_its_rights_and_another_hears_it(node: Node) -> None:
    device = rights.of("dev-1", subscribe=["cmd/{client_id}/#"])
    panel = rights.of("panel", publish=["cmd/#"], subscribe=["devices/#"])
    with node.client(device) as sensor, node.client(panel) as watcher:
        assert watcher.may_subscribe("devices/+/up")
        assert sensor.may_publish("devices/dev-1/up", b"21.5")
        assert watcher.message() == ("devices/dev-1/up", b"21.5")
        for inside, qos in (("cmd/dev-1/+", 0), ("cmd/dev-1/#", 1), ("cmd/dev-1", 1)):
            assert sensor.may_subscribe(inside, qos)
        assert watcher.may_publish("cmd/dev-1/target", b"20")
        assert sensor.message() == ("cmd/dev-1/target", b"20")
        assert not sensor.may_subscribe("cmd/dev-2/#")
    with node.client(device) as sensor:
        assert not sensor.may_publish("devices/dev-2/up")


def test_a_device_that_only_publishes_needs_no_queue(node: Node) -> None:
    device = rights.of("dev-2", subscribe=[])
    assert "mqtt-subscription" not in rights.rabbitmq(device).claims["scope"]
    with node.client(device) as sensor:
        assert sensor.connected
        assert sensor.may_publish("devices/dev-2/up")
        assert not sensor.may_subscribe("devices/dev-2/up")


PUBLISH = ("a/b", "x/+/#", "y/+/+/#", "z/#", "/e/#", "sp ace/%2F", "é", "st*r/x", "devices/+/up")


@pytest.mark.parametrize(
    "topic",
    ["a/b", "a.b", "a", "a/b/c", "x", "x/", "x/1", "x/1/2", "y/1", "y/1/2", "z", "z.1", "/e", "e", "/e/f",
     "sp ace/%2F", "sp_ace/%2F", "é", "e\u0301", "st*r/x", "star/x", "devices/d/up"],
)  # fmt: skip
def test_our_reader_of_scopes_foretells_what_rabbitmq_says_to_a_publish(node: Node, topic: str) -> None:
    device = Rights(client_id="dev-3", publish=PUBLISH)
    rendered = rights.rabbitmq(device)
    with node.client(device) as client:
        assert client.may_publish(topic) == rendered.may_publish(topic)


SUBSCRIBE = ("a/b", "x/+", "y/+/#", "z/#", "devices/+/up", "é/#")


@pytest.mark.parametrize(
    "topic_filter",
    ["a/b", "a/+", "a/#", "#", "+", "x/+", "x/1", "x/#", "x/*", "y/+/z", "y/#", "y/1/#", "z", "z/#", "z/+/1",
     "z.1", "devices/+/up", "devices/d/up", "devices/#", "é/é", "$share/g/z/1", "+/b"],
)  # fmt: skip
def test_our_reader_of_scopes_foretells_what_rabbitmq_says_to_a_subscribe(
    node: Node, topic_filter: str
) -> None:
    device = Rights(client_id="dev-4", subscribe=SUBSCRIBE)
    rendered = rights.rabbitmq(device)
    with node.client(device) as client:
        assert client.may_subscribe(topic_filter) == rendered.may_subscribe(topic_filter)


def test_the_tables_above_have_both_answers() -> None:
    rendered = rights.rabbitmq(Rights(client_id="dev-3", publish=PUBLISH, subscribe=SUBSCRIBE))
    assert rendered.may_publish("x/1")
    assert not rendered.may_publish("x")
    assert not rendered.may_publish("devices/d/up")
    assert rendered.may_subscribe("z/+/1")
    assert not rendered.may_subscribe("x/1")


def test_the_names_of_the_queues_keep_another_client_from_subscribing(node: Node) -> None:
    # RabbitMQ lets any client identifier in with a good token; the queue is named after the identifier.
    scope = rights.rabbitmq(rights.of("dev-5")).claims["scope"]
    with Client(node, "mallory", node.token("dev-5", scope)) as thief:
        assert thief.connected
        assert not thief.may_subscribe("devices/dev-5/#")
    with Client(node, "dev-5qos0x", node.token("dev-5", scope)) as thief:
        assert not thief.may_subscribe("devices/dev-5/#")


def test_why_dots_and_leading_wildcards_are_left_out(node: Node) -> None:
    scope = " ".join(
        f"rabbitmq.{right}:*/{name}"
        for right in ("configure", "write", "read")
        for name in ("amq.topic/*", "mqtt-subscription-*")
    )
    with Client(node, "all", node.token("all", scope)) as client:
        assert client.may_subscribe("+/up")
        assert client.may_publish("$x/up")  # a + of MQTT would not reach it (MQTT 3.1.1 §4.7.2)
        assert client.message() == ("$x/up", b"x")
        assert client.may_publish("dot.up")
        assert client.message() == ("dot/up", b"x")


def test_without_a_scope_for_rabbitmq_nobody_gets_in(node: Node) -> None:
    with Client(node, "dev-6", node.token("dev-6", "mqtt.connect")) as client:
        assert not client.connected
