"""A wire tap: a TCP proxy that writes down every packet between a client and a server."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from labkit.errors import MalformedPacket, ServiceFailed
from labkit.service import Endpoint, Service, listening_socket, stop_listening
from labkit.wire.dissect import Dissection, dissect
from labkit.wire.frames import Framer

__all__ = ["Tap", "Tapped"]

_LIMIT = 1 << 20

#: Which side sent it.
Sender: TypeAlias = Literal["client", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tapped:
    """One packet that passed: on which connection (from 1), from which side, and its bytes.

    The bytes may hold a token, so the repr leaves them out; as text, they are shown field by field with the
    token cut short.
    """

    connection: int
    sender: Sender
    data: bytes = field(repr=False)

    def dissect(self, *, secrets: bool = False) -> Dissection:
        """What every byte means."""
        return dissect(self.data, secrets=secrets)

    def __str__(self) -> str:
        return f"{self.sender}:\n{self.dissect()}"


class Tap(Service):
    """Stands between a client and ``target``: connect to :attr:`endpoint` instead, and read :attr:`packets`.

    Plain TCP on loopback only: what it records is secret.
    """

    name = "tap"

    def __init__(self, target: Endpoint) -> None:
        super().__init__()
        self.target = target
        self._port = 0
        self._packets: list[Tapped] = []
        self._changed = threading.Condition()
        self._connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()

    @property
    def endpoint(self) -> Endpoint:
        """Where clients connect."""
        if not self._port:
            raise ServiceFailed("the tap has no port yet: start it first")
        return Endpoint(scheme=self.target.scheme, host="127.0.0.1", port=self._port)

    @property
    def packets(self) -> list[Tapped]:
        """Every packet so far, in the order in which it passed."""
        with self._changed:
            return list(self._packets)

    def wait(self, count: int, *, timeout: float = 5.0) -> list[Tapped]:
        """The packets, as soon as there are ``count`` of them.

        Raises:
            TimeoutError: fewer passed within ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._packets) >= count, timeout):
                raise TimeoutError(f"{len(self._packets)} of {count} packets within {timeout:g} s")
            return list(self._packets)

    async def _open(self) -> None:
        sock = listening_socket("127.0.0.1", self._port)
        self._port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._relay, sock=sock)

    async def _close(self) -> None:
        if self._server is not None:
            await stop_listening(self._server)
        for writer in list(self._writers):
            writer.transport.abort()
        if self._relays:
            await asyncio.wait(self._relays, timeout=1.0)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(self.target.host, self.target.port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            await asyncio.gather(
                self._pump(reader, back, number, "client"), self._pump(there, writer, number, "server")
            )
        finally:
            for end in (writer, back):
                end.close()
                self._writers.discard(end)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        number: int,
        sender: Sender,
    ) -> None:
        framer: Framer | None = Framer(_LIMIT)
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                framer = self._note(framer, data, number, sender)
                target.write(data)
                await target.drain()
            if framer is not None and framer.buffered:
                self._write_down([framer.take_all()], number, sender)  # a packet that was never finished
            if target.can_write_eof():
                target.write_eof()
                return
        target.transport.abort()

    def _note(self, framer: Framer | None, data: bytes, number: int, sender: Sender) -> Framer | None:
        """Write down the packets that ``data`` completes; after what is no MQTT, each piece as it comes."""
        found: list[bytes] = []
        if framer is None:
            found.append(data)
        else:
            framer.feed(data)
            try:
                while (packet := framer.next_packet()) is not None:
                    found.append(packet)
            except MalformedPacket:
                found.append(framer.take_all())
                framer = None
        self._write_down(found, number, sender)
        return framer

    def _write_down(self, parts: list[bytes], number: int, sender: Sender) -> None:
        with self._changed:
            self._packets += (Tapped(connection=number, sender=sender, data=part) for part in parts)
            self._changed.notify_all()
