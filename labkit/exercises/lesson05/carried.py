"""The helper of notebook 05, for a section that is run without the ones before it.

A test compares it with the cell in which the notebook writes it.
"""

from queue import Queue
from typing import Any

import paho.mqtt.client as mqtt

__all__ = ["connect"]


def connect(client_id: str, token: str, broker: Any) -> tuple[mqtt.Client, Any]:
    answers: Queue[Any] = Queue()
    api = mqtt.CallbackAPIVersion.VERSION2  # type: ignore[attr-defined]
    client = mqtt.Client(api, client_id, reconnect_on_failure=False)
    client.on_connect = lambda c, u, flags, reason, p: answers.put(reason)
    client.username_pw_set("any name", token)
    client.connect(broker.mqtt.host, broker.mqtt.port)
    client.loop_start()
    return client, answers.get(timeout=5)
