"""paho-mqtt, and what it lacks of MQTT 5: AUTH packets, refusals that arrive, limits that are kept.

paho has no hook for AUTH, so the client below reaches into private names of it; ``tests/test_paho_auth.py``
pins them, and ``pyproject.toml`` the version.
"""

import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt import _packet
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from labkit.auth_methods import Method

__all__ = ["AuthClient", "TooLong"]

_SUCCESS, _CONTINUE, _AGAIN = 0x00, 0x18, 0x19  # reason codes of AUTH (MQTT 5 §3.15.2.1)
_FAILURE, _PROTOCOL_ERROR, _TOO_LARGE = 0x80, 0x82, 0x95
_IN_FLIGHT = 20  # messages without an acknowledgement, unless the broker takes fewer
_properties: Any = Properties  # paho has no types there
_ALWAYS = 0xFFFFFFFF  # Session Expiry Interval: what a session of MQTT 3.1.1 lives (§3.1.2.11.2)


class TooLong(ValueError):
    """The broker has said that it takes no packet of this size.  Spec: MQTT 5 §3.2.2.3.6."""


class AuthClient(paho.Client):
    """A client of MQTT 3.1.1 or 5.

    Args:
        client_id: the client identifier.
        version: 4 for MQTT 3.1.1, 5 for MQTT 5.
        clean: whether every connection starts a new session.
        transport: ``"tcp"`` or ``"websockets"``.
    """

    #: Called by the network thread when AUTH says that a re-authentication has succeeded.
    on_reauthenticated: Callable[[], object] = staticmethod(lambda: None)
    #: Called by the network thread with topic and reason code of a message that the broker refuses.
    on_refused: Callable[[str, int], object] = staticmethod(lambda topic, code: None)

    def __init__(
        self, client_id: str, *, version: int = 5, clean: bool = False, transport: Any = "tcp"
    ) -> None:
        self._clean = clean
        self._method: Method | None = None
        self._in_talk = False  # whether an authentication is under way
        self._entered = False  # whether CONNACK has come
        self._fresh: Any = None  # the socket that is being made
        self.maximum_packet_size: int | None = None  #: bytes, as CONNACK said
        self.objection = ""  #: what the broker did that the standard forbids, in words
        five = version == 5
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if five else clean,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            transport=transport,
            reconnect_on_failure=False,
        )

    def aim(
        self, host: str, port: int, keep_alive: int, method: Method | None = None, token: str = ""
    ) -> None:
        """Say where the next :meth:`reconnect` leads, and what it shows there; connects nothing."""
        self._method, self._in_talk, self._entered = method, method is not None, False
        self.maximum_packet_size, self.objection = None, ""
        if self.protocol != paho.MQTTv5:
            self.connect_async(host, port, keep_alive)
            return
        properties = _properties(PacketTypes.CONNECT)
        if not self._clean:
            properties.SessionExpiryInterval = _ALWAYS
        if method is not None:
            properties.AuthenticationMethod = method.name
            properties.AuthenticationData = method.first(token, self._client_id.decode())
        self.connect_async(host, port, keep_alive, clean_start=self._clean, properties=properties)

    def reauthenticate(self, token: str) -> None:
        """Show another token on the living connection.  Spec: MQTT 5 §4.12.1.

        :attr:`on_reauthenticated` or the end of the connection tells the outcome.
        """
        if self._method is None or not self._entered:
            raise ValueError("only who came in by an authentication method can re-authenticate")
        if self._in_talk:
            raise ValueError("wait for the outcome of the authentication before this one (§4.12.1)")
        self._in_talk = True
        self._send_auth(_AGAIN, self._method.first(token, self._client_id.decode()))

    def close(self) -> None:
        """Leave no socket behind; the network thread must have ended."""
        self._reset_sockets()

    def publish(self, topic: str, payload: Any = None, qos: int = 0, *more: Any, **options: Any) -> Any:
        """As paho does.  Raises :class:`TooLong`: the broker would end the connection."""
        size = self._too_long(topic, paho._encode_payload(payload))
        if size:
            raise TooLong(f"it makes {size} bytes, and the broker takes {self.maximum_packet_size}")
        return super().publish(topic, payload, qos, *more, **options)

    def _packet_handle(self) -> MQTTErrorCode:
        kind, five = self._in_packet["command"] & 0xF0, self.protocol == paho.MQTTv5
        if five and kind == PacketTypes.AUTH << 4:
            return self._handle_auth(bytes(self._in_packet["packet"]))
        if five and kind == paho.CONNACK:
            return self._enter()
        return super()._packet_handle()

    def _enter(self) -> MQTTErrorCode:
        """CONNACK: keep its limits, before anything is sent again (MQTT 5 §3.2.2.3)."""
        connack = _packet.decode_connack(self._in_packet["command"], self._in_packet["packet"], self.protocol)
        named = connack.properties
        theirs = getattr(named, "AuthenticationMethod", None)
        if connack.rc == 0 and self._method is not None and theirs != self._method.name:  # [MQTT-4.12.0-5]
            return self._object("its CONNACK does not name the authentication method")
        self._entered, self._in_talk = connack.rc == 0, False
        self.maximum_packet_size = getattr(named, "MaximumPacketSize", None)
        self._keepalive = getattr(named, "ServerKeepAlive", self._keepalive)  # [MQTT-3.2.2-21]
        in_flight = min(_IN_FLIGHT, getattr(named, "ReceiveMaximum", _IN_FLIGHT))
        self._max_inflight_messages = in_flight  # the public setter refuses while there is a connection
        with self._out_message_mutex:
            self._drop_what_is_too_long()
            again = [m for m in self._out_messages.values() if m.state == paho.mqtt_ms_publish]
            under_way = sum(m.state == paho.mqtt_ms_resend_pubrel for m in self._out_messages.values())
            for message in again[max(0, in_flight - under_way) :]:
                message.state = paho.mqtt_ms_queued
        return super()._handle_connack()

    def _drop_what_is_too_long(self) -> None:
        """Messages from before that this broker does not take would end every connection again."""
        for mid, message in list(self._out_messages.items()):
            if self._too_long(message.topic, message.payload):
                del self._out_messages[mid]
                message.info.rc = _TOO_LARGE  # type: ignore[assignment]
                message.info._set_as_published()
                self.on_refused(message.topic, _TOO_LARGE)

    def _too_long(self, topic: str, payload: bytes | bytearray) -> int:
        """The bytes of a PUBLISH that the broker does not take; 0 when it does."""
        size = 9 + len(topic.encode()) + len(payload)  # header, packet identifier, no properties
        limit = self.maximum_packet_size
        return size if limit is not None and size > limit else 0

    def _handle_auth(self, body: bytes) -> MQTTErrorCode:
        """AUTH: ``body`` is all behind the length.  Spec: MQTT 5 §3.15."""
        code, named = (body[0] if body else _SUCCESS), _properties(PacketTypes.AUTH)
        try:
            if len(body) > 1:
                _, used = named.unpack(body[1:])
                if used != len(body) - 1:
                    raise ValueError("bytes behind the properties")
        except Exception:  # paho raises whatever comes: IndexError, struct.error, MQTTException ...
            return self._object("it sent a malformed AUTH packet")
        if self._method is None or not self._in_talk:
            return self._object("it sent AUTH, and nobody had asked")
        if len(body) > 1 and getattr(named, "AuthenticationMethod", None) != self._method.name:
            return self._object("it sent AUTH for another authentication method")  # [MQTT-4.12.0-5]
        if code == _SUCCESS and self._entered:
            self._in_talk = False
            self.on_reauthenticated()
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if code != _CONTINUE:
            return self._object("it sent AUTH with a reason code that is not for it, or not now")
        try:
            return self._send_auth(_CONTINUE, self._method.answer(getattr(named, "AuthenticationData", b"")))
        except ValueError as error:
            return self._object(str(error))

    def _send_auth(self, code: int, data: bytes) -> MQTTErrorCode:
        properties = _properties(PacketTypes.AUTH)
        assert self._method is not None
        properties.AuthenticationMethod = self._method.name
        properties.AuthenticationData = data
        body = bytes([code]) + properties.pack()
        packet = bytearray([PacketTypes.AUTH << 4])
        self._pack_remaining_length(packet, len(body))
        return self._packet_queue(PacketTypes.AUTH << 4, packet + body, 0, 0)

    def _object(self, words: str) -> MQTTErrorCode:
        """End the connection, as the broker has broken the rules.  Spec: MQTT 5 §4.13."""
        self.objection = words
        if self._entered:  # before CONNACK, closing is all that is allowed
            self._send_disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=_PROTOCOL_ERROR))
            with contextlib.suppress(OSError):
                self._packet_write()
        return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _handle_pubrec(self) -> MQTTErrorCode:
        """A refusing PUBREC is the last word about a message (MQTT 5 §4.3.3); paho answers PUBREL."""
        pubrec = _packet.decode_pubrec(self._in_packet["command"], self._in_packet["packet"], self.protocol)
        if pubrec.reason is None or pubrec.reason.value < _FAILURE:
            return super()._handle_pubrec()
        with self._out_message_mutex:
            if pubrec.mid in self._out_messages:
                return self._do_on_publish(pubrec.mid, pubrec.reason, pubrec.properties)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _do_on_publish(self, mid: int, reason_code: Any, properties: Any) -> MQTTErrorCode:
        value = getattr(reason_code, "value", 0)
        if value >= _FAILURE:
            message: Any = self._out_messages[mid]
            message.info.rc = value  # for who waits: no rc of paho is as high
            self.on_refused(message.topic, value)
        return super()._do_on_publish(mid, reason_code, properties)

    def _create_socket(self) -> Any:
        """paho leaves the socket open where a handshake fails."""
        try:
            return super()._create_socket()
        except BaseException:
            if self._fresh is not None:
                self._fresh.close()
            raise
        finally:
            self._fresh = None

    def _create_socket_connection(self) -> Any:
        self._fresh = super()._create_socket_connection()
        return self._fresh

    def _ssl_wrap_socket(self, tcp_sock: Any) -> ssl.SSLSocket:
        context: Any = self._ssl_context
        wrapped: ssl.SSLSocket = context.wrap_socket(
            tcp_sock, server_hostname=self._host, do_handshake_on_connect=False
        )
        self._fresh = wrapped
        wrapped.settimeout(self._connect_timeout)
        wrapped.do_handshake()
        return wrapped
