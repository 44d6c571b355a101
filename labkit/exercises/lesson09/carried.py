"""The helpers of notebook 09, for a section that is run without the ones before it.

A test compares them with the cells in which the notebook writes them.
"""

import socket
from typing import Any

from labkit.wire import Framer, v5

__all__ = ["DATA", "NAME", "ask", "auth", "connect", "heard"]

NAME = v5.Property.AUTHENTICATION_METHOD
DATA = v5.Property.AUTHENTICATION_DATA


def connect(client_id: str, method: str, data: bytes) -> v5.Connect:
    return v5.Connect(client_id=client_id, properties={NAME: method, DATA: data})


def auth(code: int, method: str, data: bytes = b"") -> v5.Auth:
    return v5.Auth(reason_code=code, properties={NAME: method, DATA: data})


def heard(line: socket.socket) -> Any:
    """The next packet that comes, or None at the end of the connection."""
    framer = Framer(100_000)
    framer.version = 5
    while (raw := framer.next_packet()) is None:
        byte = line.recv(1)
        if not byte:
            return None
        framer.feed(byte)
    return v5.parse(raw)


def ask(line: socket.socket, packet: v5.Packet) -> Any:
    """Send a packet, and return the next one that comes."""
    line.sendall(v5.encode(packet))
    return heard(line)
