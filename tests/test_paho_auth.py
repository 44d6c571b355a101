"""The paho client that speaks AUTH: against the real gate, and against servers that break the rules."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from support_broker import Site, site
from support_broker5 import enter
from support_tokens import private_key, public_jwk

from labkit.auth_methods import METHODS, OAuth2Jwt, OAuth2Pop, OAuthBearer
from labkit.broker import Limits
from labkit.paho_auth import AuthClient, TooLong
from labkit.tokens.thumbprint import thumbprint
from labkit.wire import Framer, v5
from labkit.wire.v5 import Property

KEY = "device key"
NAME, DATA = Property.AUTHENTICATION_METHOD, Property.AUTHENTICATION_DATA


class Inside:
    """A client whose network thread runs, with what it is told in queues."""

    def __init__(self, port: int, method: str | None, token: str, key: Any = None, **options: Any) -> None:
        self.answers: Queue[Any] = Queue()
        self.swapped: Queue[bool] = Queue()
        self.endings: Queue[Any] = Queue()
        self.refused: Queue[tuple[str, int]] = Queue()
        self.paho = client = AuthClient("dev-1", **options)
        client.on_connect = lambda *args: self.answers.put(args[3])
        client.on_disconnect = lambda *args: self.endings.put(args[3])
        client.on_reauthenticated = lambda: self.swapped.put(True)
        client.on_refused = lambda *args: self.refused.put(args)
        self.port = port
        if method is None:
            client.username_pw_set("dev-1", token)
        key = key or private_key("ES256", KEY)
        client.aim("127.0.0.1", port, 60, None if method is None else METHODS[method](key), token)

    def go(self) -> Any:
        """Connect; the reason code of CONNACK."""
        self.paho.reconnect()
        self.paho.loop_start()
        return self.answers.get(timeout=10)

    def swap(self, token: str) -> None:
        self.paho.reauthenticate(token)
        assert self.swapped.get(timeout=10)

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()
        self.paho.close()


@contextlib.contextmanager
def inside(*args: Any, **options: Any) -> Iterator[Inside]:
    client = Inside(*args, **options)
    try:
        yield client
    finally:
        client.close()


def token_for(place: Site, method: str | None, **options: Any) -> str:
    if method == "OAUTH2-POP":
        options["cnf"] = {"jkt": thumbprint(public_jwk("ES256", KEY))}
    return place.token("dev-1", **options)


@pytest.mark.parametrize("method", METHODS)
def test_in_by_each_method_and_another_token_without_a_gap(place: Site, method: str) -> None:
    with inside(place.broker.mqtt.port, method, token_for(place, method)) as client:
        assert client.go() == 0
        before = place.broker.connections[0].jti
        client.swap(token_for(place, method))
        client.swap(token_for(place, method))
        assert place.broker.connections[0].jti not in (before, "")
        client.paho.publish("devices/dev-1/x", b"1", 1).wait_for_publish(10)
        assert client.endings.empty()
        assert len(place.record.events("reauth.accepted")) == 2


@pytest.mark.parametrize("kind", ["P-256", "P-256 as a JWK", "Ed25519", "Ed25519 as a JWK"])
def test_keys_that_prove(place: Site, kind: str) -> None:
    key: Any = ec.generate_private_key(ec.SECP256R1()) if "P" in kind else None
    if kind.startswith("Ed"):
        key = ed25519.Ed25519PrivateKey.generate()
    algorithm: Any = OKPAlgorithm if kind.startswith("Ed") else ECAlgorithm
    public = json.loads(algorithm.to_jwk(key.public_key()))
    shown = json.loads(algorithm.to_jwk(key)) if "JWK" in kind else key
    token = place.token("dev-1", cnf={"jkt": thumbprint(public)})
    with inside(place.broker.mqtt.port, "OAUTH2-POP", token, shown) as client:
        assert client.go() == 0


@pytest.mark.parametrize("key", [None, "a password", {}, {"kty": "EC", "crv": "P-256"}, 17])
def test_a_key_that_is_none_gets_a_sentence(key: Any) -> None:
    with pytest.raises(ValueError, match="private key of P-256 or Ed25519"):
        OAuth2Pop(key)
    with pytest.raises(ValueError, match="private key of P-256 or Ed25519"):
        OAuth2Pop(ec.generate_private_key(ec.SECP384R1()))


@pytest.mark.parametrize("method", METHODS)
def test_a_bad_token_is_refused_with_its_code(place: Site, method: str) -> None:
    with inside(place.broker.mqtt.port, method, place.issuer.tampered("dev-1")) as client:
        assert client.go().value == 0x87
        assert client.paho.objection == ""


def test_a_reauthentication_that_fails_ends_with_its_code(place: Site) -> None:
    with inside(place.broker.mqtt.port, "OAUTHBEARER", place.token()) as client:
        assert client.go() == 0
        client.paho.reauthenticate(place.token("dev-2"))
        assert client.endings.get(timeout=10).value == 0x87


def test_reauthentication_has_its_time(place: Site) -> None:
    with inside(place.broker.mqtt.port, "OAUTH2-JWT", place.token()) as client:
        with pytest.raises(ValueError, match="came in by an authentication method"):
            client.paho.reauthenticate(place.token())
        assert client.go() == 0
        client.paho._in_talk = True  # one is under way
        with pytest.raises(ValueError, match="wait for the outcome"):
            client.paho.reauthenticate(place.token())
    with inside(place.broker.mqtt.port, None, place.token()) as client:
        assert client.go() == 0
        with pytest.raises(ValueError, match="came in by an authentication method"):
            client.paho.reauthenticate(place.token())


@pytest.mark.parametrize("qos", [1, 2])
def test_ten_tokens_under_traffic_lose_and_double_nothing(place: Site, qos: int) -> None:
    with (
        enter(place, "dev-2", token=place.token("dev-2", subscribe=("devices/#",))) as reader,
        inside(place.broker.mqtt.port, "OAUTH2-JWT", place.token()) as client,
    ):
        reader.ask("devices/#")
        assert client.go() == 0
        for n in range(300):
            client.paho.publish("devices/dev-1/n", str(n).encode(), qos)
            if n % 30 == 15:
                client.swap(place.token())
        got: list[int] = []
        while len(got) < 300:
            packet = reader.receive()
            if isinstance(packet, v5.Publish):
                got.append(int(packet.payload))
                reader.say((v5.Puback if qos == 1 else v5.Pubrec)(packet_id=packet.packet_id))
            elif isinstance(packet, v5.Pubrel):
                reader.say(v5.Pubcomp(packet_id=packet.packet_id))
        assert got == list(range(300))
        assert client.endings.empty()


@pytest.mark.parametrize("qos", [1, 2])
def test_a_refused_message_says_so(place: Site, qos: int) -> None:
    with inside(place.broker.mqtt.port, "OAUTH2-JWT", place.token()) as client:
        assert client.go() == 0
        message = client.paho.publish("devices/dev-2/x", b"1", qos)
        assert client.refused.get(timeout=10) == ("devices/dev-2/x", 0x87)
        assert message.rc == 0x87
        client.paho.publish("devices/dev-1/x", b"1", qos).wait_for_publish(10)


def test_a_message_that_the_broker_does_not_take_is_never_sent() -> None:
    with site(limits=Limits(max_packet=2000)) as place:
        with inside(place.broker.mqtt.port, "OAUTH2-JWT", place.token()) as client:
            waiting = client.paho.publish("devices/dev-1/x", bytes(3000), 1)  # before anybody knows
            assert client.go() == 0
            assert client.refused.get(timeout=10) == ("devices/dev-1/x", 0x95)
            assert waiting.rc == 0x95
            with pytest.raises(TooLong, match="the broker takes 2000"):
                client.paho.publish("devices/dev-1/x", bytes(3000), 1)
            client.paho.publish("devices/dev-1/x", b"short", 1).wait_for_publish(10)
        assert not place.record.events("protocol.error")


def test_the_keep_alive_of_the_server_counts() -> None:
    """Plain paho does not look at it (MQTT 5 §3.2.2.3.14)."""
    with site(limits=Limits(max_keep_alive=5)) as place:
        for version, seconds in ((5, 5), (4, 60)):
            with inside(place.broker.mqtt.port, None, place.token(), version=version) as client:
                assert client.go() == 0
                assert client.paho.keepalive == seconds


def test_a_session_lives_on_and_3_1_1_still_works(place: Site) -> None:
    for version in (4, 5):
        with inside(place.broker.mqtt.port, None, place.token(), version=version) as client:
            assert client.go() == 0
            client.paho.publish("devices/dev-1/x", b"1", 1).wait_for_publish(10)


# Servers that break the rules.


def served(answer: Callable[[socket.socket, Framer], None]) -> tuple[int, threading.Thread]:
    """A server for one client, which does ``answer`` behind its CONNECT."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as sock:
            framer = Framer(1 << 20)
            framer.version = 5
            while framer.next_packet() is None:
                framer.feed(sock.recv(65536))
            answer(sock, framer)
            sock.settimeout(10)
            with contextlib.suppress(OSError):
                while sock.recv(65536):
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname()[1], thread


