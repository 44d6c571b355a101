"""The helpers of notebook 02, for a section that is run without the ones before it.

A test compares them with the cells in which the notebook writes them.
"""

import socket
from queue import Queue
from typing import Any

import paho.mqtt.client as mqtt

from labkit.wire import Tap

__all__ = ["answer_to", "log_in", "tapped"]


def log_in(broker: Any, client_id: str, user_name: str | None, password: str | None = None) -> Any:
    """Connect, leave again, and return the broker's answer."""
    answers: Queue[Any] = Queue()
    version = mqtt.CallbackAPIVersion.VERSION2  # type: ignore[attr-defined]
    client = mqtt.Client(version, client_id, reconnect_on_failure=False)
    client.username_pw_set(user_name, password)
    client.on_connect = lambda *args: answers.put(args[3])
    client.connect(broker.host, broker.port)
    client.loop_start()
    answer = answers.get(timeout=5)
    client.disconnect()
    client.loop_stop()
    return answer


def tapped(
    broker: Any, client_id: str, user_name: str | None, password: str | None = None
) -> tuple[Any, bytes]:
    """Log in through a tap, and return the answer and the first packet that passed."""
    with Tap(broker) as tap:
        answer = log_in(tap.endpoint, client_id, user_name, password)
    return answer, tap.packets[0].data


def answer_to(broker: Any, packet: bytes) -> bytes:
    with socket.create_connection((broker.host, broker.port), timeout=5) as line:
        line.sendall(packet)
        return line.makefile("rb").read(4)
