"""A real RabbitMQ that trusts a lab's authorization server, and a client for it."""

import contextlib
import json
import queue
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import trustme
from bench.brokers import Connect, RabbitMQ
from paho.mqtt.enums import CallbackAPIVersion
from support_tokens import http_server

from labkit import Lab, rights

__all__ = ["Client", "Node", "running"]

#: How long RabbitMQ may take for one answer, in seconds.
PATIENCE = 20
RESOURCE_SERVER = "rabbitmq"


class Node(RabbitMQ):
    """RabbitMQ with its OAuth 2 plugin, and the keys of ``lab`` by https."""

    def __init__(self, lab: Lab, jwks_url: str, ca_file: Path) -> None:
        self.lab = lab
        self.jwks_url = jwks_url
        self.ca_file = ca_file

    def token(self, client_id: str, scope: str) -> str:
        """A token with this scope for RabbitMQ, signed by the lab's authorization server.

        The server itself does not issue such tokens: it grants no scopes of other people's brokers.
        """
        now = int(time.time())
        claims = {
            "iss": self.lab.issuer,
            "sub": client_id,
            "aud": RESOURCE_SERVER,
            "client_id": client_id,
            "iat": now,
            "exp": now + 300,
            "jti": client_id,
            "scope": scope,
        }
        signed: str = self.lab.authserver._state.keys.current.sign(json.dumps(claims).encode())
        return signed

    def connect(self, client_id: str) -> Connect:
        scope = rights.rabbitmq(rights.of(client_id)).claims["scope"]
        return client_id, client_id, self.token(client_id, scope)

    def _keys(self, home: Path) -> str:
        return (
            f"auth_oauth2.jwks_url = {self.jwks_url}\n"
            f"auth_oauth2.https.cacertfile = {self.ca_file}\n"
            "auth_oauth2.https.peer_verification = verify_peer\n"
            "auth_oauth2.https.hostname_verification = wildcard\n"
        )

    def client(self, device: rights.Rights) -> "Client":
        """A connected client whose token carries exactly these rights."""
        scope = rights.rabbitmq(device).claims["scope"]
        return Client(self, device.client_id, self.token(device.client_id, scope))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Node]:
    """A RabbitMQ of its own, for as long as the block runs."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with Lab() as lab, http_server(context) as answers:
        # The lab speaks plain HTTP, and RabbitMQ wants https: this server hands on what the lab publishes.
        answers.headers["Content-Type"] = "application/json"
        answers.body = httpx.get(lab.jwks_uri, trust_env=False).content
        node = Node(lab, answers.url.replace("127.0.0.1", "localhost"), ca_file)
        try:
            node.start()
            yield node
            assert answers.requests, "RabbitMQ never asked for the keys"
        finally:
            node.stop()


class Client:
    """A paho client on one connection: what it asks, and what RabbitMQ answers."""

    def __init__(self, node: Node, client_id: str, token: str) -> None:
        self._answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._mqtt = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        self._mqtt.username_pw_set(client_id, token)
        self._mqtt.on_connect = lambda *a: self._answers.put(("connect", a[3].value))
        self._mqtt.on_publish = lambda *a: self._answers.put(("publish", a[2]))
        self._mqtt.on_subscribe = lambda *a: self._answers.put(("subscribe", a[3][0].value))
        self._mqtt.on_disconnect = lambda *a: self._answers.put(("disconnect", a[3].value))
        self._mqtt.on_message = lambda _client, _data, m: self._messages.put((m.topic, m.payload))
        self._mqtt.connect(node.host, node.port)
        self._mqtt.loop_start()
        self.connected = self._answers.get(timeout=PATIENCE) == ("connect", 0)

    def may_publish(self, topic: str, payload: bytes = b"x") -> bool:
        """Publish at QoS 1: whether RabbitMQ acknowledges, or cuts the connection."""
        self._mqtt.publish(topic, payload, qos=1)
        return self._answers.get(timeout=PATIENCE)[0] == "publish"

    def may_subscribe(self, topic_filter: str, qos: int = 1) -> bool:
        """Whether RabbitMQ grants the subscription, or refuses it, or cuts the connection."""
        # Past paho's own opinion of what a filter is, which is not the question here.
        self._mqtt._send_subscribe(False, [(topic_filter.encode(), qos)])  # type: ignore[list-item]
        kind, code = self._answers.get(timeout=PATIENCE)
        return kind == "subscribe" and code < 0x80

    def message(self) -> tuple[str, bytes]:
        """The next message that arrives."""
        return self._messages.get(timeout=PATIENCE)

    def close(self) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
