"""A raw MQTT 5 client for the broker's tests; every packet that it gets goes through the strict parser."""

from typing import Any

from support_broker import Client, Site

from labkit.wire import v5
from labkit.wire.v5 import Property

__all__ = ["Client5", "client5", "enter"]


class Client5(Client):
    """Sends any bytes, reads packets of MQTT 5."""

    def __init__(self, port: int, through: Any = None) -> None:
        super().__init__(port, through)
        self._framer.version = 5

    def say(self, *packets: v5.Packet | bytes) -> None:
        self.socket.sendall(b"".join(p if isinstance(p, bytes) else v5.encode(p) for p in packets))

    def receive(self) -> Any:
        """The next packet, or ``None`` at the end of the connection."""
        while True:
            raw = self._framer.next_packet()
            if raw is not None:
                return v5.parse(raw)
            try:
                data = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not data:
                return None
            self._framer.feed(data)

    def enter(self, client_id: str, token: str | None, **options: Any) -> v5.Connack:
        """Send CONNECT with the token as password and return the CONNACK."""
        fields: dict[str, Any] = {
            "client_id": client_id,
            "username": client_id,
            "password": None if token is None else token.encode(),
        }
        self.say(v5.Connect(**(fields | options)))
        answer: v5.Connack = self.expect(v5.Connack)
        return answer

    def ask(self, *wishes: v5.Subscription | str, identifier: int = 0) -> tuple[int, ...]:
        """Subscribe, at QoS 2 if not said otherwise, and return the codes of SUBACK."""
        number = self.packet_id()
        subscriptions = tuple(
            v5.Subscription(topic_filter=wish, qos=2) if isinstance(wish, str) else wish for wish in wishes
        )
        properties = {Property.SUBSCRIPTION_IDENTIFIER: identifier} if identifier else {}
        self.say(v5.Subscribe(packet_id=number, subscriptions=subscriptions, properties=properties))
        suback = self.expect(v5.Suback)
        assert suback.packet_id == number
        codes: tuple[int, ...] = suback.reason_codes
        return codes

    def tell(self, topic: str, payload: bytes = b"", *, qos: int = 1, **options: Any) -> int:
        """Publish, and return the code of PUBACK or PUBREC."""
        number = self.packet_id() if qos else 0
        self.say(v5.Publish(topic=topic, payload=payload, qos=qos, packet_id=number, **options))
        if not qos:
            return 0
        answer = self.receive()
        assert answer.packet_id == number
        code: int = answer.reason_code
        return code

    def silent(self) -> bool:
        """Whether nothing has come, up to a PINGREQ that we send and its answer."""
        self.say(v5.Pingreq())
        return self.receive() == v5.Pingresp()


def client5(place: Site) -> Client5:
    """A connected client that has not said anything."""
    return Client5(place.broker.mqtt.port, place.line())


def enter(place: Site, client_id: str = "dev-1", *, token: str | None = None, **options: Any) -> Client5:
    """A client that has been let in."""
    client = client5(place)
    answer = client.enter(client_id, token or place.token(client_id), **options)
    assert answer.reason_code == 0
    return client
