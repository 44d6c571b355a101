"""Eclipse Paho's Python client, unchanged."""

import contextlib
from collections.abc import Iterator
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

__all__ = ["Inside", "inside"]


class Inside:
    """A paho client with its answers in queues.

    Args:
        url: where to: ``mqtt``, ``mqtts``, ``ws`` or ``wss``.
        client_id: its client identifier.
        version: 4 for MQTT 3.1.1, or 5.
        carrier: what carries the token: ``"password"``, ``"username"``, ``"header"``, or the name of a method
            with one message.
        token: its token.
        tls: options of paho's ``tls_set``.
    """

    def __init__(self, url: str, client_id: str, version: int, carrier: str, token: str, **tls: Any) -> None:
        place = urlsplit(url)
        websocket = place.scheme.startswith("ws")
        self.answers: Queue[Any] = Queue()
        self.messages: Queue[bytes] = Queue()
        self.endings: Queue[Any] = Queue()
        self.paho = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion(version),
            transport="websockets" if websocket else "tcp",
            reconnect_on_failure=False,
        )
        client.on_connect = lambda *args: self.answers.put(args[3])
        client.on_disconnect = lambda *args: self.endings.put(args[3])
        client.on_message = lambda *args: self.messages.put(args[2].payload)
        client.on_subscribe = lambda *args: self.answers.put(args[3][0])
        headers = None
        match carrier:
            case "password":
                client.username_pw_set(client_id, token)
            case "username":
                client.username_pw_set(token)
            case "header":
                headers = {"Authorization": f"Bearer {token}"}
            case _:
                self.login = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                self.login.AuthenticationMethod = carrier
                self.login.AuthenticationData = token.encode()
        if websocket:
            client.ws_set_options(place.path, headers)
        if place.scheme in ("mqtts", "wss"):
            client.tls_set(**tls)
        try:
            client.connect(place.hostname, place.port, properties=getattr(self, "login", None))
        except BaseException:
            self.close()
            raise
        client.loop_start()

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()
        # paho closes these when it is garbage; we do not want to wait for that.
        sockets = [self.paho.socket(), self.paho._sockpairR, self.paho._sockpairW]
        for sock in filter(None, sockets):
            sock.close()


@contextlib.contextmanager
def inside(*args: Any, **tls: Any) -> Iterator[Inside]:
    """The same, until the end of the block."""
    client = Inside(*args, **tls)
    try:
        yield client
    finally:
        client.close()
