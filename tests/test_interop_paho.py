"""Eclipse Paho's Python client, unchanged, over each listener, in both versions, with each carrier."""

import contextlib
import socket
import ssl
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import support_paho
from support_interop import interop_lab
from support_paho import Inside

from labkit import Lab

TOPIC = "devices/thing/echo"
WAYS = [
    ("mqtt", "password"),
    ("mqtt", "username"),
    ("mqtts", "password"),
    ("mqtts", "username"),
    ("ws", "password"),
    ("ws", "username"),
    ("ws", "header"),
    ("wss", "password"),
    ("wss", "header"),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with interop_lab(tls=True) as running:
        yield running


def inside(lab: Lab, scheme: str, *told: Any, **tls: Any) -> contextlib.AbstractContextManager[Inside]:
    return support_paho.inside(getattr(lab, scheme).url, "thing", *told, **tls)


@pytest.mark.parametrize(
    ("scheme", "carrier", "version"),
    [(*way, version) for way in WAYS for version in (4, 5)]
    + [("mqtt", "OAUTH2-JWT", 5), ("wss", "OAUTH2-JWT", 5)],
)
def test_a_message_comes_back(lab: Lab, scheme: str, carrier: str, version: int) -> None:
    mark = lab.record.mark()
    with inside(lab, scheme, version, carrier, lab.token("thing"), ca_certs=lab.ca_file) as client:
        assert client.answers.get(timeout=10) == 0
        accepted = lab.record.wait("connect.accepted", client_id="thing", since=mark)
        assert accepted["carrier"] == ("enhanced" if carrier == "OAUTH2-JWT" else carrier)
        client.paho.subscribe(TOPIC, 2)
        assert client.answers.get(timeout=10) == 2
        for qos in (0, 1, 2):
            client.paho.publish(TOPIC, b"%d" % qos, qos)
            assert client.messages.get(timeout=10) == b"%d" % qos


@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])
@pytest.mark.parametrize(("scheme", "carrier"), WAYS)
def test_another_devices_token_opens_nothing(lab: Lab, scheme: str, carrier: str, version: int) -> None:
    with inside(lab, scheme, version, carrier, lab.token("other"), ca_certs=lab.ca_file) as client:
        assert client.answers.get(timeout=10).getName() == "Not authorized"


def test_being_sent_away_has_a_code(lab: Lab) -> None:
    for scheme in ("mqtts", "wss"):
        with inside(lab, scheme, 5, "password", lab.token("thing"), ca_certs=lab.ca_file) as client:
            assert client.answers.get(timeout=10) == 0
            lab.broker.disconnect("thing")
            assert client.endings.get(timeout=10).value == 0x98


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_an_authority_that_it_does_not_know_is_refused(lab: Lab, scheme: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError) as refusal:
        Inside(getattr(lab, scheme).url, "thing", 5, "password", lab.token("thing"))
    for frame, _ in traceback.walk_tb(refusal.tb):  # paho leaves the socket of a failed handshake open
        for sock in frame.f_locals.values():
            if isinstance(sock, socket.socket):
                sock.close()
