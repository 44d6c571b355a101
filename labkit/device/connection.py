"""An MQTT 3.1.1 connection that carries an access token: paho-mqtt with its rough edges taken off.

paho's own loop reconnects for ever with the token that was refused, and it writes from any thread.  Here one
*network* thread per connection reads, writes and pings, and never reconnects: who owns the connection decides
that.  Messages that were not acknowledged outlive a connection, and are sent again on the next.
"""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from labkit.errors import ConnectionFailed

from .exchange import is_loopback, tls_context

__all__ = ["Connection", "Message"]

_PATIENCE = 5.0  # seconds for a TCP connection and a TLS handshake
_FAREWELL = 1.0  # seconds for DISCONNECT to get through
_KEPT = 1000  # messages: how many wait for an absent broker, and how many for an absent reader
_LONGEST_FIELD = 65535  # bytes; MQTT 3.1.1 §1.5.3
_SILENCE = 128  # our mark for a connection that was closed without CONNACK
_REFUSALS = {  # by paho's number: the return code of MQTT 3.1.1 §3.2.2.3, and what to do about it
    _SILENCE: (None, "it closed the connection without a word; it may expect TLS"),
    130: (1, "it does not speak MQTT 3.1.1, or no MQTT at all; check host and port"),
    133: (2, "it does not take this client identifier; register the device under another"),
    136: (3, "it cannot serve, or cannot check tokens, at the moment; try later"),
    134: (4, "it does not believe the token; compare issuer, audience and lifetime with what it expects"),
    135: (5, "the token gives no right to connect like this; compare client id, scopes and will topic"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An application message: received, or left behind as a will.  Spec: MQTT 3.1.1 §3.3."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Connection:
    """Opens, closes and replaces the connection of one client; any thread may do anything at any time.

    On the network thread run ``on_lost``, and ``on_overflow`` when messages are dropped for the first time.
    """

    def __init__(
        self,
        client_id: str,
        host: str,
        port: int,
        *,
        carrier: Literal["password", "username"],
        clean_session: bool,
        keep_alive: int,
        will: Message | None,
        ca_file: str | None,
        on_lost: Callable[[], object],
        on_overflow: Callable[[], object],
    ) -> None:
        if carrier not in ("password", "username"):
            raise ValueError("carrier is 'password' or 'username'")
        self.client_id = client_id
        self.broker = f"the broker at {host}:{port}"
        self.connected = False
        self.wanted = False  #: whether the connection is to stand; without this, it will not be opened
        self.session_present = False
        self.subscriptions: dict[str, int] = {}  #: topic filter -> QoS, as granted
        self._carrier = carrier
        self._on_lost, self._on_overflow = on_lost, on_overflow
        self._network: threading.Thread | None = None
        self._in_use = threading.Lock()  # by who sends, or replaces the connection
        self._changed = threading.Condition()  # guards and announces what the network thread finds out:
        self._connack: int | None = None
        self._subacks: dict[int, list[int]] = {}
        self._inbox: deque[Message] = deque(maxlen=_KEPT)  # the oldest make room
        self._overflowed = False

        self._host, self._port, self._keep_alive = host, port, keep_alive
        self._clean_session, self._will = clean_session, will
        self._tls = None if ca_file is None and is_loopback(host) else tls_context(ca_file)
        self._paho = self._new_client()

    def open(self, access_token: str, timeout: float) -> list[str]:
        """Connect with ``access_token``, in place of the connection that stands.

        Returns the subscriptions that the broker had forgotten and does not grant again.

        Raises:
            ConnectionFailed: the broker was not to be reached, or refused.
        """
        with self._held():  # or a PUBLISH might overtake the CONNECT
            self._carry(access_token)
            self._hang_up()
            self._connack = None
            try:
                self._paho.reconnect()
            except OSError as error:
                raise ConnectionFailed(f"{self.broker} cannot be reached: {error}") from None
            self._network = threading.Thread(
                target=self._serve, name=f"network-{self.client_id}", daemon=True
            )
            self._network.start()
            try:
                self._await_connack(timeout)
                if self.session_present or not self.subscriptions:
                    return []
                return self._request(list(self.subscriptions.items()), timeout)
            except BaseException:
                self._hang_up()
                raise

    def close(self) -> bool:
        """Leave politely, and say whether there was a connection to leave."""
        with self._changed:
            self.wanted = False  # who waits for the broker gives up
            self._changed.notify_all()
        with self._in_use:
            connected = self._hang_up()
            self._paho = self._new_client()  # gone is the old one, and what nobody acknowledged
            return connected

    def publish(self, topic: str, payload: Any, qos: int, retain: bool, timeout: float) -> None:
        """Publish, and wait for the acknowledgement, be it on this connection or on the next."""
        with self._held(timeout):
            sent = self._paho.publish(topic, payload, qos, retain)
        if qos > 0 and sent.rc == MQTTErrorCode.MQTT_ERR_NO_CONN:
            sent.rc = MQTTErrorCode.MQTT_ERR_SUCCESS  # paho keeps it, and sends it after the next CONNACK
        try:
            sent.wait_for_publish(timeout)
        except (RuntimeError, ValueError):
            reason = "no connection, or too many messages wait for one"
            raise ConnectionFailed(f"{topic!r} was not published: {reason}") from None
        if not sent.is_published():
            raise TimeoutError(f"no acknowledgement of {topic!r} within {timeout:g} s; it will be sent again")

    def subscribe(self, topic_filter: str, qos: int, timeout: float) -> bool:
        """Whether the broker grants the subscription."""
        with self._held(timeout):
            return topic_filter not in self._request([(topic_filter, qos)], timeout)

    def receive(self, timeout: float) -> Message:
        """The oldest message that nobody has taken yet."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._inbox, timeout):
                filters = ", ".join(self.subscriptions) or "nothing"
                state = f"{'' if self.connected else 'not '}connected, subscribed to {filters}"
                raise TimeoutError(f"no message within {timeout:g} s; the device is {state}")
            return self._inbox.popleft()

    def demand_wanted(self) -> None:
        """Raises ``ConnectionFailed`` when the connection is not to stand."""
        if not self.wanted:
            raise ConnectionFailed("the device is not connected: call connect() first")

    @contextlib.contextmanager
    def _held(self, timeout: float = -1) -> Iterator[None]:
        """While this is held, nobody else replaces the connection."""
        if not self._in_use.acquire(timeout=timeout):
            raise TimeoutError(f"{self.broker} did not let us in within {timeout:g} s")
        try:
            self.demand_wanted()
            yield
        finally:
            self._in_use.release()

    def _carry(self, access_token: str) -> None:
        if len(access_token) > _LONGEST_FIELD:
            size = f"{len(access_token)} bytes, and a field of CONNECT holds {_LONGEST_FIELD}"
            raise ConnectionFailed(f"the token is too long: it has {size}; ask for fewer scopes")
        if self._carrier == "password":
            # Without a user name paho would drop the password, and not say so.
            self._paho.username_pw_set(self.client_id, access_token)
        else:
            self._paho.username_pw_set(access_token, "")

    def _await_connack(self, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._connack is not None or not self.wanted, timeout)
            answer = self._connack
        if answer is None:
            raise ConnectionFailed(f"{self.broker} did not answer CONNECT within {timeout:g} s")
        if answer != 0:
            return_code, advice = _REFUSALS.get(answer, _REFUSALS[_SILENCE])
            code = "" if return_code is None else f" (CONNACK {return_code})"
            message = f"{self.broker} refuses {self.client_id}{code}: {advice}"
            raise ConnectionFailed(message, return_code=return_code)

    def _request(self, filters: list[tuple[str, int]], timeout: float) -> list[str]:
        """SUBSCRIBE, wait for SUBACK, remember what was granted, return what was not (0x80)."""
        self._subacks.clear()
        _, packet_id = self._paho.subscribe(filters)
        with self._changed:
            self._changed.wait_for(
                lambda: packet_id in self._subacks or not (self.connected and self.wanted), timeout
            )
            granted = self._subacks.get(packet_id or 0)
        if granted is None:
            raise ConnectionFailed(f"{self.broker} did not answer SUBSCRIBE within {timeout:g} s, or is gone")
        refused = []
        for (topic_filter, qos), code in zip(filters, granted, strict=False):
            if code < 0x80:
                self.subscriptions[topic_filter] = qos
            else:
                self.subscriptions.pop(topic_filter, None)
                refused.append(topic_filter)
        return refused

    def _hang_up(self) -> bool:
        """DISCONNECT, which spares us our will (MQTT 3.1.1 §3.14), then see thread and socket gone."""
        with self._changed:
            connected, self.connected = self.connected, False
        network, self._network = self._network, None
        if network is not None:
            self._paho.disconnect()
            network.join(_FAREWELL)
            while network.is_alive():  # the broker does not read: cut the line
                line: Any = self._paho.socket()
                with contextlib.suppress(OSError, AttributeError):  # gone, or None
                    line.shutdown(socket.SHUT_RDWR)
                network.join(_FAREWELL)
        if (rest := self._paho.socket()) is not None:
            rest.close()
        return connected

    def _new_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self.client_id,
            clean_session=self._clean_session,
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_register_write = lambda *_: None  # leaves all writing to the network thread
        client.connect_timeout = _PATIENCE
        client.max_queued_messages_set(_KEPT)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        client.connect_async(self._host, self._port, self._keep_alive)  # notes the address, connects nothing
        return client

    def _serve(self) -> None:
        """The network thread: read, write and ping until the connection ends."""
        outcome = MQTTErrorCode.MQTT_ERR_SUCCESS
        with contextlib.suppress(Exception):  # paho raises on some malformed packets: that is an end, too
            while outcome == MQTTErrorCode.MQTT_ERR_SUCCESS:
                outcome = self._paho.loop(timeout=1.0)
        with self._changed:
            lost, self.connected = self.connected, False
            if self._connack is None:
                self._connack = 130 if outcome == MQTTErrorCode.MQTT_ERR_PROTOCOL else _SILENCE
            self._changed.notify_all()
        if lost:
            self._on_lost()

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            self._connack, self.session_present = reason.value, flags.session_present
            self.connected = reason.value == 0
            self._changed.notify_all()

    def _on_subscribe(
        self, client: Any, userdata: Any, packet_id: int, reasons: Any, properties: Any
    ) -> None:
        with self._changed:
            self._subacks[packet_id] = [reason.value for reason in reasons]
            self._changed.notify_all()

    def _on_message(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        received = Message(
            topic=message.topic, payload=bytes(message.payload), qos=message.qos, retain=message.retain
        )
        with self._changed:
            overflows = len(self._inbox) == _KEPT and not self._overflowed
            self._overflowed |= overflows
            self._inbox.append(received)
            self._changed.notify_all()
        if overflows:
            self._on_overflow()
