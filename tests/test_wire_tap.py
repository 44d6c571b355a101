"""The tap passes everything on, and writes it down."""

import socket

import pytest
from support_broker import Client, site

from labkit.errors import ServiceFailed
from labkit.service import Endpoint
from labkit.wire import Connack, Connect, Disconnect, Tap, parse


def test_the_tap_sees_both_sides_of_a_conversation_in_order() -> None:
    with site() as place, Tap(place.broker.mqtt) as tap:
        with Client(tap.endpoint.port) as client:
            client.connect("dev-1", place.token())
            client.publish("devices/dev-1/x", b"1")
            client.send(Disconnect())
            assert client.ended()
        seen = tap.wait(5)
    assert [(t.connection, t.sender, type(parse(t.data)).__name__) for t in seen] == [
        (1, "client", "Connect"),
        (1, "server", "Connack"),
        (1, "client", "Publish"),
        (1, "server", "Puback"),
        (1, "client", "Disconnect"),
    ]


def test_what_the_tap_shows_hides_the_token() -> None:
    with site() as place, Tap(place.broker.mqtt) as tap:
        token = place.token()
        with Client(tap.endpoint.port) as client:
            client.connect("dev-1", token)
        [connect, connack] = tap.wait(2)
    assert isinstance(parse(connect.data), Connect)
    assert isinstance(parse(connack.data), Connack)
    assert token not in str(connect) + repr(connect)
    assert token in str(connect.dissect(secrets=True))


def test_what_is_no_mqtt_is_passed_on_and_written_down_too() -> None:
    with site() as place, Tap(place.broker.mqtt) as tap, Client(tap.endpoint.port) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.ended()
        client.close()
        assert tap.wait(1)[0].data == b"GET / HTTP/1.1\r\n\r\n"


def test_a_tap_on_a_dead_server_closes_and_stops() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = Endpoint(scheme="mqtt", host="127.0.0.1", port=unused.getsockname()[1])
    with Tap(target) as tap, Client(tap.endpoint.port) as client:
        assert client.ended()


def test_a_tap_has_no_endpoint_before_it_started() -> None:
    with pytest.raises(ServiceFailed, match="start it"):
        _ = Tap(Endpoint(scheme="mqtt", host="127.0.0.1", port=1)).endpoint
