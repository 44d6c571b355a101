"""TLS handshakes that fail, hang or never end: nobody is locked out, nothing leaks, nothing is printed."""

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support_broker import site
from support_tls import secure

from labkit.authserver import listener
from labkit.broker import Limits
from labkit.record import Record
from labkit.tls import Authority


class Door:
    """A TLS listener of ours, whatever is behind it."""

    def __init__(
        self, port: int, ca_file: str, record: Record, source: str, stop: Callable[[], None]
    ) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=ca_file)
        self.record = record
        self.source = source
        self.stop = stop

    def knock(self) -> socket.socket:
        """A TCP connection, without a word of TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def honest(self) -> None:
        """Somebody who means it gets in, up to TLS."""
        with self.context.wrap_socket(self.knock(), server_hostname="127.0.0.1") as line:
            assert line.version() in ("TLSv1.2", "TLSv1.3")

    def failed(self, number: int) -> list[str]:
        """Why handshakes failed, once there are so many."""
        self.record.wait("tls.failed", source=self.source)
        return [str(event["reason"]) for event in self.record.events("tls.failed")][:number]


@contextlib.contextmanager
def https() -> Iterator[Door]:
    with secure() as party:
        port = int(party.server.issuer.rpartition(":")[2])
        yield Door(port, party.authority.ca_file, party.record, "authserver", party.server.stop)


@contextlib.contextmanager
def broker(scheme: str) -> Iterator[Door]:
    authority = Authority()
    try:
        with site(tls=authority.server_context(), limits=Limits(connect_timeout=TIME["seconds"])) as place:
            endpoint = getattr(place.broker, scheme)
            yield Door(endpoint.port, authority.ca_file, place.record, "broker", place.broker.stop)
    finally:
        authority.close()


#: Seconds that a handshake may take at the broker's doors.
TIME = {"seconds": 10.0}
DOORS = {"https": https, "mqtts": partial(broker, "mqtts"), "wss": partial(broker, "wss")}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Iterator[Door]:
    with DOORS[request.param]() as opened:
        yield opened
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handshakes have no time."""
    monkeypatch.setattr(listener, "MAX_HEAD_TIME", 0.05)
    monkeypatch.setitem(TIME, "seconds", 0.05)


def _ended(line: socket.socket) -> bool:
    """Whether the other side has closed the connection, or does so soon."""
    with contextlib.suppress(ConnectionError):
        while line.recv(4096):
            pass
    return True


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
        bytes(300),
        b"\x16\x03\x01\xff\xff" + bytes(70_000),
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ],
    ids=["HTTP", "MQTT", "zeros", "an endless record", "half a hello"],
)
def test_garbage_is_closed_and_told(door: Door, garbage: bytes) -> None:
    with door.knock() as line:
        with contextlib.suppress(ConnectionError):
            line.sendall(garbage)
            line.shutdown(socket.SHUT_WR)
        assert _ended(line)
    assert door.failed(1)
    door.honest()


def test_an_old_version_is_refused(door: Door) -> None:
    """Spec: RFC 8996."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with door.knock() as line, pytest.raises(ssl.SSLError):
        old.wrap_socket(line)
    door.honest()


def test_who_says_nothing_is_sent_away(hurried: None, door: Door) -> None:
    with door.knock() as line:
        assert _ended(line)
    assert door.failed(1) == ["no handshake in time"]


def test_who_never_finishes_is_sent_away(hurried: None, door: Door) -> None:
    """A hello that arrives, and no answer to what the server says then."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = door.context.wrap_bio(into, out, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    with door.knock() as line:
        line.sendall(out.read())
        assert _ended(line)
    assert door.failed(1) == ["no handshake in time"]


def test_silent_peers_lock_nobody_out(door: Door) -> None:
    """There is a bound, and beyond it the oldest goes."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(door.knock()) for _ in range(300)]
        door.honest()
        assert _ended(lines[0])
        assert set(door.failed(300)) == {"too many handshakes at a time"}
        door.stop()  # does not wait for them
        assert all(_ended(line) for line in lines)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_nothing_leaks(door: Door) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    door.honest()
    before = descriptors()
    for _ in range(50):
        with door.knock() as line:
            line.sendall(b"nonsense")
            assert _ended(line)
    door.honest()
    assert descriptors() <= before + 2


def test_the_end_does_not_wait_for_the_end_of_tls(door: Door) -> None:
    """A peer that is connected, and does not answer close_notify."""
    line = door.context.wrap_socket(door.knock(), server_hostname="127.0.0.1")
    with line:
        door.stop()
        assert _ended(line)


def test_what_asyncio_says_about_tls_is_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    import threading

    def background() -> None:
        logging.getLogger("asyncio").warning("SSL connection is closed")

    thread = threading.Thread(target=background, name="labkit-broker")
    thread.start()
    thread.join()
    assert not caplog.records
    logging.getLogger("asyncio").warning("SSL connection of somebody else")
    assert len(caplog.records) == 1
