"""Start, stop, and what is left behind: nothing.  And the names of amqtt that the broker leans on."""

import inspect
import threading
from pathlib import Path

import amqtt
import pytest
from amqtt.broker import Broker as AmqttBroker
from amqtt.session import Session as AmqttSession
from support_broker import Client, Site, site

from labkit.broker import Broker, Limits
from labkit.broker.inner import InnerBroker, Session
from labkit.clock import Clock
from labkit.errors import ServiceFailed
from labkit.record import Record
from labkit.wire import Connect, Publish, encode


def hostile(place: Site) -> list[Client]:
    """One client in each state that has kept a broker from stopping."""
    silent, half, stuck = place.client(), place.client(), place.connect("stuck")
    half.send(encode(Connect(client_id="dev-1", username="u", password=b"x" * 100))[:20])
    stuck.send(encode(Publish(topic="devices/stuck/x", payload=b"x" * 100))[:30])
    refused = place.client()
    refused.connect("dev-1", "junk")
    displaced = place.connect("dev-1", clean=False)
    return [silent, half, stuck, refused, displaced, place.connect("dev-1", clean=False)]


def descriptors() -> int:
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else 0


def test_start_and_stop_with_hostile_connections_leaves_nothing() -> None:
    with site() as place:
        place.connect("dev-1")  # the clock's thread, which stays, starts with the first timer
        place.broker.stop()
        threads, files = threading.active_count(), descriptors()
        for _ in range(20):
            place.broker.start()
            clients = hostile(place)
            place.broker.stop()
            assert all(client.ended() for client in clients)
            for client in clients:
                client.close()
            assert not place.broker.running
            assert place.broker.connections == []
            assert threading.active_count() == threads
            assert descriptors() == files


def test_the_port_is_kept_and_known_only_after_the_first_start() -> None:
    clock = Clock()
    broker = Broker(validator=object(), clock=clock, record=Record(clock.now))  # type: ignore[arg-type]
    with pytest.raises(ServiceFailed, match="start it"):
        _ = broker.mqtt
    with broker:
        url = broker.mqtt.url
    assert url == f"mqtt://127.0.0.1:{broker.mqtt.port}"
    with broker:
        assert broker.mqtt.url == url


def test_a_taken_port_is_said_so() -> None:
    with site() as place, pytest.raises(ServiceFailed, match="another program"):
        Broker(
            validator=object(),  # type: ignore[arg-type]
            clock=place.clock,
            record=place.record,
            port=place.broker.mqtt.port,
        ).start()


def test_connections_that_come_while_the_broker_stops_are_closed() -> None:
    with site(limits=Limits(max_pending=1000)) as place:
        stop = threading.Event()
        failures: list[str] = []

        def knock() -> None:
            while not stop.is_set():
                try:
                    client = place.client()
                except OSError:
                    continue
                if not client.ended():
                    failures.append("still open")

        knocking = threading.Thread(target=knock)
        knocking.start()
        for _ in range(5):
            place.broker.restart()
        stop.set()
        place.broker.stop()
        knocking.join(10)
        assert not knocking.is_alive()
        assert failures == []


def test_the_names_of_amqtt_that_are_replaced_exist() -> None:
    """A replaced method that is called no longer would fail silently: behind an open door."""
    assert amqtt.__version__.startswith("0.12.")
    replaced = [
        "_initialize_client_session",
        "_handle_client_session",
        "_cleanup_session",
        "_session_monitor",
        "_topic_filtering",
        "_broadcast_message",
        "_broadcast_loop",
        "_matches",
    ]
    for name in replaced:
        theirs, ours = getattr(AmqttBroker, name), InnerBroker.__dict__[name]
        assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours), name
        assert len(inspect.signature(theirs).parameters) == len(inspect.signature(ours).parameters), name
    own = {name for name in InnerBroker.__dict__ if name in dir(AmqttBroker) and not name.startswith("__")}
    assert own <= {*replaced, "__init__"}
    assert "_init_states" in AmqttSession.__dict__
    assert {name for name in Session.__dict__ if name in dir(AmqttSession)} <= {
        "__init__",
        "__module__",
        "__doc__",
        "__hash__",
        "__eq__",
        "_init_states",
        "__firstlineno__",
        "__static_attributes__",
    }
    used = (
        "external_connected",
        "_client_connected",
        "add_subscription",
        "retain_message",
        "start",
        "shutdown",
    )
    assert all(inspect.iscoroutinefunction(getattr(AmqttBroker, name)) for name in used)


def test_amqtt_never_sees_a_token() -> None:
    with site() as place:
        token = place.token()
        place.connect("dev-1", token=token, clean=False)
        inner = place.broker._inner
        assert inner is not None
        session, _ = inner._sessions["dev-1"]
        assert (session.username, session.password) == ("dev-1", None)
        assert token not in repr(vars(session))
