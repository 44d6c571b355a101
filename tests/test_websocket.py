"""MQTT over WebSocket: who is let through the upgrade, with which token, and what frames may do."""

import asyncio
import logging
import socket
import threading
from typing import Any

import pytest
from support_broker import Client, Site, site
from support_broker5 import Client5
from support_websocket import answer_to, framed, request, upgraded
from websockets.frames import OP_BINARY, OP_CLOSE, OP_CONT, OP_PING, OP_PONG, OP_TEXT, Frame

from labkit.broker import Limits
from labkit.errors import ServiceFailed
from labkit.wire import Connack, Connect, Publish, encode, v5


def over(place: Site, *lines: str, kind: type[Client] = Client) -> Any:
    return framed(kind, place.broker.ws.port, *lines)


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_header_carries_the_token(place: Site, scheme: str) -> None:
    with over(place, f"Authorization: {scheme} {place.token()}") as client:
        assert client.connect("dev-1", None, username=None) == Connack()
        assert [c.carrier for c in place.broker.connections] == ["header"]
        assert client.subscribe("devices/dev-1/#") == (1,)
        client.publish("devices/dev-1/t", b"21.5", qos=0)
        assert client.expect(Publish).payload == b"21.5"


def test_a_browser_puts_it_into_connect(place: Site) -> None:
    """Its WebSocket has no way to set the header; its Origin is this machine's."""
    with over(place, "Origin: http://localhost:8888") as client:
        assert client.connect("dev-1", place.token()) == Connack()
        assert [c.carrier for c in place.broker.connections] == ["password"]


def test_version_5_by_header(place: Site) -> None:
    with over(place, bearer(place.token()), kind=Client5) as client:
        assert client.enter("dev-1", None, username=None).reason_code == 0
        assert client.ask("devices/dev-1/#") == (2,)
        place.broker.disconnect("dev-1")
        assert client.expect(v5.Disconnect).reason_code == 0x98
        assert client.ended()
        assert client.socket.closed_with == 1000


def test_the_token_of_the_header_belongs_to_one_client_identifier(place: Site) -> None:
    with over(place, bearer(place.token("dev-2"))) as client:
        assert client.connect("dev-1", None, username="dev-1") == Connack(return_code=5)
        assert client.ended()
    assert place.record.events("connect.refused")[-1]["reason"] == "wrong-client"


@pytest.mark.parametrize("same", [True, False])
def test_two_tokens_are_ambiguous(place: Site, same: bool) -> None:
    token = place.token()
    with over(place, bearer(token)) as client:
        assert client.connect("dev-1", token if same else place.token()).return_code == 4
    assert place.record.events("connect.refused")[-1]["reason"] == "ambiguous"


REFUSED = [
    # what is added, what is left out, path, status, reason
    ((), (), "/", 404, "path"),
    ((), (), "/mqtt/", 404, "path"),
    ((), (), "/mqtt?access_token=t", 400, "token-in-url"),
    ((), (), "/?access_token=", 400, "token-in-url"),
    ((), ("Host",), "/mqtt", 400, "host"),
    (("Host: 127.0.0.1",), (), "/mqtt", 400, "host"),
    (("Host: evil.example",), ("Host",), "/mqtt", 421, "host"),
    (("Host: 127.0.0.1:port",), ("Host",), "/mqtt", 400, "host"),
    (("Host: me@127.0.0.1",), ("Host",), "/mqtt", 400, "host"),
    (("Origin: https://evil.example",), (), "/mqtt", 403, "origin"),
    (("Origin: null",), (), "/mqtt", 403, "origin"),
    (("Origin: http://127.0.0.1", "Origin: http://127.0.0.1"), (), "/mqtt", 403, "origin"),
    ((), ("Sec-WebSocket-Protocol",), "/mqtt", 400, "subprotocol"),
    (("Sec-WebSocket-Protocol: chat",), ("Sec-WebSocket-Protocol",), "/mqtt", 400, "subprotocol"),
    (("Sec-WebSocket-Protocol: m q t t",), ("Sec-WebSocket-Protocol",), "/mqtt", 400, "subprotocol"),
    (("Sec-WebSocket-Version: 8",), ("Sec-WebSocket-Version",), "/mqtt", 426, "websocket-version"),
    ((), ("Sec-WebSocket-Version",), "/mqtt", 400, "websocket-key"),
    ((), ("Sec-WebSocket-Key",), "/mqtt", 400, "websocket-key"),
    (("Sec-WebSocket-Key: short",), ("Sec-WebSocket-Key",), "/mqtt", 400, "websocket-key"),
    ((), ("Upgrade",), "/mqtt", 426, "no-upgrade"),
    ((), ("Connection",), "/mqtt", 426, "no-upgrade"),
    (("Authorization: Basic ZGV2OnNlY3JldA==",), (), "/mqtt", 401, "authorization-scheme"),
    (("Authorization: Bearer",), (), "/mqtt", 400, "authorization"),
    (("Authorization:",), (), "/mqtt", 400, "authorization"),
    (("Authorization: Bearer a b",), (), "/mqtt", 400, "authorization"),
    (("Authorization: Bearer a\tb",), (), "/mqtt", 400, "authorization"),
    (("Authorization: Bearer a", "Authorization: Bearer a"), (), "/mqtt", 400, "authorization"),
    (("X: " + "x" * 8200,), (), "/mqtt", 431, "head-too-long"),
    (("X: " + "x" * 8000, "Y: " + "y" * 8000, "Z: " + "z" * 600), (), "/mqtt", 431, "head-too-long"),
    (("no header",), (), "/mqtt", 400, "request"),
    (("Content-Length: 5",), (), "/mqtt", 400, "request"),
]


