"""The helpers of notebook 07, for a section that is run without the ones before it.

A test compares them with the cells in which the notebook writes them.
"""

from queue import Queue
from typing import Any

import httpx
import paho.mqtt.client as mqtt

__all__ = ["connect", "introspect"]


def connect(client_id: str, token: str, broker: Any) -> tuple[mqtt.Client, Any]:
    answers: Queue[Any] = Queue()
    api = mqtt.CallbackAPIVersion.VERSION2  # type: ignore[attr-defined]
    client = mqtt.Client(api, client_id, reconnect_on_failure=False)
    client.on_connect = lambda c, u, flags, reason, p: answers.put(reason)
    client.username_pw_set("any name", token)
    client.connect(broker.mqtt.host, broker.mqtt.port)
    client.loop_start()
    return client, answers.get(timeout=5)


def introspect(token: str, lab: Any, who: Any) -> httpx.Response:
    """Ask the authorization server about a token, in the name of who."""
    url, secret = lab.introspection_endpoint, who.client_secret
    return httpx.post(url, data={"token": token}, auth=(who.client_id, secret))
