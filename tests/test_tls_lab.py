"""A lab over TLS, by one option: what is seen on the way, what is bound, what is left behind."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_broker import Client
from support_broker5 import Client5
from support_websocket import upgraded

from labkit import Lab
from labkit.broker import Broker
from labkit.cli.serving import facts
from labkit.errors import ConnectionFailed, ServiceFailed
from labkit.wire import Connack, Connect, v5
from labkit.wire.tap import Tap


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(tls=True) as running:
        yield running


def test_one_option_encrypts_everything_and_leaves_the_plain_listeners(lab: Lab) -> None:
    assert lab.issuer.startswith("https://127.0.0.1:")
    assert lab.mqtts is not None
    assert lab.wss is not None
    assert (lab.mqtts.scheme, lab.wss.scheme, lab.wss.path) == ("mqtts", "wss", "/mqtt")
    lab.register("dev-1")
    for tls in (True, False):
        with lab.device("dev-1", tls=tls) as device:
            device.subscribe("devices/dev-1/#")
            device.publish("devices/dev-1/up", "1")
            assert device.receive().payload == b"1"


@pytest.mark.conformance("RS-36")
@pytest.mark.parametrize("tls", [False, True])
def test_what_somebody_on_the_way_reads(lab: Lab, tls: bool) -> None:
    """In plain MQTT the token stands in the bytes.  Over TLS nothing of it does."""
    lab.register("dev-seen")
    with Tap(lab.listener("tcp", tls=tls)) as tap:
        device = lab.device("dev-seen", tls=tls, host=tap.endpoint.host, port=tap.endpoint.port)
        with device:
            token = device.token()
            device.publish("devices/dev-seen/up", "a-payload-of-some-length")
        seen = b"".join(packet.data for packet in tap.packets)
    assert len(seen) > 500
    parts = [token.encode(), *(part.encode() for part in token.split(".")), b"dev-seen", b"a-payload-of-some"]
    assert [part in seen for part in parts] == [not tls] * len(parts)


def test_servers_come_back_with_the_same_addresses_and_certificates() -> None:
    with Lab(tls=True) as lab:
        lab.register("dev-1", certificate_bound=True)
        before = lab.issuer, lab.mqtts, lab.wss, lab.ca_file
        for server in (lab.authserver, lab.broker):
            server.restart()
        assert before == (lab.issuer, lab.mqtts, lab.wss, lab.ca_file)
        with lab.device("dev-1") as device:
            assert device.connected


@pytest.mark.parametrize("validation", ["jwt", "introspection", "both"])
def test_the_broker_asks_over_https(validation: Any) -> None:
    with Lab(tls=True, validation=validation) as lab:
        lab.register("dev-1")
        with lab.device("dev-1") as device:
            assert device.connected


def _line(lab: Lab, scheme: str, kind: type[Client], context: ssl.SSLContext) -> Client:
    """A raw client of mqtts or wss."""
    endpoint = getattr(lab, scheme)
    if scheme == "wss":
        return kind(endpoint.port, upgraded(endpoint.port, context=context, host="127.0.0.1"))
    tcp = socket.create_connection(("127.0.0.1", endpoint.port), timeout=5)
    return kind(endpoint.port, context.wrap_socket(tcp, server_hostname="127.0.0.1"))


def _code(lab: Lab, scheme: str, version: int, token: str, certificate_of: str | None) -> int:
    """What CONNACK says to a token of bound-a, with the certificate of a device or none."""
    context = ssl.create_default_context(cafile=lab.ca_file)
    if certificate_of is not None:
        context.load_cert_chain(*lab.certificate(certificate_of))
    with _line(lab, scheme, Client5 if version == 5 else Client, context) as client:
        if isinstance(client, Client5):
            client.say(v5.Connect(client_id="bound-a", password=token.encode()))
            return client.expect(v5.Connack).reason_code
        client.send(Connect(client_id="bound-a", username="x", password=token.encode()))
        return client.expect(Connack).return_code


@pytest.mark.conformance("RS-39", "AS-26")
@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
@pytest.mark.parametrize(("version", "no"), [(4, 4), (5, 0x86)])
def test_a_bound_token_comes_in_with_its_certificate_only(
    lab: Lab, scheme: str, version: int, no: int
) -> None:
    for name in ("bound-a", "bound-b"):
        lab.register(name, certificate_bound=True)
    token = lab.token("bound-a")
    assert _code(lab, scheme, version, token, "bound-b") == no
    assert _code(lab, scheme, version, token, None) == no
    assert _code(lab, scheme, version, token, "bound-a") == 0


def test_a_bound_token_is_no_good_on_the_plain_listener(lab: Lab) -> None:
    lab.register("bound-c", certificate_bound=True)
    token = lab.token("bound-c")
    with Client(lab.mqtt.port) as client:
        assert client.connect("bound-c", token).return_code == 4
    with lab.device("bound-c") as device:  # shows its certificate to both
        device.refresh()
        assert device.connected
    with pytest.raises(ConnectionFailed):
        lab.device("bound-c", tls=False).connect()


def test_a_certificate_of_another_authority_ends_the_handshake(lab: Lab) -> None:
    with Lab(tls=True) as other:
        files = other.certificate("dev-1")
        context = ssl.create_default_context(cafile=lab.ca_file)
        context.load_cert_chain(*files)
    assert lab.mqtts is not None
    with socket.create_connection(("127.0.0.1", lab.mqtts.port), timeout=5) as tcp:
        try:
            line = context.wrap_socket(tcp, server_hostname="127.0.0.1")
            assert line.recv(1) == b""  # TLS 1.3: the client learns of it when it reads
        except (ssl.SSLError, ConnectionError):
            pass
        else:
            line.close()
    lab.record.wait("tls.failed", source="broker", listener="mqtts")


def test_files_are_gone_after_the_stop() -> None:
    lab = Lab(tls=True)
    lab.register("dev-1", certificate_bound=True)
    assert lab.ca_file is not None
    files = [Path(name) for name in (lab.ca_file, *lab.certificate("dev-1"))]
    assert all(file.exists() for file in files)
    lab.stop()
    assert not files[0].parent.exists()
    with pytest.raises(ServiceFailed, match="has stopped"):
        lab.certificate("dev-1")


def test_without_tls_there_is_none() -> None:
    with Lab() as lab:
        assert (lab.mqtts, lab.wss, lab.ca_file) == (None, None, None)
        lab.register("dev-1")
        for question in (lambda: lab.certificate("dev-1"), lambda: lab.device("dev-1", tls=True)):
            with pytest.raises(ServiceFailed, match=r"Lab\(tls=True\)"):
                question()


@pytest.mark.conformance("RS-36")
@pytest.mark.parametrize("anyway", [False, True])
def test_only_what_is_encrypted_leaves_this_machine(anyway: bool) -> None:
    host = "Localhost"  # to labkit a name like any other; to this machine, itself
    with Lab(tls=True, host=host, plaintext_anywhere=anyway) as lab:
        assert lab.mqtts is not None
        assert lab.wss is not None
        assert lab.issuer.startswith(f"https://{host}:")
        assert lab.mqtts.host == lab.wss.host == host
        assert lab.mqtt.host == lab.ws.host == (host if anyway else "127.0.0.1")
        lab.register("dev-1")
        with lab.device("dev-1") as device:
            assert device.connected


@pytest.mark.conformance("RS-36", "AS-03")
def test_without_tls_nothing_does() -> None:
    with pytest.raises(ServiceFailed, match="use tls"):
        Lab(host="192.0.2.1")
    with pytest.raises(ServiceFailed, match="use tls"):
        Lab(host="192.0.2.1", plaintext_anywhere=True)
    with pytest.raises(ServiceFailed, match=r"tokens in clear to 192\.0\.2\.1: use tls"):
        Broker(validator=None, clock=None, record=None, host="192.0.2.1")  # type: ignore[arg-type]


def test_what_programs_are_told(lab: Lab) -> None:
    told = facts(lab, [])
    assert lab.mqtts is not None
    assert lab.wss is not None
    assert told["mqtts"] == {"host": lab.mqtts.host, "port": lab.mqtts.port}
    assert told["wss"] == {"url": lab.wss.url}
    assert told["ca_file"] == lab.ca_file
    assert told["token_endpoint"].startswith("https://")


@pytest.mark.conformance("RS-53")
@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_enhanced_authentication_over_tls(lab: Lab, scheme: str) -> None:
    """OAUTHBEARER (RFC 7628 §3: TLS), and a new token on a live connection."""
    lab.register("sasl-1")
    context = ssl.create_default_context(cafile=lab.ca_file)
    with _line(lab, scheme, Client5, context) as client:
        assert isinstance(client, Client5)
        client.say(
            v5.Connect(
                client_id="sasl-1", properties=_bearer(lab.token("sasl-1"))
            )  # the token in kvsep syntax
        )
        assert client.expect(v5.Connack).reason_code == 0
        client.say(v5.Auth(reason_code=0x19, properties=_bearer(lab.token("sasl-1"))))
        assert client.expect(v5.Auth).reason_code == 0


def _bearer(token: str) -> Any:
    message = f"n,,\x01auth=Bearer {token}\x01\x01".encode()
    return {
        v5.Property.AUTHENTICATION_METHOD: "OAUTHBEARER",
        v5.Property.AUTHENTICATION_DATA: message,
    }
