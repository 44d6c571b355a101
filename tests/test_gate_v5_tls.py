"""The gate behind TLS: a client certificate as proof, and last words that arrive though TLS ends at once."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support_broker import Client, Site, site
from support_broker5 import Client5

from labkit.broker.certificates import thumbprint
from labkit.broker.connection import Connection
from labkit.wire import Connack, Connect, v5


class _Der:
    def __init__(self, der: bytes) -> None:
        self.der = der

    def getpeercert(self, binary_form: bool) -> bytes:
        return self.der


class Secured:
    """A site with a TLS listener in front of its gate."""

    def __init__(self, place: Site, port: int, pem: Path, der: bytes) -> None:
        self.place = place
        self.port = port
        self.pem = pem
        self.thumbprint = thumbprint(_Der(der))

    def client(self, kind: type[Client], *, certificate: bool = False) -> Client:
        """A client over TLS, with or without the certificate."""
        ours = ssl.create_default_context(cafile=self.pem)
        if certificate:
            ours.load_cert_chain(self.pem)
        client = kind(self.port)
        client.socket = ours.wrap_socket(client.socket, server_hostname="localhost")
        return client


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
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
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pem)
    theirs.load_verify_locations(pem)
    theirs.verify_mode = ssl.CERT_OPTIONAL
    with site() as place:

        async def listen() -> asyncio.Server:
            gate = place.broker._gate_keeper
            assert gate is not None
            loop = asyncio.get_running_loop()
            return await loop.create_server(lambda: Connection(gate, loop), "127.0.0.1", 0, ssl=theirs)

        server: asyncio.Server = place.broker.call(listen())
        try:
            port = server.sockets[0].getsockname()[1]
            yield Secured(place, port, pem, certificate.public_bytes(serialization.Encoding.DER))
        finally:

            async def stop() -> None:
                server.close()

            place.broker.call(stop())


@pytest.mark.parametrize(("certificate", "code"), [(True, 0), (False, 0x86)])
def test_a_certificate_proves_a_bound_token(secured: Secured, certificate: bool, code: int) -> None:
    """Spec: RFC 8705 §3."""
    token = secured.place.token(cnf={"x5t#S256": secured.thumbprint})
    with secured.client(Client5, certificate=certificate) as client:
        client.send(v5.encode(v5.Connect(client_id="dev-1", password=token.encode())))
        assert client.expect(v5.Connack).reason_code == code


def test_a_refusal_arrives_in_both_versions(secured: Secured) -> None:
    with secured.client(Client5) as client:
        client.send(v5.encode(v5.Connect(client_id="dev-1")))
        assert client.expect(v5.Connack).reason_code == 0x86
        assert client.ended()
    with secured.client(Client) as client:
        client.send(Connect(client_id="dev-1"))
        assert client.expect(Connack).return_code == 4
        assert client.ended()


def test_last_words_arrive(secured: Secured) -> None:
    token = secured.place.token().encode()
    with secured.client(Client5) as client:
        client.send(v5.encode(v5.Connect(client_id="dev-1", password=token)))
        assert client.expect(v5.Connack).reason_code == 0
        secured.place.broker.disconnect("dev-1")
        assert client.expect(v5.Disconnect).reason_code == 0x98
        assert client.ended()
    with secured.client(Client) as client:
        client.send(Connect(client_id="dev-1", username="x", password=token))
        assert client.expect(Connack).return_code == 0
        secured.place.broker.disconnect("dev-1")
        assert client.ended()


def test_who_does_not_answer_the_end_of_tls_holds_nobody_up(secured: Secured) -> None:
    """asyncio would wait 30 seconds for it."""
    with secured.client(Client) as client:
        client.send(Connect(client_id="dev-1", username="x", password=secured.place.token().encode()))
        assert client.expect(Connack).return_code == 0
        secured.place.broker.disconnect("dev-1")
        assert not secured.place.broker.connections
        secured.place.record.wait("connection.closed", client_id="dev-1")


def test_who_ends_tls_in_an_orderly_way_leaves_no_failed_task(secured: Secured) -> None:
    """TLS has begun to close by itself when the gate comes to close the socket."""
    gate = secured.place.broker._gate_keeper
    assert gate is not None
    with secured.client(Client) as client:
        client.send(Connect(client_id="dev-1", username="x", password=secured.place.token().encode()))
        assert client.expect(Connack).return_code == 0
        task = gate.live["dev-1"].task
        assert task is not None
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.unwrap()
    secured.place.record.wait("connection.closed", client_id="dev-1")

    async def outcome() -> None:
        await task

    secured.place.broker.call(outcome())
