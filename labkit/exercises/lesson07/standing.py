"""A lab whose time stands still between two steps, so that counts come out alike on every run."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Self

from labkit.clock import Clock
from labkit.lab import Lab
from labkit.wire import Connect, encode

__all__ = ["Visit", "code_for", "questions", "standing"]

#: When it all begins, in Unix seconds.  Any moment would do, as long as it is always the same.
START = 1_700_000_000.0


@contextlib.contextmanager
def standing(**options: Any) -> Iterator[Lab]:
    """A running lab on a clock that moves only when it is told to."""
    clock = Clock(lambda: START)
    try:
        with Lab(clock=clock, **options) as lab:
            yield lab
    finally:
        clock.close()


class Visit:
    """A client that has sent its CONNECT, and stays as long as the broker lets it.

    Attributes:
        code: the return code of CONNACK, or -1 when the broker closed without one.
    """

    def __init__(self, lab: Lab, client_id: str, token: str) -> None:
        self._lab, self._client_id, self._since = lab, client_id, lab.record.mark()
        connect = Connect(client_id=client_id, username="token", password=token.encode())
        self._socket = socket.create_connection((lab.mqtt.host, lab.mqtt.port), 5)
        self._socket.sendall(encode(connect))
        with self._socket.makefile("rb") as answers:
            connack = answers.read(4)
        self.code = connack[3] if len(connack) == 4 else -1

    @property
    def alive(self) -> bool:
        """Whether the broker still has it."""
        return self._client_id in {client.client_id for client in self._lab.broker.connections}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()
        if self.code == 0:
            self._lab.record.wait("connection.closed", since=self._since, client_id=self._client_id)


def code_for(lab: Lab, client_id: str, token: str) -> int:
    """How the broker answers to this token; the client goes at once."""
    with Visit(lab, client_id, token) as visit:
        return visit.code


def questions(lab: Lab, since: int = 0) -> int:
    """How often the authorization server was asked about a token."""
    return len(lab.record.events("introspection", since=since))