def auth(code: int, method: str = "OAUTH2-JWT", data: bytes = b"") -> bytes:
    return v5.encode(v5.Auth(reason_code=code, properties={NAME: method} | ({DATA: data} if data else {})))


ENTERED = v5.encode(v5.Connack(properties={NAME: "OAUTH2-JWT"}))
WRONG = [
    (auth(0x18), "has one message"),
    (auth(0x18, "OAUTHBEARER"), "another authentication method"),
    (auth(0x00), "reason code"),
    (auth(0x19), "reason code"),
    (b"\xf0\x04\x18\x02\x15\x00", "malformed"),
    (b"\xf0\x03\x18\x01\x99", "malformed"),
    (b"\xf0\x03\x18\x00\x00", "malformed"),
    (v5.encode(v5.Connack()), "does not name"),
    (ENTERED + auth(0x00), "nobody had asked"),
    (ENTERED + auth(0x18), "nobody had asked"),
    (ENTERED + b"\xf0\x00", "nobody had asked"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_a_server_that_breaks_the_rules_is_left(answer: bytes, words: str) -> None:
    port, thread = served(lambda sock, _: sock.sendall(answer))
    with inside(port, "OAUTH2-JWT", "a.b.c") as client:
        client.paho.reconnect()
        client.paho.loop_start()
        client.endings.get(timeout=10)
        assert words in client.paho.objection
    thread.join()


def test_auth_where_no_method_was_named(place: Site) -> None:
    port, thread = served(lambda sock, _: sock.sendall(auth(0x18)))
    with inside(port, None, "a.b.c") as client:
        client.paho.reconnect()
        client.paho.loop_start()
        client.endings.get(timeout=10)
        assert "nobody had asked" in client.paho.objection
    thread.join()


def test_methods_answer_only_what_makes_sense() -> None:
    with pytest.raises(ValueError, match="one message"):
        OAuth2Jwt().answer(b"?")
    for data in (b"", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError, match="RFC 7628"):
            OAuthBearer().answer(data)
    assert OAuthBearer().answer(b'{"status": "invalid_token"}') == b"\x01"
    assert OAuthBearer().first("t", "a=b,c") == b"n,a=a=3Db=2Cc,\x01auth=Bearer t\x01\x01"
    with pytest.raises(ValueError, match="ascii"):
        OAuth2Pop(private_key("ES256", KEY)).answer("nönce".encode())


@pytest.mark.parametrize("way", ["tls", "websockets"])
def test_a_handshake_that_fails_leaves_no_socket(way: str) -> None:
    port, thread = _refuser()
    client = AuthClient("dev-1", transport="websockets" if way == "websockets" else "tcp")
    if way == "tls":
        client.tls_set()
    client.aim("127.0.0.1", port, 60)
    opened: list[socket.socket] = []
    original = client._create_socket_connection

    def remember() -> socket.socket:
        opened.append(original())
        return opened[0]

    client._create_socket_connection = remember  # type: ignore[method-assign]
    with pytest.raises((OSError, paho.WebsocketConnectionError)):
        client.reconnect()
    client.close()
    assert opened[0].fileno() == -1
    thread.join()


def _refuser() -> tuple[int, threading.Thread]:
    """A server that knows neither TLS nor WebSocket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as sock:
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname()[1], thread


def test_the_private_names_of_paho_are_still_there() -> None:
    """``paho_auth`` overrides or calls these; look at it again when paho changes."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    for name in (
        "_create_socket", "_create_socket_connection", "_do_on_publish", "_handle_connack", "_handle_pubrec",
        "_max_inflight_messages", "_out_message_mutex", "_out_messages", "_pack_remaining_length",
        "_packet_handle", "_packet_queue", "_packet_write", "_reset_sockets", "_send_disconnect",
        "_ssl_context", "_ssl_wrap_socket", "_connect_timeout", "_client_id", "_host", "_in_packet",
        "_keepalive",
    ):  # fmt: skip
        assert hasattr(client, name), name
    client._reset_sockets()


def test_nothing_to_authenticate_is_nothing_new(place: Site) -> None:
    """The gate sees no difference between this client and plain paho, where no method is named."""
    with inside(place.broker.mqtt.port, None, place.token()) as client:
        assert client.go() == 0
        assert [c.carrier for c in place.broker.connections] == ["password"]
