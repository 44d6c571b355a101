"""A listener that says yes to one CONNECT, with TLS or without: what somebody in between can read."""

import contextlib
import socket
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from labkit import forge
from labkit.service import Endpoint

__all__ = ["Listener"]

_PATIENCE = 5.0  # seconds
_HOST = "127.0.0.1"
#: What the key is for: to sign in a handshake, and its own certificate.
_USES = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


class Listener:
    """Answers one CONNECT with CONNACK 0, whatever it says.

    Args:
        tls: whether it speaks TLS, with a certificate that was made for this process.
    """

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls
        self._sock = socket.create_server((_HOST, 0))
        self._sock.settimeout(_PATIENCE)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def endpoint(self) -> Endpoint:
        """Where it is."""
        return Endpoint(scheme="mqtt", host=_HOST, port=self._sock.getsockname()[1])

    def plain(self, address: tuple[str, int]) -> socket.socket:
        """A connection to this address, in the clear."""
        return socket.create_connection(address, _PATIENCE)

    def secure(self, address: tuple[str, int]) -> ssl.SSLSocket:
        """A connection to this address, over TLS, if the certificate found there is that of the listener."""
        context = ssl.create_default_context(cadata=_certificate()[1].decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as newer versions of Python do by themselves
        return context.wrap_socket(self.plain(address), server_hostname=_HOST)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(2 * _PATIENCE)
        self._sock.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # nobody came, or somebody left early
            connection, _ = self._sock.accept()
            connection.settimeout(_PATIENCE)
            if self._tls:
                connection = _server_context().wrap_socket(connection, server_side=True)
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x20\x02\0\0")
                connection.recv(1)  # until the other side goes


@cache
def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # ssl reads a key from a file, and from nowhere else
        path = Path(folder) / "listener.pem"
        path.touch(mode=0o600)
        path.write_bytes(b"".join(_certificate()))
        context.load_cert_chain(path)
    return context


@cache
def _certificate() -> tuple[bytes, bytes]:
    """Key and certificate of the listener, as PEM: for a day, for this address, trusted by nobody else."""
    key = forge.key_of("listener")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a listener of the lab")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(_HOST))])
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_USES, critical=True)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(own, critical=False)
    certificate = builder.sign(key, SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, certificate.public_bytes(Encoding.PEM)
