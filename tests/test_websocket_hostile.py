"""Damaged upgrades, frames and TLS records at the doors, with an honest device served meanwhile."""

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from struct import pack
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_broker import Site, site
from support_broker5 import Client5
from support_doors import SecureSocket
from support_websocket import FramedSocket, request, shake_hands
from support_wire import V5, damage

from labkit.errors import MalformedPacket
from labkit.tls import Authority
from labkit.wire import v5

_TIMEOUT = 5.0
calm = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
packets = st.one_of(*V5.values()).map(lambda packet: packet.write())


class Door(NamedTuple):
    """A site, and a raw line to one of its WebSocket doors, encrypted or not."""

    place: Site
    port: int
    line: Callable[[], Any]


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[Site, ssl.SSLContext]]:
    authority = Authority()
    try:
        with site(tls=authority.server_context()) as place:
            yield place, ssl.create_default_context(cafile=authority.ca_file)
    finally:
        authority.close()


@pytest.fixture(scope="module", params=["ws", "wss"])
def door(request: pytest.FixtureRequest, secured: tuple[Site, ssl.SSLContext]) -> Door:
    place, context = secured
    port = place.broker.ws.port if request.param == "ws" else place.broker.wss.port  # type: ignore[union-attr]

    def line() -> Any:
        if request.param == "ws":
            return socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        return SecureSocket(port, context)

    return Door(place, port, line)


class Kept(logging.Handler):
    """What the loop complains about, such as an exception that nobody has caught."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(autouse=True, scope="module")
def honest(door: Door) -> Iterator[None]:
    """A device at the same door that must be served all the time; and no fault of ours, told or logged."""
    place, log = door.place, Kept(logging.WARNING)
    logging.getLogger("asyncio").addHandler(log)
    client = Client5(door.port, upgraded(door))
    with client:
        assert client.enter("honest", place.token("honest", lifetime=3600)).reason_code == 0
        client.ask("devices/honest/#")
        yield
        client.say(v5.Publish(topic="devices/honest/x", payload=b"still served"))
        assert client.expect(v5.Publish).payload == b"still served"
    place.record.wait("connection.closed", client_id="honest")
    logging.getLogger("asyncio").removeHandler(log)
    assert log.lines == []
    assert place.record.events("internal.error") == []
    assert place.record.events("connect.refused", reason="validator-failed") == []


def upgraded(door: Door) -> FramedSocket:
    return shake_hands(door.line(), port=door.port)


def until_the_end(line: Any) -> bytes:
    """What comes until the broker closes; a line that stays open is a time-out."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := line.recv(65536):
            got += piece
    return got


def told(line: Any, raw: bytes) -> None:
    """Say it, and that nothing more comes; the broker may have closed before that."""
    with contextlib.suppress(OSError):
        line.sendall(raw)
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_WR)


# Upgrade requests.

LINES = (
    "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
    "Authorization: Bearer",
    "Authorization: Basic QTpC",
    "Origin: http://evil.example",
    "Origin: null",
    "Host: evil.example",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Sec-WebSocket-Protocol: mqttv3.1",
    "Connection: close",
    "Sec-WebSocket-Key: AA==",
    "Sec-WebSocket-Version: 12",
    "Sec-WebSocket-Protocol: ,",
    "Sec-WebSocket-Extensions: permessage-deflate; x=" + "y" * 50,
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    " folded",
    "X: " + "a" * 8190,
    "\x00: \x7f",
    ":",
)
DROPPED = (
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
)
PATHS = ("/mqtt", "/mqtt", "/", "*", "/mqtt?access_token=x", "http://x/mqtt", "/mqtt#", "//[", "/mqtt?%ff")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """An upgrade request with lines too many or too few, perhaps damaged, and perhaps packets behind it."""
    raw = request(
        *draw(st.lists(st.sampled_from(LINES), max_size=3)),
        port=1883,
        path=draw(st.sampled_from(PATHS)),
        verb=draw(st.sampled_from(["GET", "GET", "POST", "get", "PRI"])),
        drop=tuple(draw(st.sets(st.sampled_from(DROPPED), max_size=2))),
    )
    if draw(st.booleans()):
        raw = draw(damage(st.just(raw)))
    return raw + draw(st.sampled_from([b"", b"\x82\x80\0\0\0\0", v5.encode(v5.Connect(client_id="dev-1"))]))


@calm
@given(raw=requests() | st.binary(max_size=60))
def test_damaged_upgrades_get_an_answer_of_http_or_none(door: Door, raw: bytes) -> None:
    line = door.line()
    with contextlib.closing(line):
        told(line, raw)
        got = until_the_end(line)
    assert got == b"" or got.startswith(b"HTTP/1.1 ")
    assert [each.client_id for each in door.place.broker.connections] == ["honest"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request("Upgrade: websocket", port=1, drop=("Sec-WebSocket-Protocol",)), 400),
        (request("Upgrade: h2c", "Upgrade: h3", port=1, drop=("Sec-WebSocket-Protocol", "Upgrade")), 426),
        (request(port=1, path="//["), 404),
        (request(port=1, path="http://[/mqtt"), 404),
    ],
)
def test_what_was_no_answer_but_a_traceback(door: Door, raw: bytes, status: int) -> None:
    with contextlib.closing(door.line()) as line:
        line.sendall(raw)
        assert until_the_end(line).startswith(b"HTTP/1.1 %d " % status)


