"""Tokens that come with the connection: the header of a WebSocket upgrade, the client certificate of TLS."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from support_broker import Site, site

from labkit.broker.connection import Connection
from labkit.errors import TokenRejected
from labkit.wire import Connack, Connect, encode, parse, v5
from labkit.wire.v5 import Property

P = Property


class Transport(asyncio.Transport):
    """Like a WebSocket: knows facts of its own, cannot close one direction, sends what is written."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(facts)
        self.sent = bytearray()
        self.answered = asyncio.Event()
        self.ended = ""
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        assert not self.ended
        self.sent += data
        self.answered.set()

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return bool(self.ended)

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nor does this change that."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is none."""

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = how
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


def carried(place: Site, packet: v5.Connect | Connect, **facts: Any) -> tuple[Transport, Any]:
    """Send CONNECT over such a transport: the transport, and the CONNACK."""

    async def run() -> Transport:
        gate = place.broker._gate_keeper
        assert gate is not None
        transport = Transport(peername=("127.0.0.1", 1), **facts)
        connection = Connection(gate, asyncio.get_running_loop())
        transport.protocol = connection
        connection.connection_made(transport)
        raw = encode(packet) if isinstance(packet, Connect) else v5.encode(packet)
        connection.data_received(raw)
        await transport.answered.wait()
        return transport

    transport: Transport = place.broker.call(run())
    raw = bytes(transport.sent)
    return transport, parse(raw) if isinstance(packet, Connect) else v5.parse(raw)


CONNECTS = [Connect(client_id="dev-1", username="dev-1"), v5.Connect(client_id="dev-1")]


@pytest.mark.parametrize("packet", CONNECTS)
def test_a_header_carries_the_token(place: Site, packet: Connect | v5.Connect) -> None:
    transport, answer = carried(place, packet, bearer=place.token())
    assert isinstance(answer, Connack | v5.Connack)
    assert not getattr(answer, "reason_code", 0)
    assert not getattr(answer, "return_code", 0)
    [client] = place.broker.connections
    assert client.carrier == "header"
    place.broker.disconnect("dev-1")
    assert transport.ended == "closed"
    if isinstance(packet, v5.Connect):  # last words go first
        assert transport.sent.endswith(b"disconnected")


@pytest.mark.conformance("RS-72")
def test_a_header_and_a_token_in_a_field_are_ambiguous_even_if_they_are_the_same(place: Site) -> None:
    token, other = place.token(), place.token()
    for packet in (
        v5.Connect(client_id="dev-1", password=token.encode()),
        v5.Connect(client_id="dev-1", username=token),
        v5.Connect(client_id="dev-1", username="dev-1", password=other.encode()),
        v5.Connect(client_id="dev-1", properties={P.AUTHENTICATION_METHOD: "OAUTH2-JWT"}),
        Connect(client_id="dev-1", username="dev-1", password=token.encode()),
    ):
        transport, answer = carried(place, packet, bearer=token)
        assert 0x86 in (getattr(answer, "reason_code", 0), 0x82 + getattr(answer, "return_code", 0))
        assert place.record.events("connect.refused")[-1]["reason"] == "ambiguous"
        assert transport.ended == "closed"


def test_a_bad_token_in_the_header_is_refused(place: Site) -> None:
    _, answer = carried(place, v5.Connect(client_id="dev-1"), bearer=place.issuer.tampered("dev-1"))
    assert answer.reason_code == 0x86
    _, answer = carried(place, v5.Connect(client_id="dev-1"), bearer="")
    assert answer.reason_code == 0x86


class Certified:
    """The TLS side of a connection with a client certificate."""

    def __init__(self, der: bytes | None) -> None:
        self.der = der

    def getpeercert(self, binary_form: bool) -> bytes | None:
        assert binary_form
        return self.der


def thumb(der: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize(("der", "code"), [(b"mine", 0), (b"another", 0x86), (None, 0x86)])
def test_a_token_bound_to_a_certificate_needs_it(place: Site, der: bytes | None, code: int) -> None:
    """Spec: RFC 8705 §3."""
    token = place.token(cnf={"x5t#S256": thumb(b"mine")})
    packet = v5.Connect(client_id="dev-1", password=token.encode())
    _, answer = carried(place, packet, ssl_object=Certified(der))
    assert answer.reason_code == code


def test_a_validator_hears_of_proofs_only_if_there_are_any() -> None:
    heard: list[set[str]] = []

    class Curious:
        def ready_for(self, token: str) -> bool:
            return True

        def validate(self, token: str, **facts: Any) -> Any:
            heard.append(set(facts))
            raise TokenRejected("no")

    with site(validator=Curious()) as place:
        packet = v5.Connect(client_id="dev-1", password=b"t")
        carried(place, packet, ssl_object=Certified(None))
        carried(place, packet, ssl_object=Certified(b"mine"))
    assert heard[0] == {"client_id"}
    assert len(heard[1]) == 2
