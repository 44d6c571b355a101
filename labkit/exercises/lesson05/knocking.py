"""One CONNECT, sent without a client library: what does the broker answer?"""

import socket
from typing import Any

from labkit.wire import Connect, encode

__all__ = ["knock"]


def knock(broker: Any, client_id: str, token: str) -> int:
    """The return code of CONNACK, or -1 when the broker closed without one."""
    connect = Connect(client_id=client_id, username="token", password=token.encode())
    with socket.create_connection((broker.mqtt.host, broker.mqtt.port), 5) as sock:
        sock.sendall(encode(connect))
        with sock.makefile("rb") as answers:
            connack = answers.read(4)
    return connack[3] if len(connack) == 4 else -1
