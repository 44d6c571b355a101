"""The tap passes everything on, and writes it down."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mqtt5
import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support_broker import Client, site

from labkit.errors import ServiceFailed
from labkit.service import Endpoint
from labkit.wire import Connack, Connect, Disconnect, Tap, encode, frame, parse, recording

TIMEOUT = 5.0


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """A server of our own, which talks with one client as it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(TIMEOUT)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(TIMEOUT)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Endpoint(scheme="mqtt", host="127.0.0.1", port=listening.getsockname()[1])
        finally:
            thread.join(TIMEOUT)
    assert not thread.is_alive()


@contextmanager
def connected(tap: Tap) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", tap.endpoint.port), TIMEOUT) as line:
        yield line


def take(line: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer when the other side ends."""
    data = b""
    while len(data) < count and (more := line.recv(count - len(data))):
        data += more
    return data


def test_the_tap_sees_both_sides_of_a_conversation_in_order() -> None:
    with site() as place, Tap(place.broker.mqtt) as tap:
        with Client(tap.endpoint.port) as client:
            client.connect("dev-1", place.token())
            client.publish("devices/dev-1/x", b"1")
            client.send(Disconnect())
            assert client.ended()
        seen = tap.wait(5)
    assert [(t.connection, t.sender, t.version, type(parse(t.data)).__name__) for t in seen] == [
        (1, "client", 4, "Connect"),
        (1, "server", 4, "Connack"),
        (1, "client", 4, "Publish"),
        (1, "server", 4, "Puback"),
        (1, "client", 4, "Disconnect"),
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


def test_mqtt_5_is_read_as_such_on_both_sides_also_when_it_comes_in_crumbs() -> None:
    connect = mqtt5.ConnectPacket("dev-1", authentication_method="M", authentication_data=b"1").write()
    challenge = mqtt5.AuthPacket(
        reason_code=mqtt5.AuthReasonCode.CONTINUE_AUTHENTICATION, authentication_method="M"
    ).write()
    connack = mqtt5.ConnAckPacket(authentication_method="M").write()

    def talk(line: socket.socket) -> None:
        assert take(line, len(connect)) == connect
        line.sendall(challenge[:1])  # AUTH, of which 3.1.1 says that it is no packet
        assert take(line, 1) == b"\xc0"
        line.sendall(challenge[1:])
        assert take(line, 1) == b"\0"
        line.sendall(connack)

    with server(talk) as target, Tap(target) as tap:
        with connected(tap) as line:
            line.sendall(connect)
            assert take(line, 1) == challenge[:1]
            line.sendall(b"\xc0")  # PINGREQ, in two pieces
            assert take(line, len(challenge) - 1) == challenge[1:]
            line.sendall(b"\0")
            assert take(line, len(connack)) == connack
        seen = tap.wait(4)
    assert [t.data for t in seen] == [connect, challenge, b"\xc0\0", connack]
    assert {t.version for t in seen} == {5}
    assert [t.dissect()[0].meaning.split(",")[0] for t in seen] == ["CONNECT", "AUTH", "PINGREQ", "CONNACK"]
    assert all(t.dissect().valid for t in seen)


def test_paho_with_mqtt_5_is_refused_in_mqtt_5() -> None:
    """The refusal is in the broker's words, and is read as such."""
    answers: list[str] = []
    with site() as place, Tap(place.broker.mqtt) as tap:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, "dev-1", protocol=paho.MQTTv5)
        client.on_connect = lambda c, data, flags, reason, properties: answers.append(str(reason))
        client.connect("127.0.0.1", tap.endpoint.port)
        while not answers and client.loop(0.1) == paho.MQTT_ERR_SUCCESS:
            pass
        client.disconnect()
        [connect, connack, *_] = tap.wait(2)
    assert answers == ["Bad user name or password"]
    assert (connect.version, connack.version) == (5, 5)
    assert connect.dissect().valid
    assert connack.dissect().valid


