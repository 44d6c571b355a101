"""Scripted peers for devices, on real sockets: a token endpoint and an MQTT 3.1.1 broker."""

import contextlib
import datetime
import ipaddress
import json
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PATIENCE = 10.0  # seconds; only a failing test waits so long


@dataclass
class Asked:
    """One request that reached the token endpoint."""

    method: str
    target: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Reply:
    """What the token endpoint is to answer; ``body`` is a JSON value or raw bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class FakeAuthServer:
    """Answers with the next of ``replies``, and with a fresh token when there is none."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, life: float | None = 300) -> None:
        self.replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self.asked: list[Asked] = []
        self.life = life
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False
        self.server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        self.port = self.server.server_address[1]
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.token_endpoint = self.url + "/token"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        with self.changed:
            self.asked.append(Asked(handler.command, handler.path, dict(handler.headers), form))
            number = len(self.asked)
            self.changed.notify_all()
        self.may_answer.wait(PATIENCE)
        try:
            reply = self.replies.get_nowait()
        except queue.Empty:
            reply = Reply(body={"access_token": f"opaque-{number}", "token_type": "Bearer"})
            if self.life is not None:
                reply.body["expires_in"] = self.life
        raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        with contextlib.suppress(OSError):  # the device has had enough
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(raw)))
            handler.end_headers()
            handler.wfile.write(raw)

    def will_answer(self, status: int = 200, body: Any = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies.put(Reply(status, body, named))

    def will_give(self, access_token: str, **members: Any) -> None:
        self.will_answer(
            200, {"access_token": access_token, "token_type": "Bearer", "expires_in": 300, **members}
        )

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= count, PATIENCE), self.asked

    def close(self) -> None:
        self.may_answer.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def __enter__(self) -> "FakeAuthServer":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@dataclass
class Packet:
    """One packet that reached the broker, on which of its connections (from 0)."""

    kind: str
    connection: int
    flags: int = 0
    client_id: str = ""
    username: str | None = None
    password: str | None = None
    clean_session: bool = False
    keep_alive: int = 0
    will: tuple[str, bytes] | None = None
    topic: str = ""
    payload: bytes = b""
    filters: list[str] = field(default_factory=list)

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)


KINDS = {1: "CONNECT", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 12: "PINGREQ", 14: "DISCONNECT"}