@pytest.mark.parametrize(("added", "dropped", "path", "status", "reason"), REFUSED)
def test_a_request_is_turned_away_with_a_sentence(
    place: Site, added: tuple[str, ...], dropped: tuple[str, ...], path: str, status: int, reason: str
) -> None:
    port = place.broker.ws.port
    code, headers, body = answer_to(port, request(*added, port=port, path=path, drop=dropped))
    assert (code, place.record.wait("upgrade.refused")["reason"]) == (status, reason)
    assert body.endswith(".\n")
    assert headers["connection"] == "close"
    if reason.startswith("authorization"):  # RFC 6750 §3
        assert headers["www-authenticate"].startswith('Bearer realm="mqtt"')
    if status == 426:  # RFC 9110 §15.5.22
        assert headers["upgrade"] == "websocket"
    with over(place, bearer(place.token())) as other:  # nobody else is disturbed
        assert other.connect("dev-1", None, username=None) == Connack()


@pytest.mark.parametrize("raw", [b"POST /mqtt HTTP/1.1\r\n\r\n", b"\x10\x0c\0\4MQTT\r\n\r\n", b"\r\n\r\n"])
def test_what_is_no_request_gets_400(place: Site, raw: bytes) -> None:
    assert answer_to(place.broker.ws.port, raw)[0] == 400


def test_pages_of_named_origins_may_connect() -> None:
    with site(origins=["https://Shop.example/"]) as place:
        over(place, "Origin: https://shop.example").close()
        port = place.broker.ws.port
        assert answer_to(port, request("Origin: http://shop.example", port=port))[0] == 403
    for wrong in ("*", "shop.example", "https://shop.example/page", ""):
        with pytest.raises(ServiceFailed, match="no web origin"), site(origins=[wrong]):
            pass


def test_packets_and_frames_have_nothing_to_do_with_each_other(place: Site) -> None:
    """Spec: [MQTT-6.0.0-2]."""
    hello = encode(Connect(client_id="dev-1"))
    with over(place, bearer(place.token())) as client:
        for i, byte in enumerate(hello):  # one message in many fragments, and Pings between them
            client.socket.frame(OP_CONT if i else OP_BINARY, bytes([byte]), fin=False)
            client.socket.frame(OP_PING, b"?")
        client.socket.frame(OP_CONT, b"\xc0\0\xc0", fin=True)
        client.expect(Connack)
        client.socket.frame(OP_BINARY, b"")
        client.socket.frame(OP_BINARY, b"\0\xc0\0")
        for _ in range(3):
            assert encode(client.receive()) == b"\xd0\0"
        assert OP_PONG in client.socket.opcodes


BROKEN = [
    ({"opcode": OP_TEXT, "data": b"hi"}, 1003),  # [MQTT-6.0.0-1]
    ({"opcode": OP_BINARY, "data": b"\xc0\0", "mask": False}, 1002),
    ({"opcode": OP_CONT, "data": b"\xc0\0"}, 1002),
    ({"opcode": OP_BINARY, "data": b"\0" * 400_000}, 1009),
]


@pytest.mark.parametrize(("frame", "code"), BROKEN)
@pytest.mark.parametrize("admitted", [True, False])
def test_broken_frames_end_the_connection(
    place: Site, frame: dict[str, Any], code: int, admitted: bool
) -> None:
    with over(place, bearer(place.token())) as client:
        if admitted:
            client.connect("dev-1", None, username=None)
        client.socket.frame(**frame)
        assert client.ended()
        assert client.socket.closed_with == code
        assert "WebSocket" in str(place.record.wait("protocol.error")["reason"])
        if admitted:
            place.record.wait("connection.closed", reason="protocol-error")


def test_the_client_closes(place: Site) -> None:
    with over(place, bearer(place.token())) as client:
        client.connect("dev-1", None, username=None)
        client.socket.frame(OP_CLOSE, (1000).to_bytes(2, "big"))
        assert client.ended()
        assert client.socket.closed_with == 1000
        place.record.wait("connection.closed", reason="closed-by-client")
    with over(place, bearer(place.token())) as client:  # without a Close frame
        client.connect("dev-1", None, username=None)
        client.socket.raw.shutdown(socket.SHUT_WR)
        assert client.ended()
    with over(place, bearer(place.token())) as client:
        client.connect("dev-1", None, username=None)
        client.cut()
        place.record.wait("connection.closed")