def test_what_is_no_mqtt_is_passed_on_and_written_down_too() -> None:
    with site() as place, Tap(place.broker.mqtt) as tap, Client(tap.endpoint.port) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.ended()
        client.close()
        assert tap.wait(1)[0].data == b"GET / HTTP/1.1\r\n\r\n"


def _contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's side of TLS with a certificate for this test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pem)
    return theirs, ssl.create_default_context(cafile=pem)


def test_tls_passes_as_bytes_that_nobody_takes_for_packets(tmp_path: Path) -> None:
    theirs, ours = _contexts(tmp_path)
    connect, connack = encode(Connect(client_id="dev-1")), encode(Connack())

    def talk(line: socket.socket) -> None:
        with theirs.wrap_socket(line, server_side=True) as secured:
            assert take(secured, len(connect)) == connect
            secured.sendall(connack)
            assert take(secured, 1) == b""

    with server(talk) as target, Tap(target) as tap:
        with connected(tap) as line, ours.wrap_socket(line, server_hostname="localhost") as secured:
            secured.sendall(connect)
            assert take(secured, 4) == connack
        seen = tap.packets
    assert {t.sender for t in seen} == {"client", "server"}
    assert seen[0].data[:2] == b"\x16\x03"  # a handshake record of TLS, whole
    assert len(seen[0].data) == 5 + int.from_bytes(seen[0].data[3:5])
    assert b"dev-1" not in b"".join(t.data for t in seen)
    assert not any(t.dissect().valid for t in seen)


def test_of_a_very_long_packet_the_beginning_is_kept_and_the_rest_is_passed_on() -> None:
    long = frame(0x30, b"\0\1t" + bytes(3 * recording.LONGEST))

    def talk(line: socket.socket) -> None:
        assert take(line, len(long) + 2) == long + b"\xc0\0"
        line.sendall(b"\xd0\0")

    with server(talk) as target, Tap(target) as tap:
        with connected(tap) as line:
            line.sendall(long + b"\xc0\0")
            assert take(line, 2) == b"\xd0\0"
        [publish, ping, answer] = tap.wait(3)
    assert publish.data == long[: len(publish.data)]
    assert 0 < len(publish.data) < recording.LONGEST
    assert len(publish.data) + publish.cut == len(long)
    assert f"{publish.cut} bytes more are not kept" in str(publish)
    assert (ping.data, answer.data) == (b"\xc0\0", b"\xd0\0")


@pytest.mark.parametrize(("limit", "value"), [("_MOST_PACKETS", 2), ("_MOST_BYTES", 5)])
def test_a_full_record_counts_what_it_misses(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, limit, value)

    def talk(line: socket.socket) -> None:
        assert take(line, 6) == b"\xc0\0" * 3
        line.sendall(b"\xd0\0")

    with server(talk) as target, Tap(target) as tap:
        with connected(tap) as line:
            line.sendall(b"\xc0\0" * 3)
            assert take(line, 2) == b"\xd0\0"
        assert [t.data for t in tap.packets] == [b"\xc0\0"] * 2
        assert tap.missed == 2


def test_a_tap_stops_while_somebody_talks_and_starts_again_on_its_port() -> None:
    with site() as place:
        tap = Tap(place.broker.mqtt).start()
        port = tap.endpoint.port
        with Client(port) as client:
            client.connect("dev-1", place.token())
            tap.stop()
            assert client.ended()
        assert not any(thread.name == "labkit-tap" for thread in threading.enumerate())
        with tap.start(), Client(port) as client:
            client.connect("dev-1", place.token())
        assert [t.connection for t in tap.packets if t.data[0] == 0x10] == [1, 2]


def test_a_tap_on_a_dead_server_closes_and_stops() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        target = Endpoint(scheme="mqtt", host="127.0.0.1", port=unused.getsockname()[1])
    with Tap(target) as tap, Client(tap.endpoint.port) as client:
        assert client.ended()


def test_a_tap_has_no_endpoint_before_it_started() -> None:
    with pytest.raises(ServiceFailed, match="start it"):
        _ = Tap(Endpoint(scheme="mqtt", host="127.0.0.1", port=1)).endpoint
