"""Authorities, good and bad certificates, and listeners that show them."""

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import trustme
from support_authserver import Party

from labkit.tls import Authority

__all__ = ["BAD_CERTIFICATES", "SecureParty", "impostor", "secure"]

#: What can be wrong with a server's certificate.
BAD_CERTIFICATES = ("another host", "expired", "unknown authority")


class SecureParty(Party):
    """An authorization server over https, and its authority."""

    def __init__(self, **options: object) -> None:
        self.authority = Authority()
        super().__init__(tls=self.authority.server_context(), **options)
        self.http.close()
        self.http = self.client()

    def client(self, certificate_of: str | None = None) -> httpx.Client:
        """An HTTP client that trusts the authority, with the certificate of a device or none."""
        context = ssl.create_default_context(cafile=self.authority.ca_file)
        if certificate_of is not None:
            context.load_cert_chain(*self.authority.client_certificate(certificate_of))
        return httpx.Client(verify=context, trust_env=False, timeout=10.0)

    @contextlib.contextmanager
    def as_device(self, client_id: str | None) -> Iterator[None]:
        """Everything that is asked inside is asked with the certificate of this device."""
        plain, self.http = self.http, self.client(client_id)
        try:
            yield
        finally:
            self.http.close()
            self.http = plain

    def close(self) -> None:
        super().close()
        self.authority.close()


@contextlib.contextmanager
def secure(**options: object) -> Iterator[SecureParty]:
    party = SecureParty(**options)
    try:
        yield party
    finally:
        party.close()


@contextlib.contextmanager
def impostor(fault: str, folder: Path) -> Iterator[tuple[int, str]]:
    """A TLS server on 127.0.0.1 with a bad certificate: its port, and the file that its clients trust.

    It reads what it is sent, and answers nothing: who verifies never gets that far.
    """
    authority = trustme.CA()
    ca_file = folder / "trusted.pem"
    (trustme.CA() if fault == "unknown authority" else authority).cert_pem.write_to_path(ca_file)
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = authority.issue_cert(
        "broker.example" if fault == "another host" else "127.0.0.1",
        not_after=past if fault == "expired" else None,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context, heard), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], str(ca_file)
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError), socket.create_connection(listener.getsockname(), 1):
                pass  # where shutdown does not end accept()
            listener.close()
            thread.join(10)
    assert not heard, "somebody has sent something to an impostor"


def _serve(listener: socket.socket, context: ssl.SSLContext, heard: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.settimeout(10)
            with (
                contextlib.suppress(OSError),
                connection,
                context.wrap_socket(connection, server_side=True) as line,
            ):
                if data := line.recv(4096):
                    heard.append(data)
