"""MQTT.js in a process of its own, which does what it is told: ``tests/mqttjs/driver.mjs``."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support_cli import absent, needs

__all__ = ["Node", "NodeClient", "node"]

_PLACE = Path(__file__).with_name("mqttjs")


class Node:
    """The process."""

    def __init__(self) -> None:
        program = needs("node")
        if not (_PLACE / "node_modules" / "mqtt").is_dir():
            absent("MQTT.js is not installed: run npm ci in tests/mqttjs")
        self._process = subprocess.Popen(
            [program, str(_PLACE / "driver.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._count = 0

    def tell(self, **order: Any) -> dict[str, Any]:
        """Have it do something, and what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "node has ended"}')
        return answer

    def client(self, url: str, client_id: str, *, version: int = 5, **more: Any) -> "NodeClient":
        """A client that has asked to be let in; ``entered`` says what it was told.

        Args:
            url: where to.
            client_id: its client identifier.
            version: 4 for MQTT 3.1.1, or 5.
            more: ``method``, ``data`` and ``key`` (PEM) of enhanced authentication; else options of MQTT.js.
        """
        self._count += 1
        enhanced = {name: more.pop(name) for name in ("method", "data", "key") if name in more}
        options = {"clientId": client_id, "protocolVersion": version} | more
        return NodeClient(self, f"{client_id} {self._count}", {"url": url, "options": options} | enhanced)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=20)


class NodeClient:
    """One client in the process."""

    def __init__(self, home: Node, name: str, order: dict[str, Any]) -> None:
        self._home = home
        self._name = name
        self.entered = self._do("connect", **order)

    def publish(self, topic: str, payload: str = "", **options: Any) -> dict[str, Any]:
        return self._do("publish", topic=topic, payload=payload, options={"qos": 1} | options)

    def subscribe(self, topic_filter: str, qos: int = 1) -> dict[str, Any]:
        return self._do("subscribe", filter=topic_filter, options={"qos": qos})

    def receive(self) -> dict[str, Any]:
        """The next message."""
        return self._do("receive")

    def reauthenticate(self, data: str) -> dict[str, Any]:
        """AUTH 0x19, and what it led to."""
        return self._do("reauthenticate", data=data)

    def ended(self) -> dict[str, Any]:
        """Why the connection has ended; waits for it."""
        return self._do("ended")

    def _do(self, what: str, **more: Any) -> dict[str, Any]:
        return self._home.tell(on=self._name, do=what, **more)

    def __enter__(self) -> "NodeClient":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._do("close")


@contextlib.contextmanager
def node() -> Iterator[Node]:
    """The process, until the end; the test is skipped where there is no Node.js or no MQTT.js."""
    running = Node()
    try:
        yield running
    finally:
        running.close()
