"""A lab on a clock that moves only when told, and raw clients for it."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from support_broker import Client

from labkit import Lab
from labkit.clock import Clock


@contextlib.contextmanager
def standing(**options: Any) -> Iterator[Lab]:
    """A running lab whose time stands still between two calls of ``advance``."""
    start = float(int(time.time()))
    clock = Clock(lambda: start)
    try:
        with Lab(clock=clock, **options) as lab:
            yield lab
    finally:
        clock.close()


def knock(lab: Lab, client_id: str, token: str) -> tuple[Client, int]:
    """A client that has sent its CONNECT, and the return code it got."""
    client = Client(lab.mqtt.port)
    return client, client.connect(client_id, token).return_code


def admitted(lab: Lab, client_id: str, token: str | None = None) -> Client:
    """A client that has been let in; its token never changes."""
    client, code = knock(lab, client_id, lab.token(client_id) if token is None else token)
    assert code == 0, lab.record.events("connect.refused")
    return client


def code_for(lab: Lab, client_id: str, token: str) -> int:
    """What CONNACK says to that token; the client goes at once."""
    client, code = knock(lab, client_id, token)
    client.close()
    if code == 0:
        lab.record.wait("connection.closed", client_id=client_id)
    return code