class FakeBroker:
    """Lets everybody in, and acknowledges everything, unless told otherwise."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.packets: list[Packet] = []
        self.raw = bytearray()  #: every byte that a device has sent
        self.connacks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.connack: bytes | None = b"\x20\x02\x00\x00"  #: when the queue is empty; None: silence
        self.kick = False  #: close after CONNACK
        self.puback = True
        self.suback = 1
        self.reads = threading.Event()
        self.reads.set()
        self.stuck = False  #: reads no more, though there may be something to read
        self.tls_versions: list[str | None] = []
        self.changed = threading.Condition()
        self._tls = tls
        self._lines: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def refuse(self, *codes: int) -> None:
        for code in codes:
            self.connacks.put(bytes((0x20, 2, 0, code)))

    def of(self, kind: str) -> list[Packet]:
        with self.changed:
            return [packet for packet in self.packets if packet.kind == kind]

    def wait(
        self, kind: str, count: int = 1, wanted: Callable[[Packet], bool] = lambda _: True
    ) -> list[Packet]:
        def found() -> list[Packet]:
            return [packet for packet in self.packets if packet.kind == kind and wanted(packet)]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, PATIENCE), self.packets
            return found()

    def send(self, raw: bytes) -> None:
        """To the newest connection."""
        with self.changed:
            line = self._lines[max(self._lines)]
        line.sendall(raw)

    def cut(self) -> None:
        """Close every connection, as a broker does when a token expires."""
        with self.changed:
            lines = list(self._lines.values())
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def wait_until_empty(self) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: not self._lines, PATIENCE), self._lines

    def close(self) -> None:
        self.reads.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.cut()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "FakeBroker":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _accept(self) -> None:
        number = 0
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(number, line), daemon=True)
                self._threads.append(thread)
                thread.start()
                number += 1

    def _serve(self, number: int, line: socket.socket) -> None:
        try:
            if self._tls is not None:
                line = self._tls.wrap_socket(line, server_side=True)
                self.tls_versions.append(line.version())  # type: ignore[attr-defined]
            with self.changed:
                self._lines[number] = line
            while self._answer(number, line, *self._read(line)):
                self.stuck = not self.reads.is_set()
                self.reads.wait(PATIENCE)
                self.stuck = False
        except (OSError, EOFError):
            pass
        finally:
            line.close()
            with self.changed:
                self._lines.pop(number, None)
                self.changed.notify_all()

    def _read(self, line: socket.socket) -> tuple[int, bytes]:
        first = self._exactly(line, 1)[0]
        if first == 0x16:
            raise EOFError  # a TLS ClientHello
        length = shift = 0
        while True:
            byte = self._exactly(line, 1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, self._exactly(line, length)

    def _exactly(self, line: socket.socket, count: int) -> bytes:
        got = b""
        while len(got) < count:
            chunk = line.recv(count - len(got))
            if not chunk:
                raise EOFError
            got += chunk
        self.raw += got
        return got

    def _answer(self, number: int, line: socket.socket, first: int, body: bytes) -> bool:
        packet = parse(number, first, body)
        answer: bytes | None = b""
        if packet.kind == "CONNECT":
            try:
                answer = self.connacks.get_nowait()
            except queue.Empty:
                answer = self.connack
        elif packet.kind == "PUBLISH" and packet.flags & 6 and self.puback:
            size = 2 + len(packet.topic.encode())
            answer = b"\x40\x02" + body[size : size + 2]
        elif packet.kind == "SUBSCRIBE":
            answer = (
                bytes((0x90, 2 + len(packet.filters))) + body[:2] + bytes([self.suback] * len(packet.filters))
            )
        elif packet.kind == "PINGREQ":
            answer = b"\xd0\x00"
        with self.changed:
            self.packets.append(packet)
            self.changed.notify_all()
        if answer:
            line.sendall(answer)
        return packet.kind != "DISCONNECT" and not (packet.kind == "CONNECT" and self.kick)


def parse(number: int, first: int, body: bytes) -> Packet:
    packet = Packet(KINDS.get(first >> 4, str(first >> 4)), number, first & 15)
    at = 0

    def field_() -> bytes:
        nonlocal at
        size = int.from_bytes(body[at : at + 2], "big")
        at += 2 + size
        return body[at - size : at]

    if packet.kind == "CONNECT":
        assert field_() == b"MQTT"
        flags, packet.keep_alive = body[at + 1], int.from_bytes(body[at + 2 : at + 4], "big")
        at += 4
        packet.clean_session = bool(flags & 2)
        packet.client_id = field_().decode()
        packet.will = (field_().decode(), field_()) if flags & 4 else None
        packet.username = field_().decode() if flags & 0x80 else None
        packet.password = field_().decode() if flags & 0x40 else None
    elif packet.kind == "PUBLISH":
        packet.topic = field_().decode()
        packet.payload = body[at + (2 if packet.flags & 6 else 0) :]
    elif packet.kind == "SUBSCRIBE":
        at = 2
        while at < len(body):
            packet.filters.append(field_().decode())
            at += 1
    return packet


KEY_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class Authority:
    """A throw-away certificate authority; ``serving(name)`` is a server's TLS context."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        signs_only = {name: name in ("key_cert_sign", "crl_sign") for name in KEY_USES}
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.KeyUsage(**signs_only), True),  # Python 3.13 insists (VERIFY_X509_STRICT)
        ]
        certificate = _sign(issuer, issuer, key, key, extensions)
        (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate)

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def serving(self, name: str = "127.0.0.1") -> ssl.SSLContext:
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        extensions = (x509.SubjectAlternativeName([alternative]), False)
        certificate = _sign(subject, self.certificate.subject, key, self.key, [extensions])
        pem = self.folder / f"{name}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False
    )
    return builder.sign(by, hashes.SHA256())
