"""The doors of the broker: one listening socket for each way in."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from labkit.errors import ServiceFailed
from labkit.handshakes import Handshakes
from labkit.service import Endpoint, is_loopback, listening_socket, stop_listening

__all__ = ["Door", "Listeners", "doors"]


@dataclass(slots=True, kw_only=True)
class Door:
    """One way in: ``scheme`` as in its URL (``"mqtt"``, ``"ws"``…); ``port`` 0 takes a free one."""

    scheme: str
    host: str
    port: int
    path: str = ""
    context: ssl.SSLContext | None = field(default=None, repr=False)


def doors(
    host: str,
    *,
    ports: Mapping[str, int],
    path: str,
    tls: ssl.SSLContext | None,
    plaintext_anywhere: bool,
) -> list[Door]:
    """The ways in: MQTT over TCP and over WebSocket, in plain and, where there is ``tls``, encrypted.

    ``ports`` has one for each scheme: mqtt, ws, mqtts, wss.

    What is not encrypted carries tokens in clear, and stays on this machine (RFC 6750 §5.3), unless somebody
    says ``plaintext_anywhere``.

    Raises:
        ServiceFailed: nothing is encrypted, and ``host`` is not this machine, or a port is for what would be.
    """
    if tls is None and (ports["mqtts"] or ports["wss"]):
        raise ServiceFailed(
            "a port for mqtts or wss is for nothing without tls: use it, or leave the port out"
        )
    plain = host
    if not (is_loopback(host) or plaintext_anywhere):
        if tls is None:
            raise ServiceFailed(
                f"plain MQTT would carry tokens in clear to {host}: use tls, or listen on 127.0.0.1"
            )
        plain = "127.0.0.1"
    ways = [
        Door(scheme="mqtt", host=plain, port=ports["mqtt"]),
        Door(scheme="ws", host=plain, port=ports["ws"], path=path),
    ]
    if tls is not None:
        ways.append(Door(scheme="mqtts", host=host, port=ports["mqtts"], context=tls))
        ways.append(Door(scheme="wss", host=host, port=ports["wss"], path=path, context=tls))
    return ways


class Listeners:
    """Opens all doors or none, and keeps the ports over a restart.

    Args:
        doors: the ways in.
        handshake_time: seconds that a TLS handshake may take.
        most_handshakes: how many may be under way at each door; one more ends the oldest.
        failed: told the scheme of a door, and why in words, when a handshake fails there.
    """

    def __init__(
        self,
        doors: Iterable[Door],
        *,
        handshake_time: float,
        most_handshakes: int,
        failed: Callable[[str, str], object],
    ) -> None:
        self._doors = {door.scheme: door for door in doors}
        self._servers: list[asyncio.Server] = []
        self._handshakes: list[Handshakes] = []
        self._handshake_time = handshake_time
        self._most_handshakes = most_handshakes
        self._failed = failed

    def __contains__(self, scheme: str) -> bool:
        return scheme in self._doors

    def endpoint(self, scheme: str) -> Endpoint:
        """Where clients of that scheme connect.

        Raises:
            ServiceFailed: not known before the first start.
        """
        door = self._doors[scheme]
        if not door.port:
            raise ServiceFailed("the broker has no port yet: start it first")
        return Endpoint(scheme=scheme, host=door.host, port=door.port, path=door.path)

    async def open(self, protocol_of: Callable[[Door], Callable[[], asyncio.Protocol]]) -> None:
        """Let clients in; ``protocol_of`` a door makes the protocol of each connection.

        Raises:
            ServiceFailed: an address or port cannot be had; then no door is open.
        """
        loop = asyncio.get_running_loop()
        try:
            for door in self._doors.values():
                sock = listening_socket(door.host, door.port)
                door.port = sock.getsockname()[1]
                try:
                    # asyncio accepts up to ``backlog`` connections at a go, before the gate sees the first.
                    server = await loop.create_server(
                        self._before(door, protocol_of(door)), sock=sock, backlog=32
                    )
                except BaseException:
                    sock.close()
                    raise
                self._servers.append(server)
                sock.listen(1024)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every door; who is in stays in."""
        servers, self._servers = self._servers, []
        for server in servers:
            await stop_listening(server)
        handshakes, self._handshakes = self._handshakes, []
        for each in handshakes:
            await each.close()

    def _before(self, door: Door, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """What takes a new connection at a door: a handshake first, where there is TLS."""
        if door.context is None:
            return factory
        handshakes = Handshakes(
            door.context,
            factory,
            seconds=self._handshake_time,
            at_most=self._most_handshakes,
            failed=partial(self._failed, door.scheme),
        )
        self._handshakes.append(handshakes)
        return handshakes