def test_what_came_before_the_end_still_counts(place: Site) -> None:
    with place.connect("dev-2", subscribe=("devices/#",)) as reader:
        reader.subscribe("devices/#", qos=0)
        client = over(place, bearer(place.token()))
        client.connect("dev-1", None, username=None)
        words = b"".join(encode(Publish(topic="devices/dev-1/t", payload=b"%d" % i)) for i in range(3000))
        client.socket.sendall(words)
        client.socket.frame(OP_CLOSE, b"")
        got = [reader.expect(Publish).payload for _ in range(3000)]
        assert got == [b"%d" % i for i in range(3000)]
        client.close()


def test_a_request_that_does_not_come_is_cut() -> None:
    with site(limits=Limits(connect_timeout=0.2)) as place:
        port = place.broker.ws.port
        assert answer_to(port, b"GET /mqtt HT")[0] == 408
        with upgraded(port, bearer(place.token())).raw as sock:  # upgraded, and then silent
            while sock.recv(100):
                pass
        assert [e["reason"] for e in place.record.events("protocol.error")] == ["no CONNECT in time"] * 2


def test_a_frame_that_does_not_end_is_cut() -> None:
    with site(limits=Limits(packet_timeout=0.2)) as place, over(place, bearer(place.token())) as client:
        client.connect("dev-1", None, username=None)
        client.socket.raw.sendall(b"\x82\x85\0\0\0\0\xc0")
        assert client.ended()
        assert "does not end" in str(place.record.wait("protocol.error")["reason"])


def test_silent_sockets_push_each_other_out() -> None:
    with site(limits=Limits(max_pending=4)) as place:
        silent = [socket.create_connection(("127.0.0.1", place.broker.ws.port)) for _ in range(8)]
        try:
            with over(place, bearer(place.token())) as client:
                assert client.connect("dev-1", None, username=None) == Connack()
        finally:
            for sock in silent:
                sock.close()


def test_many_tiny_frames_hold_nobody_up(place: Site) -> None:
    """Whoever sends frames of nothing takes turns with the others."""
    with over(place, bearer(place.token("dev-2"))) as hostile, place.connect() as other:
        hostile.connect("dev-2", None, username=None)
        flood = b"\x82\x80\0\0\0\0" * 20_000
        sender = threading.Thread(target=hostile.socket.raw.sendall, args=(flood,))
        sender.start()
        assert other.silent()
        sender.join()
        hostile.socket.sendall(b"\xc0\0")
        assert encode(hostile.receive()) == b"\xd0\0"


def test_pings_without_reading_pile_up_nowhere() -> None:
    with site(limits=Limits(packet_timeout=0.3)) as place, over(place, bearer(place.token())) as client:
        client.connect("dev-1", None, username=None)
        client.socket.raw.settimeout(20)
        ping = Frame(OP_PING, b"x" * 125).serialize(mask=True)
        with pytest.raises(OSError):  # reset or broken pipe, as the system likes
            client.socket.raw.sendall(ping * 200_000)
        place.record.wait("connection.closed", reason="not-reading")


def test_stopping_says_goodbye(place: Site) -> None:
    silent = socket.create_connection(("127.0.0.1", place.broker.ws.port))
    waiting = upgraded(place.broker.ws.port)
    with over(place, bearer(place.token()), kind=Client5) as client:
        client.enter("dev-1", None, username=None)
        port = place.broker.ws.port
        place.broker.restart()
        assert client.expect(v5.Disconnect).reason_code == 0x8B
        assert client.ended()
        assert place.broker.ws.port == port
    for sock in (silent, waiting.raw):
        sock.close()
    over(place, bearer(place.token())).close()


def test_no_token_reaches_a_log(place: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = place.token()
    with over(place, bearer(token)) as client:
        client.connect("dev-1", None, username=None)
        client.socket.frame(OP_TEXT, b"x")
        assert client.ended()
    answer_to(place.broker.ws.port, request(bearer(token), port=place.broker.ws.port, drop=("Upgrade",)))
    assert token not in caplog.text
    assert token not in str(place.record.events())


def test_nothing_is_left_for_the_garbage_collector(place: Site) -> None:
    import gc

    with over(place, bearer(place.token())) as client:  # what a first connection imports
        client.connect("dev-1", None, username=None)
    place.record.wait("connection.closed")
    place.broker.call(asyncio.sleep(0))
    gc.collect()
    gc.disable()
    try:
        with over(place, bearer(place.token())) as client:
            client.connect("dev-1", None, username=None)
            client.socket.frame(OP_CLOSE, b"")
            assert client.ended()
        place.broker.call(asyncio.sleep(0.05))
        left = [o for o in gc.get_objects() if type(o).__name__ in ("WebSocket", "Line", "ServerProtocol")]
        assert not left
    finally:
        gc.enable()
