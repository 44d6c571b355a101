"""The doors of the broker: one listening socket for each way in."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from labkit.errors import ServiceFailed
from labkit.service import Endpoint, listening_socket, stop_listening

__all__ = ["Door", "Listeners"]


@dataclass(slots=True, kw_only=True)
class Door:
    """One way in: ``scheme`` as in its URL (``"mqtt"``, ``"ws"``…); ``port`` 0 takes a free one."""

    scheme: str
    host: str
    port: int
    path: str = ""
    context: ssl.SSLContext | None = field(default=None, repr=False)


class Listeners:
    """Opens all doors or none, and keeps the ports over a restart."""

    def __init__(self, doors: Iterable[Door]) -> None:
        self._doors = {door.scheme: door for door in doors}
        self._servers: list[asyncio.Server] = []

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
                        protocol_of(door), sock=sock, backlog=32, ssl=door.context
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
