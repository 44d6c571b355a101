"""The lab as a whole: real HTTP, real MQTT, real tokens, one clock."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labkit import Lab
from labkit.errors import RegistrationRefused, ServiceFailed, TokenRequestFailed
from labkit.wire import Connect, encode


@contextmanager
def _connected(lab: Lab, client_id: str, token: str, return_code: int = 0) -> Iterator[socket.socket]:
    """A connection made by hand, which never refreshes its token."""
    with socket.create_connection((lab.mqtt.host, lab.mqtt.port), timeout=5) as line:
        line.sendall(encode(Connect(client_id=client_id, username=client_id, password=token.encode())))
        assert line.recv(4) == bytes((0x20, 2, 0, return_code))
        yield line


def test_the_whole_story(lab: Lab) -> None:
    lab.register("thermostat-1", publish=["devices/thermostat-1/#"], subscribe=["cmd/thermostat-1/#"])
    lab.register("panel", publish=["cmd/#"], subscribe=["devices/#"])
    with lab.device("thermostat-1") as thermostat, lab.device("panel") as panel:
        panel.subscribe("devices/+/temperature")
        thermostat.subscribe("cmd/thermostat-1/#")
        thermostat.publish("devices/thermostat-1/temperature", "21.5")
        message = panel.receive()
        assert (message.topic, message.payload) == ("devices/thermostat-1/temperature", b"21.5")
        panel.publish("cmd/thermostat-1/target", "20")
        assert thermostat.receive().payload == b"20"


def test_time_moves_all_parties_and_devices_refresh_on_the_way(lab: Lab) -> None:
    lab.register("thermostat-1", lifetime=300)
    with lab.device("thermostat-1") as device:
        mark = lab.record.mark()
        lab.clock.advance(hours=1)
        refreshed = lab.record.events("refreshed", since=mark)
        assert 13 <= len(refreshed) <= 18
        assert not lab.record.events("token.expired", since=mark)
        device.publish("devices/thermostat-1/temperature", "21.5")


def test_expiry_is_seen_before_advance_returns(lab: Lab) -> None:
    lab.register("thermostat-1", lifetime=300)
    with _connected(lab, "thermostat-1", lab.token("thermostat-1")) as line:
        lab.clock.advance(seconds=298)
        assert not lab.record.events("token.expired")
        lab.clock.advance(seconds=2)
        assert lab.record.events("token.expired", client_id="thermostat-1")
        assert not lab.broker.connections
        assert line.recv(1) == b""


def test_the_broker_outlives_the_authorization_server_and_the_other_way_round(lab: Lab) -> None:
    lab.register("thermostat-1")
    device = lab.device("thermostat-1")
    device.connect()
    lab.authserver.stop()
    device.publish("devices/thermostat-1/temperature", "21.5")
    with pytest.raises(TokenRequestFailed):
        lab.token("thermostat-1")
    lab.authserver.start()
    token = lab.token("thermostat-1")
    lab.broker.stop()
    assert lab.token("thermostat-1") != token
    lab.broker.start()
    device.disconnect()
    with lab.device("thermostat-1") as again:
        again.publish("devices/thermostat-1/temperature", "21.6")


def test_a_revoked_device_is_disconnected_at_once(lab: Lab) -> None:
    lab.register("thermostat-1")
    with lab.device("thermostat-1"):
        lab.revoke("thermostat-1")
        lab.record.wait("token.revoked", source="broker", client_id="thermostat-1")


def test_starting_again_replaces_the_earlier_lab() -> None:
    first = Lab.start()
    try:
        second = Lab.start()
        assert not first.broker.running
        assert not first.authserver.running
        assert second.broker.running
    finally:
        Lab.start().stop()
    assert not second.broker.running


def test_a_device_that_nobody_registered_is_a_sentence(lab: Lab) -> None:
    lab.register("thermostat-1")
    with pytest.raises(RegistrationRefused, match=r"lab\.register\('thermostat-2'\) first .*thermostat-1"):
        lab.device("thermostat-2")


def test_nothing_plain_leaves_loopback() -> None:
    with pytest.raises(ServiceFailed, match="loopback"):
        Lab(host="0.0.0.0")


def test_a_stopped_lab_leaves_no_thread_and_may_be_stopped_twice() -> None:
    before = set(threading.enumerate())
    with Lab() as lab:
        lab.register("thermostat-1")
        with lab.device("thermostat-1"):
            pass
    lab.stop()
    assert set(threading.enumerate()) <= before


def test_a_token_under_another_client_id_is_refused(lab: Lab) -> None:
    lab.register("thermostat-1")
    lab.register("thermostat-2")
    with _connected(lab, "thermostat-2", lab.token("thermostat-1"), return_code=5) as line:
        assert line.recv(1) == b""


def test_a_second_device_of_the_same_name_does_not_fight_the_first(lab: Lab) -> None:
    lab.register("thermostat-1")
    first = lab.device("thermostat-1").connect()
    with lab.device("thermostat-1") as second:
        assert not first.connected
        second.publish("devices/thermostat-1/temperature", "21.5")
    assert not lab.record.events("taken-over")
