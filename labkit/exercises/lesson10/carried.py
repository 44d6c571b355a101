"""The helpers of notebook 10, for a section that is run without the ones before it.

A test compares them with the cells in which the notebook writes them.
"""

import socket
from typing import Any

from labkit import forge
from labkit.wire import Connect, encode

__all__ = ["knock", "stranger"]


def knock(client_id: str, token: str, lab: Any) -> int:
    """Send CONNECT, and return the code in CONNACK."""
    connect = Connect(client_id=client_id, username=client_id, password=token.encode())
    with socket.create_connection((lab.mqtt.host, lab.mqtt.port), timeout=15) as sock:
        sock.sendall(encode(connect))
        with sock.makefile("rb") as answer:
            return answer.read(4)[3]


def stranger(number: int, lab: Any) -> int:
    """Knock with a token by a key that nobody knows."""
    token = forge.token({"iss": lab.issuer}, header={"kid": f"key-{number}"})
    return knock("stranger", token, lab)
