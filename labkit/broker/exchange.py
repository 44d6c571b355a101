"""Enhanced authentication on one connection: before CONNACK, and again whenever the client likes.

::

    CONNECT(method, data) ──▶ AUTH 0x18 ◀──▶ … ──▶ CONNACK              MQTT 5 §4.12
    AUTH 0x19(method, data) ──▶ AUTH 0x18 ◀──▶ … ──▶ AUTH 0x00           §4.12.1
                                                └──no──▶ DISCONNECT 0x87
"""

from typing import Final, cast

from labkit.broker.admission import Presented
from labkit.broker.methods import METHODS, Challenge, Method, Step
from labkit.broker.reasons import Refused
from labkit.errors import MalformedPacket
from labkit.wire import v5
from labkit.wire.v5 import Property

__all__ = ["Exchange", "auth"]

SUCCESS: Final = 0x00
CONTINUE: Final = 0x18
AGAIN: Final = 0x19


class Exchange:
    """One method, on one connection.

    Args:
        connect: the CONNECT that names the method.

    Raises:
        KeyError: it is not one of ours.
    """

    __slots__ = ("_client_id", "_method", "_running", "_waiting", "method_name", "presented", "verdict")

    def __init__(self, connect: v5.Connect) -> None:
        self.method_name = cast("str", connect.properties[Property.AUTHENTICATION_METHOD])
        self._client_id = connect.client_id
        self._method: Method = METHODS[self.method_name](connect.client_id)
        self._waiting = False  # for the answer to a challenge
        self._running = True  # until there is a verdict
        self.presented: Presented | None = None  # who is asked, while it has to answer
        self.verdict: Refused | None = None  # a no that waits until the client has read why

    def begin(self, properties: v5.Properties) -> Step:
        """What CONNECT has in it."""
        return self._noted(self._method.begin(_data(properties)))

    def hear(self, packet: v5.Auth) -> Step:
        """An AUTH of the client.

        Raises:
            MalformedPacket: it may not send this now.
        """
        if packet.properties.get(Property.AUTHENTICATION_METHOD) != self.method_name:  # [MQTT-4.12.0-5]
            raise _wrong("AUTH names another method than CONNECT", "4.12")
        if packet.reason_code == CONTINUE and self._waiting:
            self._waiting = False
            return self._noted(self._method.go_on(_data(packet.properties)))
        if packet.reason_code == AGAIN and not self._running:
            self._running = True
            return self._noted(self._method.begin(_data(packet.properties)))
        if packet.reason_code == AGAIN:
            raise _wrong("the authentication before this one is not over", "4.12.1")
        raise _wrong(f"a client cannot send AUTH 0x{packet.reason_code:02X} here", "3.15.2.1")

    def over(self) -> None:
        """The token was good: from now on the client may ask for another run."""
        self._running = False
        self._method = METHODS[self.method_name](self._client_id)  # for that; the old one knows the token

    def regret(self, refused: Refused) -> bytes | None:
        """The packet that tells why, before the refusal; ``None`` when the refusal says it all."""
        data = self._method.regret(refused) if self.verdict is None else None
        if data is None:
            return None
        self.verdict, self._waiting = refused, True
        return auth(CONTINUE, self.method_name, data)

    def _noted(self, step: Step) -> Step:
        self._waiting = isinstance(step, Challenge)
        return step


def auth(code: int, method: str, data: bytes = b"") -> bytes:
    """An AUTH of the server.  Spec: MQTT 5 §3.15."""
    properties: dict[Property, v5.properties.Value] = {Property.AUTHENTICATION_METHOD: method}
    if data:
        properties[Property.AUTHENTICATION_DATA] = data
    return v5.encode(v5.Auth(reason_code=code, properties=properties))


def _data(properties: v5.Properties) -> bytes:
    return cast("bytes", properties.get(Property.AUTHENTICATION_DATA, b""))


def _wrong(what: str, section: str) -> MalformedPacket:
    return MalformedPacket(what, spec=f"MQTT 5 §{section}", reason_code=0x82)
