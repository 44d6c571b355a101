"""A certificate authority for a moment: TLS for a lab, and nothing that anybody has to keep or install.

::

    authority ──signs──▶ certificate of the servers  localhost, 127.0.0.1, ::1 and the host that was asked for
        │
        └─────signs──▶ certificates of devices     each with its client id; for servers they are no good

Its own key never leaves memory.  Keys of devices are files, as every TLS client wants them: in a folder that
only this user can read, and that is gone when the lab stops.
"""

import datetime
import ssl
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labkit.errors import ServiceFailed

__all__ = ["Authority"]

#: How long certificates are good: longer than any lesson, shorter than what some clients refuse.
_LIFETIME = datetime.timedelta(days=90)
#: How far the clocks of this machine's programs may be off.
_EARLIER = datetime.timedelta(days=1)
#: The longest common name, in characters (RFC 5280 appendix A.1).
_COMMON_NAME = 64


class Authority:
    """A throw-away certificate authority, with its files.

    Args:
        host: one more name or address that the servers' certificate is for.

    Attributes:
        ca_file: path of the PEM file that clients have to trust; there until :meth:`close`.

    Raises:
        ServiceFailed: no certificate can be for ``host``.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        if host in ("", "0.0.0.0", "::"):  # noqa: S104  # refused, not bound
            raise ServiceFailed(
                f"no certificate can be for {host!r}, which is any address: give the one that devices use"
            )
        self._ca = trustme.CA(organization_name="labkit", organization_unit_name="a lab, for this moment")
        now = datetime.datetime.now(datetime.UTC)
        self._from, self._until = now - _EARLIER, now + _LIFETIME
        names = dict.fromkeys(("localhost", "127.0.0.1", "::1", host))
        try:
            self._servers = self._ca.issue_cert(*names, not_before=self._from, not_after=self._until)
        except ValueError as error:  # idna's errors are, too
            raise ServiceFailed(
                f"no certificate can be for {host!r}: give a host name or an address"
            ) from error
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[str, str]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = tempfile.TemporaryDirectory(
            prefix="labkit-tls-", ignore_cleanup_errors=True
        )  # mode 0700, as all of Python's
        self.ca_file = str(Path(self._folder.name) / "ca.pem")
        Path(self.ca_file).write_bytes(self._ca.cert_pem.bytes())

    def server_context(self) -> ssl.SSLContext:
        """What a server needs: TLS 1.2 or newer, our certificate, and trust in those of our devices.

        A client may show a certificate, and need not; one that is not ours ends the handshake.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        self._servers.configure_cert(context)
        context.load_verify_locations(cadata=self._ca.cert_pem.bytes().decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client_certificate(self, client_id: str) -> tuple[str, str]:
        """Paths of a device's certificate and of its private key, both PEM; the same ones when asked again.

        Raises:
            ServiceFailed: the authority has been closed.
        """
        with self._lock:
            if self._folder is None:
                raise ServiceFailed("the lab has stopped, and its certificates are gone: start another")
            if client_id not in self._clients:
                # By number: a client id may hold what a file name may not.
                stem = Path(self._folder.name) / f"client-{len(self._clients) + 1}"
                certificate, key = self._issue(client_id)
                files = stem.with_suffix(".pem"), stem.with_suffix(".key")
                for path, content in zip(files, (certificate, key), strict=True):
                    path.touch(mode=0o600)
                    path.write_bytes(content)
                self._clients[client_id] = str(files[0]), str(files[1])
            return self._clients[client_id]

    def close(self) -> None:
        """Remove the files.  Harmless when done before."""
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _issue(self, client_id: str) -> tuple[bytes, bytes]:
        """Certificate and key of a device: by its name nobody can pass as a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        ca_key = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        uri = x509.UniformResourceIdentifier(f"urn:labkit:client:{quote(client_id, safe='')}")
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, client_id[:_COMMON_NAME])]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(self._until)
        )
        about: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.SubjectAlternativeName([uri]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        ]
        for extension, critical in about:
            builder = builder.add_extension(extension, critical=critical)
        return (
            builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