# Frames.


@st.composite
def frames(draw: st.DrawFn, payloads: st.SearchStrategy[bytes]) -> bytes:
    """A frame as RFC 6455 §5.2 draws it, in which anything may be wrong."""
    payload = draw(payloads)
    good = draw(st.booleans())
    head = 0x82 if good else draw(st.integers(0, 255))  # FIN, reserved bits, opcode
    masked = good or draw(st.booleans())
    size = len(payload) if good else draw(st.just(len(payload)) | st.integers(0, 2**63))
    form = 0 if good else draw(st.integers(0, 2))
    if form == 0 and size < 126:
        length = bytes((size,))
    elif form <= 1 and size < 65536:  # also where fewer bytes would do
        length = b"\x7e" + pack("!H", size)
    else:
        length = b"\x7f" + pack("!Q", size)
    key = draw(st.binary(min_size=4, max_size=4)) if masked else b""
    length = bytes((length[0] | masked << 7,)) + length[1:]
    mixed = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if masked else payload
    return bytes((head,)) + length + key + mixed


@st.composite
def fragments(draw: st.DrawFn, payloads: st.SearchStrategy[bytes]) -> bytes:
    """One message in pieces, with control frames in between."""
    payload = draw(payloads)
    cut = draw(st.integers(0, len(payload)))
    between = draw(
        st.sampled_from(
            [b"", b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0", b"\x09\x80\0\0\0\0", b"\x88\x80\0\0\0\0"]
        )
    )
    pieces = ((0x02, payload[:cut]), (0x80, payload[cut:]))
    first, last = (
        bytes((head,))
        + (bytes((0x80 | len(p),)) if len(p) < 126 else b"\xfe" + pack("!H", len(p)))
        + b"\0\0\0\0"
        + p
        for head, p in pieces
    )
    return first + between + last


connects = V5["CONNECT"].map(lambda packet: packet.write())
payloads = packets | connects | damage(packets) | damage(connects) | st.binary(max_size=20)
streams = st.one_of(
    st.lists(frames(payloads) | fragments(payloads), min_size=1, max_size=4).map(b"".join),
    damage(frames(packets)),
    st.binary(min_size=1, max_size=200),
)


def rest(client: Client5) -> list[v5.Packet]:
    """Good packets in good frames, until the line ends."""
    answers: list[v5.Packet] = []
    with contextlib.suppress(MalformedPacket):  # the damage has made it a CONNECT of 3.1.1: so is the answer
        answers += iter(client.receive, None)
    return answers


@calm
@given(raw=streams)
def test_damaged_frames_without_a_token_never_get_in(door: Door, raw: bytes) -> None:
    line = upgraded(door)
    with Client5(door.port, line) as client:
        told(line.raw, raw)
        answers = rest(client)
        assert len(answers) <= 1
        assert all(isinstance(answer, v5.Connack) and answer.reason_code >= 0x80 for answer in answers)
        assert set(line.opcodes) <= {2, 8, 10}
    assert [each.client_id for each in door.place.broker.connections] == ["honest"]


@calm
@given(raw=streams)
def test_damaged_frames_of_an_admitted_client_end_it_and_nobody_else(door: Door, raw: bytes) -> None:
    line = upgraded(door)
    with Client5(door.port, line) as client:
        token = door.place.token(subscribe=("devices/dev-1/#",), publish=("#",))
        assert client.enter("dev-1", token).reason_code == 0
        mark = door.place.record.mark()
        told(line.raw, raw)
        answers = rest(client)
        assert not any(isinstance(answer, v5.Disconnect) for answer in answers[:-1])
        assert set(line.opcodes) <= {2, 8, 10}
        door.place.record.wait("connection.closed", client_id="dev-1", since=mark)


# TLS.


class Records:
    """A TLS client whose records can be damaged on their way."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.raw = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.raw.sendall(self._out.read())
                self._in.write(self.raw.recv(65536))
            else:
                break
        self.raw.sendall(self._out.read())

    def records(self, *data: bytes) -> bytes:
        for each in data:
            self._tls.write(each)
        return self._out.read()


@calm
@given(data=st.data())
@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_damaged_records_of_tls_end_the_line(
    door: Door, secured: tuple[Site, ssl.SSLContext], scheme: str, data: st.DataObject
) -> None:
    place, context = secured
    client = Records(getattr(place.broker, scheme).port, context)
    with contextlib.closing(client.raw):
        words = request(port=1) if scheme == "wss" else v5.encode(v5.Connect(client_id="dev-1"))
        told(client.raw, data.draw(damage(st.just(client.records(words, words)))))
        until_the_end(client.raw)
    assert [each.client_id for each in place.broker.connections] == ["honest"]


GREETINGS = {
    "mqtt": v5.encode(v5.Connect(client_id="dev-1")),
    "http": request(port=1),
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(194),
    "nothing": b"",
    "zeros": bytes(300),
}


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
@pytest.mark.parametrize("words", GREETINGS.values(), ids=GREETINGS)
def test_who_knocks_at_the_wrong_door_is_sent_away(door: Door, scheme: str, words: bytes) -> None:
    with socket.create_connection(("127.0.0.1", getattr(door.place.broker, scheme).port), _TIMEOUT) as line:
        told(line, words)
        until_the_end(line)
    assert [each.client_id for each in door.place.broker.connections] == ["honest"]
