"""The helpers of notebook 08, for a section that is run without the ones before it.

A test compares them with the cells in which the notebook writes them.  Only ``bearer`` it does not write: an
exercise asks for that.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from http.client import HTTPConnection, HTTPResponse
from queue import Queue
from typing import Any

import paho.mqtt.client as mqtt

from labkit.wire import Tap

__all__ = ["FIXED", "answer_to", "bearer", "new_client", "seen", "thumbprint", "upgrade"]

FIXED = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "A" * 22 + "==",  # 16 bytes; random ones, outside of a lesson
}


def new_client(client_id: str, transport: Any = "tcp") -> mqtt.Client:
    api = mqtt.CallbackAPIVersion.VERSION2  # type: ignore[attr-defined]
    options: Any = {"protocol": mqtt.MQTTv5, "transport": transport}
    return mqtt.Client(api, client_id, reconnect_on_failure=False, **options)


def answer_to(client: mqtt.Client, place: Any, **more: Any) -> Any:
    """Connect, leave again, and return the broker's answer."""
    answers: Queue[Any] = Queue()
    client.on_connect = lambda *args: answers.put(args[3])
    client.connect(place.host, place.port, **more)
    client.loop_start()
    answer = answers.get(timeout=5)
    client.disconnect()
    client.loop_stop()
    return answer


def seen(client: mqtt.Client, place: Any, **more: Any) -> bytes:
    """What the client sends, as somebody on the way to the broker reads it."""
    with Tap(place) as tap:
        answer_to(client, tap.endpoint, **more)
    return b"".join(packet.data for packet in tap.packets if packet.sender == "client")


def upgrade(place: Any, path: str, headers: Any) -> HTTPResponse:
    """Ask for a WebSocket, and return HTTP's answer."""
    line = HTTPConnection(place.host, place.port, timeout=5)
    line.request("GET", path, headers=FIXED | headers)
    answer = line.getresponse()
    line.close()
    return answer


def bearer(token: str) -> dict[str, str]:
    """The header in which a request carries a token."""
    return {"Authorization": f"Bearer {token}"}


def thumbprint(certificate: bytes) -> str:
    digest = sha256(certificate).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
