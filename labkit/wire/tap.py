"""A wire tap: a TCP proxy that writes down every packet between a client and a server."""

import asyncio
import contextlib
from typing import cast

from labkit.errors import ServiceFailed
from labkit.service import Endpoint, Service, listening_socket, stop_listening
from labkit.wire.recording import Cutter, Recording, Sender, Tapped

__all__ = ["Tap", "Tapped"]


#: A server that knows only 3.1.1 answers any other version in its own words.  Spec: MQTT 3.1.1 §3.1.2.2.
_UNSUPPORTED = b"\x20\x02\x00\x01"


class _Tapping:
    """What is known about one connection: its number, and one cutter for each side."""

    def __init__(self, number: int, recording: Recording) -> None:
        self._number = number
        self._recording = recording
        self._client, self._server = Cutter(), Cutter()

    def passed(self, data: bytes, sender: Sender) -> None:
        """Write down what ``data`` completes; without data, what was left unfinished."""
        cutter = self._client if sender == "client" else self._server
        pieces = cutter.feed(data) if data else cutter.end()
        version = self._server.version = self._client.version  # CONNECT tells it, for both sides
        self._recording.add(
            Tapped(
                connection=self._number,
                sender=sender,
                data=piece,
                version=4 if piece == _UNSUPPORTED else version,
                cut=cut,
            )
            for piece, cut in pieces
        )


class Tap(Service):
    """Stands between a client and ``target``: connect to :attr:`endpoint` instead, and read :attr:`packets`.

    Any client and any broker will do, with MQTT 3.1.1 and with MQTT 5.  Under TLS it sees bytes and no
    packets.  Plain TCP on loopback only: what it records is secret.
    """

    name = "tap"

    def __init__(self, target: Endpoint) -> None:
        super().__init__()
        self.target = target
        self._port = 0
        self._recording = Recording()
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
        """Every packet so far, in the order in which it passed; the first 20,000, or 64 MiB of them."""
        return self._recording.packets

    @property
    def missed(self) -> int:
        """How many packets passed that were too many to write down."""
        return self._recording.missed

    def wait(self, count: int, *, timeout: float = 5.0) -> list[Tapped]:
        """The packets, as soon as there are ``count`` of them.

        Raises:
            TimeoutError: fewer passed within ``timeout`` seconds.
        """
        return self._recording.wait(count, timeout)

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
            _, pending = await asyncio.wait(self._relays, timeout=1.0)
            for task in pending:  # one that still waits for the server to answer
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        tapping = _Tapping(self._connections, self._recording)
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        ends = {writer}
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(self.target.host, self.target.port)
            ends.add(back)
            self._writers.add(back)
            await asyncio.gather(
                _pump(reader, back, tapping, "client"), _pump(there, writer, tapping, "server")
            )
        except OSError:  # nobody listens there
            writer.transport.abort()
        finally:
            for end in ends:
                end.close()
            self._writers -= ends


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, tapping: _Tapping, sender: Sender
) -> None:
    """Pass on what comes until it ends, then end the other side too."""
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            tapping.passed(data, sender)
            target.write(data)
            await target.drain()
        tapping.passed(b"", sender)
        if target.can_write_eof():
            target.write_eof()
            return
    target.transport.abort()
