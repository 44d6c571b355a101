"""A broker's site behind each of its doors: TCP, TLS, WebSocket, and both."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any

from support_broker import Site, site
from support_websocket import upgraded

from labkit.errors import MalformedPacket
from labkit.tls import Authority
from labkit.wire import Framer

__all__ = ["DOORS", "SecureSocket", "behind", "waits"]

DOORS = ("mqtt", "mqtts", "ws", "wss")
_TIMEOUT = 5.0


class SecureSocket:
    """A socket with TLS, of which one direction can be closed."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        sock = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        try:
            self.raw = context.wrap_socket(sock, server_hostname="localhost")
        except BaseException:
            sock.close()
            raise

    def shutdown(self, _how: int) -> None:
        """Say that nothing more comes from here (``close_notify``), and listen on."""
        self.raw.settimeout(0)
        with contextlib.suppress(ssl.SSLError):  # it would like to wait for the other side
            self.raw.unwrap()
        self.raw.settimeout(_TIMEOUT)

    def recv(self, size: int) -> bytes:
        """Bytes; empty at the end."""
        try:
            return self.raw.recv(size)
        except ssl.SSLZeroReturnError:  # the end, for one who has shut down too
            return b""

    def __getattr__(self, name: str) -> Any:  # sendall, close…
        return getattr(self.raw, name)


def waits(sent: bytes, *, version: int) -> bool:
    """Whether a broker needs more than these bytes."""
    framer = Framer(262_144, version)
    framer.feed(sent)
    with contextlib.suppress(MalformedPacket):
        while framer.next_packet() is not None:
            pass
        return framer.buffered > 0 or not sent
    return False


@contextlib.contextmanager
def behind(door: str, **options: Any) -> Iterator[Site]:
    """A site whose clients, those of ``Site.client`` and ``client5``, come through this door."""
    authority = Authority()
    try:
        context = ssl.create_default_context(cafile=authority.ca_file)
        with site(tls=authority.server_context(), **options) as place:
            broker = place.broker
            place.door = {
                "mqtt": None,
                "mqtts": partial(SecureSocket, broker.mqtts.port, context),
                "ws": partial(upgraded, broker.ws.port),
                "wss": partial(upgraded, broker.wss.port, context=context),
            }[door]
            yield place
    finally:
        authority.close()
