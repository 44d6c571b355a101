"""A tiny issuer, a broker on a clock that stands still, and a raw MQTT client, for the broker's tests."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from support_tokens import tampered

from labkit.broker import Broker, Limits
from labkit.clock import Clock
from labkit.errors import MalformedPacket
from labkit.record import Record
from labkit.tokens import TokenValidator
from labkit.wire import (
    Connack,
    Connect,
    Framer,
    Packet,
    Publish,
    Suback,
    Subscribe,
    Will,
    encode,
    parse,
    v5,
)

ISSUER = "https://issuer.test"
AUDIENCE = "https://mqtt.test"
_TIMEOUT = 5.0


class Issuer:
    """Signs access tokens with one ES256 key."""

    def __init__(self, now: Any) -> None:
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._count = 0

    @property
    def jwks(self) -> dict[str, Any]:
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [key | {"kid": "k1", "use": "sig", "alg": "ES256"}]}

    def token(
        self,
        client_id: str,
        *,
        publish: tuple[str, ...] | None = None,
        subscribe: tuple[str, ...] | None = None,
        lifetime: float = 300,
        connect: bool = True,
        **claims: Any,
    ) -> str:
        """A token for ``client_id``; by default with every right on ``devices/<client id>/#``."""
        own = (f"devices/{client_id}/#",)
        scopes = ["mqtt.connect"] if connect else []
        scopes += [f"mqtt.publish:{topic}" for topic in (own if publish is None else publish)]
        scopes += [f"mqtt.subscribe:{topic}" for topic in (own if subscribe is None else subscribe)]
        now = self._now()
        self._count += 1
        payload = {
            "iss": ISSUER,
            "sub": client_id,
            "aud": AUDIENCE,
            "client_id": client_id,
            "iat": now,
            "exp": now + lifetime,
            "jti": f"jti-{self._count}",
            "scope": " ".join(scopes),
        }
        return jwt.encode(payload | claims, self._key, "ES256", {"typ": "at+jwt", "kid": "k1"})

    def tampered(self, client_id: str) -> str:
        """A token with a wrong signature."""
        return tampered(self.token(client_id))


class Site:
    """An issuer and a broker that trusts it, on one clock."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self.clock = clock
        self.record = Record(clock.now)
        self.issuer = Issuer(clock.now)
        options.setdefault("validator", TokenValidator(ISSUER, AUDIENCE, self.issuer.jwks, clock=clock))
        self.broker = Broker(clock=clock, record=self.record, **options)
        #: How a client comes to the broker: None for TCP, else what gives it something like a socket.
        self.door: Callable[[], Any] | None = None

    def line(self) -> Any:
        """A way to the broker, for a client: a socket, or something like one."""
        if self.door is not None:
            return self.door()
        return socket.create_connection(("127.0.0.1", self.broker.mqtt.port), _TIMEOUT)

    def client(self) -> "Client":
        """A connected client that has not said anything."""
        return Client(self.broker.mqtt.port, self.line())

    def connect(self, client_id: str = "dev-1", *, token: str | None = None, **options: Any) -> "Client":
        """A client that has been let in."""
        client = self.client()
        client.connect(client_id, token or self.token(client_id, **_rights(options)), **options)
        assert client.connack == Connack(session_present=client.connack.session_present)
        return client

    def token(self, client_id: str = "dev-1", **options: Any) -> str:
        return self.issuer.token(client_id, **options)


def _rights(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options.pop(name) for name in ("publish", "subscribe", "lifetime") if name in options}


@contextlib.contextmanager
def site(*, limits: Limits | None = None, **options: Any) -> Iterator[Site]:
    """A running site on a clock that moves only when told."""
    start = time.time()
    clock = Clock(lambda: start)
    place = Site(clock, limits=limits, **options)
    try:
        with place.broker:
            yield place
    finally:
        clock.close()


class Client:
    """A raw MQTT client: sends any bytes, reads packets, waits for the end."""

    def __init__(self, port: int, through: Any = None) -> None:
        """Connect over TCP, or speak ``through`` what is connected already."""
        self.socket = through or socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._framer = Framer(1 << 24)
        self._packet_id = 0
        self.connack = Connack(return_code=255)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "socket"):  # nobody listened
            self.socket.close()

    def send(self, *packets: Packet | bytes) -> None:
        self.socket.sendall(b"".join(p if isinstance(p, bytes) else encode(p) for p in packets))

    def connect(
        self,
        client_id: str,
        token: str | bytes | None,
        *,
        username: str | None = "",
        clean: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
    ) -> Connack:
        """Send CONNECT with the token as password and return the CONNACK."""
        password = token.encode() if isinstance(token, str) else token
        self.send(
            Connect(
                client_id=client_id,
                clean_session=clean,
                keep_alive=keep_alive,
                will=will,
                username=(client_id if username == "" else username),
                password=password,
            )
        )
        self.connack = self.expect(Connack)
        return self.connack

    def receive(self) -> Packet | v5.Packet | None:
        """The next packet, or ``None`` at the end of the connection."""
        while True:
            raw = self._framer.next_packet()
            if raw is not None:
                try:
                    return parse(raw)
                except MalformedPacket:  # the answer to a CONNECT whose version was not 4
                    return v5.parse(raw)
            try:
                data = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not data:
                return None
            self._framer.feed(data)

    def expect(self, kind: Any) -> Any:
        """The next packet, which must be of that kind."""
        packet = self.receive()
        assert isinstance(packet, kind), packet
        return packet

    def ended(self) -> bool:
        """Whether the broker closes the connection, without saying anything more; waits for it."""
        return self.receive() is None

    def packet_id(self) -> int:
        self._packet_id += 1
        return self._packet_id

    def subscribe(self, *filters: str, qos: int = 1) -> tuple[int, ...]:
        """Subscribe and return the codes of SUBACK."""
        number = self.packet_id()
        self.send(Subscribe(packet_id=number, filters=tuple((name, qos) for name in filters)))
        suback = self.expect(Suback)
        assert suback.packet_id == number
        codes: tuple[int, ...] = suback.return_codes
        return codes

    def publish(self, topic: str, payload: bytes = b"", *, qos: int = 1, retain: bool = False) -> None:
        """Publish at QoS 0 or 1, and take the PUBACK."""
        number = self.packet_id() if qos else 0
        self.send(Publish(topic=topic, payload=payload, qos=qos, retain=retain, packet_id=number))
        if qos:
            assert self.receive().packet_id == number  # type: ignore[union-attr]

    def silent(self) -> bool:
        """Whether nothing has come, up to a PINGREQ that we send and its answer."""
        self.send(b"\xc0\0")
        return encode(self.receive()) == b"\xd0\0"  # type: ignore[arg-type]

    def leave(self) -> None:
        """Say that nothing more comes from here, and listen on."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket without a word."""
        self.socket.close()

    def cut(self) -> None:
        """Reset the connection, as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()
