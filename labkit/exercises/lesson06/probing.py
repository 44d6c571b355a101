"""A client without a library, for checks that must see each answer of the broker."""

import contextlib
import socket
from types import TracebackType
from typing import Any

from labkit.wire import (
    Connack,
    Connect,
    Disconnect,
    Framer,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Will,
    encode,
    parse,
)

__all__ = ["Probe"]

REFUSED = 0x80


class Probe:
    """One connection; leaves with DISCONNECT, or by :meth:`pull_the_cable`.

    Attributes:
        code: the return code of CONNACK, or -1 when the broker closed without one.
    """

    def __init__(
        self, broker: Any, client_id: str, token: str, *, clean: bool = True, will: str | None = None
    ) -> None:
        self._socket = socket.create_connection((broker.mqtt.host, broker.mqtt.port), 5)
        self._framer = Framer(1 << 20)
        self._number = 0
        self._waiting: list[Publish] = []
        message = None if will is None else Will(topic=will, payload=b"")
        self._send(
            Connect(
                client_id=client_id,
                clean_session=clean,
                username="token",
                password=token.encode(),
                will=message,
            )
        )
        answer = self._read()
        self.code = answer.return_code if isinstance(answer, Connack) else -1

    def subscribe(self, *filters: str) -> set[str]:
        """Which of these filters are granted."""
        self._number += 1
        self._send(Subscribe(packet_id=self._number, filters=tuple((each, 0) for each in filters)))
        codes = self._until(Suback).return_codes
        return {each for each, code in zip(filters, codes, strict=True) if code != REFUSED}

    def publish(self, *topics: str) -> None:
        """Send an empty message to each topic; the broker has dealt with all of them when this returns."""
        for topic in topics:
            self._number += 1
            self._send(Publish(topic=topic, payload=b"", qos=1, packet_id=self._number))
            self._until(Puback)

    def heard(self, last: str) -> list[str]:
        """The topics of all messages so far, up to one on ``last``, which is waited for and left out."""
        topics: list[str] = []
        while True:
            packet = self._waiting.pop(0) if self._waiting else self._until(Publish)
            if packet.topic == last:
                return topics
            topics.append(packet.topic)

    def pull_the_cable(self) -> None:
        """End the connection without DISCONNECT."""
        self._socket.close()

    def __enter__(self) -> "Probe":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._send(Disconnect())
        self.pull_the_cable()

    def _send(self, packet: Packet) -> None:
        self._socket.sendall(encode(packet))

    def _until(self, kind: Any) -> Any:
        while True:
            packet = self._read()
            if packet is None:
                raise ConnectionError("the broker closed the connection")
            if isinstance(packet, kind):
                return packet
            if isinstance(packet, Publish):
                self._waiting.append(packet)

    def _read(self) -> Packet | None:
        """The next packet, or ``None`` at the end; messages come with QoS 0, and need no answer."""
        while (raw := self._framer.next_packet()) is None:
            data = self._socket.recv(65536)
            if not data:
                return None
            self._framer.feed(data)
        return parse(raw)
