"""A WebSocket client of a few lines: one request, one packet in one frame, one answer."""

import contextlib
import socket
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Answer", "knock"]

#: What every upgrade needs, and no lesson is about.  Spec: RFC 6455 §4.1.
_FIXED: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + "A" * 22 + "==",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the HTTP status, and the code of CONNACK or ``None`` where none came."""

    status: int
    code: int | None = None


def knock(place: Any, path: str, headers: tuple[str, ...], packet: bytes) -> Answer:
    """Ask for a WebSocket with these headers and, where it is granted, send ``packet``."""
    head = [f"GET {path} HTTP/1.1", f"Host: {place.host}:{place.port}", *_FIXED, *headers, "", ""]
    with (
        socket.create_connection((place.host, place.port), timeout=5) as line,
        line.makefile("rb") as answers,
    ):
        line.sendall("\r\n".join(head).encode("utf-8", "replace"))
        words = answers.readline().split()
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if status != 101:
            return Answer(status=status)
        while answers.readline().strip():
            """The rest of the head."""
        line.sendall(_frame(packet))
        with contextlib.suppress(OSError):
            frame = answers.read(6)  # two bytes of the frame, then CONNACK: its code is the fourth byte
            if len(frame) == 6 and frame[0] == 0x82:
                return Answer(status=status, code=frame[5])
    return Answer(status=status)


def _frame(packet: bytes) -> bytes:
    """One binary frame, masked with zeros, which changes nothing.  Spec: RFC 6455 §5.2, §5.3."""
    size = len(packet)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return b"\x82" + length + bytes(4) + packet
