"""What a connection takes for its transport when MQTT comes in WebSocket frames."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.broker.websocket import WebSocket

__all__ = ["Line"]


class Line(asyncio.Transport):
    """A WebSocket as a connection sees it: MQTT in, MQTT out."""

    def __init__(self, socket: "WebSocket", tcp: asyncio.Transport) -> None:
        super().__init__()
        self._socket = socket
        self._tcp = tcp

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known: also ``"bearer"``, the token of the upgrade's header, and ``"listener"``."""
        if name in ("bearer", "listener"):
            return getattr(self._socket, name)
        return self._tcp.get_extra_info(name, default)

    def write(self, data: Any) -> None:
        self._socket.send(bytes(data))

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        self._tcp.abort()

    def is_closing(self) -> bool:
        return self._socket.ending

    def pause_reading(self) -> None:
        self._socket.want(False)

    def resume_reading(self) -> None:
        self._socket.want(True)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._tcp.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._tcp.get_write_buffer_size()
