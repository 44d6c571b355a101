"""A client without a library: it connects, and asks one thing at a time."""

import socket
from typing import Any

from labkit.wire import Connect, Pingreq, Publish, Subscribe, encode

__all__ = ["Connected"]

_PATIENCE = 5.0  # seconds for an answer


class Connected:
    """A live connection.

    Args:
        broker: the lab, or a broker.
        client_id: how the client calls itself.
        token: its access token.
        carrier: the field that the token travels in, ``"password"`` or ``"username"``.

    Raises:
        RuntimeError: the broker does not let this client in.
    """

    def __init__(self, broker: Any, client_id: str, token: str, *, carrier: str = "password") -> None:
        self._sock = socket.create_connection((broker.mqtt.host, broker.mqtt.port), _PATIENCE)
        self._answers = self._sock.makefile("rb")
        if carrier == "username":
            connect = Connect(client_id=client_id, username=token)
        else:
            connect = Connect(client_id=client_id, username="token", password=token.encode())
        connack = self._ask(connect, 4)
        if connack[3:] != b"\0":
            self.close()
            raise RuntimeError("the gate does not let the honest device in")

    def answers(self) -> bool:
        """Whether the connection still lives: PINGREQ, and PINGRESP back."""
        return self._ask(Pingreq(), 2) == b"\xd0\0"

    def subscribes(self, topic_filter: str) -> bool:
        """Whether the broker grants this filter."""
        suback = self._ask(Subscribe(packet_id=1, filters=((topic_filter, 0),)), 5)
        return suback[4:] == b"\0"

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and wait until the broker has acknowledged it: whether it was forwarded, only it knows."""
        self._ask(Publish(topic=topic, payload=payload, qos=1, packet_id=2), 4)

    def _ask(self, packet: Any, length: int) -> bytes:
        """Send a packet; the next bytes that come back, fewer if the connection ends."""
        try:
            self._sock.sendall(encode(packet))
            return self._answers.read(length)
        except OSError:
            return b""

    def close(self) -> None:
        """Go without a word."""
        self._answers.close()
        self._sock.close()

    def __enter__(self) -> "Connected":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
