"""The helpers of notebook 06, for a section that is run without the ones before it.

A test compares them with the cells in which the notebook writes them.
"""

from queue import Queue
from typing import Any

import paho.mqtt.client as mqtt

__all__ = ["connect", "matches"]


def connect(endpoint: Any, client_id: str, token: str, will: str | None = None) -> tuple[mqtt.Client, Any]:
    answers: Queue[Any] = Queue()
    api = mqtt.CallbackAPIVersion.VERSION2  # type: ignore[attr-defined]
    client = mqtt.Client(api, client_id, reconnect_on_failure=False)
    client.on_connect = lambda c, u, flags, reason, p: answers.put(reason)
    client.on_subscribe = lambda c, u, number, codes, p: answers.put(codes)
    client.on_message = lambda c, u, message: answers.put(message.topic)
    client.username_pw_set(client_id, token)
    if will:
        client.will_set(will)
    client.connect(endpoint.host, endpoint.port)
    client.loop_start()
    return client, answers


def matches(topic_filter: str, topic: str) -> bool:
    levels = topic.split("/")
    pattern = topic_filter.split("/")
    for at, level in enumerate(pattern):
        if level == "#":
            return True
        if at == len(levels) or level not in ("+", levels[at]):
            return False
    return len(levels) == len(pattern)
