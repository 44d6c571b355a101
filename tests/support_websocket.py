"""A raw WebSocket client: any upgrade request, any frames; and the broker's raw MQTT clients on top of it."""

import contextlib
import logging
import socket
import ssl
from http.client import HTTPResponse
from typing import Any, TypeVar

from support_broker import Client
from websockets.frames import OP_BINARY, OP_CLOSE, OP_CONT, OP_TEXT, Frame

__all__ = ["FramedSocket", "answer_to", "framed", "request", "shake_hands", "upgraded"]

_C = TypeVar("_C", bound=Client)
_TIMEOUT = 5.0
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3

logging.getLogger("websockets").disabled = True  # it would log headers


def request(
    *lines: str, port: int, path: str = "/mqtt", drop: tuple[str, ...] = (), verb: str = "GET"
) -> bytes:
    """An upgrade request with ``lines`` added, and without those whose names are in ``drop``."""
    usual = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": _KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "mqtt",
    }
    head = [f"{name}: {text}" for name, text in usual.items() if name not in drop]
    return "\r\n".join([f"{verb} {path} HTTP/1.1", *head, *lines, "", ""]).encode()


def answer_to(port: int, raw: bytes) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to a request that is refused; waits for the end of the line."""
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as sock:
        sock.sendall(raw)
        response = HTTPResponse(sock)
        response.begin()
        body = response.read().decode()
        assert sock.recv(1) == b""
        return response.status, {k.lower(): v for k, v in response.getheaders()}, body


class FramedSocket:
    """Looks like a socket: what is sent goes into one masked frame, what is received comes out of frames."""

    def __init__(self, sock: socket.socket) -> None:
        self.raw = sock
        self.closed_with: int | None = None
        self._closing = False
        self.opcodes: list[int] = []
        self._buffer = b""

    def sendall(self, data: bytes) -> None:
        self.frame(OP_BINARY, data)

    def frame(self, opcode: Any, data: bytes, *, fin: bool = True, mask: bool = True) -> None:
        """Send one frame of any kind."""
        self._closing |= opcode is OP_CLOSE
        self.raw.sendall(Frame(opcode, data, fin).serialize(mask=mask))

    def recv(self, _size: int) -> bytes:
        """The payload of the next data frame; empty at the end."""
        while True:
            frame = self._next()
            if frame is None:
                return b""
            opcode, payload = frame
            self.opcodes.append(opcode)
            if opcode == OP_CLOSE:
                self.closed_with = int.from_bytes(payload[:2], "big") if payload else 1005
                if not self._closing:  # RFC 6455 §5.5.1
                    with contextlib.suppress(OSError):
                        self.frame(OP_CLOSE, payload[:2])
            elif opcode in (OP_BINARY, OP_CONT, OP_TEXT) and payload:
                return payload

    def shutdown(self, _how: int) -> None:
        """Say that nothing more comes from here, and listen on."""
        self.frame(OP_CLOSE, b"")

    def _next(self) -> tuple[int, bytes] | None:
        head = self._take(2)
        if len(head) < 2:
            return None
        size = head[1]
        assert size < 128, "a server does not mask"
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                data = self.raw.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                break
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def __getattr__(self, name: str) -> Any:  # close, setsockopt, settimeout…
        return getattr(self.raw, name)


def upgraded(
    port: int, *lines: str, context: ssl.SSLContext | None = None, host: str = "localhost"
) -> FramedSocket:
    """A socket whose upgrade was accepted."""
    sock = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
    try:
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=host)
        return shake_hands(sock, *lines, port=port)
    except BaseException:
        sock.close()
        raise


def shake_hands(sock: Any, *lines: str, port: int) -> FramedSocket:
    """Have the upgrade accepted, on something like a socket."""
    sock.sendall(request(*lines, port=port))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)  # no byte of the first frame
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"sec-websocket-protocol: mqtt\r\n" in head.lower()
    assert b"extensions" not in head.lower()
    return FramedSocket(sock)


def framed(kind: type[_C], port: int, *lines: str, **options: Any) -> _C:
    """A raw MQTT client of that kind over WebSocket; ``lines`` are headers of its upgrade request."""
    return kind(port, upgraded(port, *lines, **options))
