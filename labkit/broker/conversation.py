"""What an admitted client says, and what the broker does about it: MQTT 3.1.1 §3 and §4, MQTT 5 the same.

Where the versions differ, the packet has a handler for each, and the connection's dialect finds the words.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from labkit.broker.connection import Connection
from labkit.broker.dialect5 import RECEIVE_MAXIMUM
from labkit.broker.message import ABOUT_MESSAGE, Bequest, Message, of_packet
from labkit.broker.subscribing import subscribe, subscribe5, unsubscribe
from labkit.errors import MalformedPacket
from labkit.record import Fact
from labkit.wire import (
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
    encode,
    v5,
)
from labkit.wire.v5 import Property

if TYPE_CHECKING:
    from labkit.broker.inner import InnerBroker
    from labkit.broker.sessions import Session

__all__ = ["converse"]

#: QoS 2 messages that a client may leave unreleased, whatever it was told.
_MAX_UNRELEASED = 1000
_ABOUT_DELIVERY = ("client_id", "topic", "qos")
_PINGRESP = encode(Pingresp())
_NOT_AUTHORIZED = 0x87
_ID_IN_USE = 0x91


async def converse(broker: "InnerBroker", session: "Session", connection: Connection) -> None:
    """From CONNACK to the end of the connection, its will included.

    Raises:
        MalformedPacket: it ended because the client broke a rule.
    """
    guest = connection.guest
    assert guest is not None
    will = guest.will
    connection.send(connection.dialect.connack(bool(session.parent), broker.limits))
    outbox = session.outbox
    connection.on_writable = outbox.flush
    outbox.attach(
        connection,
        session.permissions.may_receive,
        _deliveries(broker, connection, guest.client_id),
        connection.dialect,
    )
    session.unreleased = min(_MAX_UNRELEASED, len(session.received) + RECEIVE_MAXIMUM)
    try:
        while (packet := await connection.receive()) is not None:
            kind = type(packet)
            if kind is Disconnect or kind is v5.Disconnect:
                if _leaves_in_order(session, packet):
                    will = None  # [MQTT-3.14.4-3]
                connection.end("disconnect")
                break
            handler = _HANDLERS.get(kind)
            if handler is None:  # a second CONNECT [MQTT-3.1.0-2], or what only a server sends
                raise MalformedPacket(
                    f"a client cannot send {kind.__name__.upper()} here",
                    spec=f"{connection.dialect.standard} §4.8",
                    reason_code=0x82,
                )
            waiting = handler(broker, session, connection, packet)
            if waiting is not None:
                await waiting
    finally:
        connection.on_writable = None
        outbox.detach()
        if will is not None:  # §3.1.2.5
            _bequeath(broker, session, connection, will)


def _leaves_in_order(session: "Session", packet: object) -> bool:
    """Whether the will is forgotten.  DISCONNECT of MQTT 5 may ask for it, and change the session's end."""
    if not isinstance(packet, v5.Disconnect):
        return True
    seconds = cast("int | None", packet.properties.get(Property.SESSION_EXPIRY_INTERVAL))
    if seconds is not None:
        if seconds and not session.expiry:
            raise MalformedPacket(
                "a session that ends with its connection cannot be kept",
                spec="MQTT 5 §3.14.2.2.2",
                reason_code=0x82,
            )
        session.expiry = math.inf if seconds == 0xFFFF_FFFF else seconds
    return packet.reason_code == 0  # [MQTT-3.14.4-3] of MQTT 5


def _bequeath(
    broker: "InnerBroker", session: "Session", connection: Connection, will: Will | v5.Will
) -> None:
    """Publish the will, or leave it to the session until its delay has passed.  Spec: §3.1.2.5."""
    delay = 0.0
    if isinstance(will, v5.Will):
        delay = min(cast("int", will.properties.get(Property.WILL_DELAY_INTERVAL, 0)), session.expiry)
    guest = connection.guest
    assert guest is not None
    session.bequest = Bequest(will=will, jti=guest.token.jti, due=broker.now() + delay)
    if delay <= 0:
        broker.publish_will(session)


# What arrives.


def _publish4(broker: "InnerBroker", session: "Session", connection: Connection, packet: Publish) -> None:
    message = Message(packet.topic, packet.payload, packet.qos, packet.retain)
    _publish(broker, session, connection, message, packet.packet_id)


def _publish5(broker: "InnerBroker", session: "Session", connection: Connection, packet: v5.Publish) -> None:
    if Property.TOPIC_ALIAS in packet.properties:  # we have announced none: [MQTT-3.3.2-9]
        raise MalformedPacket("no topic alias was offered", spec="MQTT 5 §3.3.2.3.4", reason_code=0x94)
    if Property.SUBSCRIPTION_IDENTIFIER in packet.properties:  # [MQTT-3.3.4-6]
        raise MalformedPacket(
            "a client sends no subscription identifier", spec="MQTT 5 §3.3.4", reason_code=0x82
        )
    _publish(broker, session, connection, of_packet(packet, broker.now()), packet.packet_id)


def _publish(
    broker: "InnerBroker", session: "Session", connection: Connection, message: Message, packet_id: int
) -> None:
    """Forward what the token allows; 3.1.1 hears that all is well in any case.  Spec: [MQTT-3.3.5-2]."""
    qos, code, five = message.qos, 0, connection.dialect.version == 5
    known = qos > 0 and packet_id in session.received
    if five and qos and not known and len(session.received) >= session.unreleased:  # QoS 1 counts, too
        raise _too_many("MQTT 5 §3.3.4")
    if five and qos == 1 and known:  # of a QoS 2 message that is not over: MQTT 5 §2.2.1
        code = _ID_IN_USE
    elif qos < 2 or not known:
        # Topics that start with $ belong to the server (§4.7.2), whatever a scope says.
        if message.topic.startswith("$") or not session.permissions.may_publish(message.topic):
            _note(broker, connection, "publish.refused", topic=message.topic)
            code = _NOT_AUTHORIZED
        if qos == 2 and not (five and code):  # MQTT 5: a refused one is over (§4.3.3)
            if not five and len(session.received) >= _MAX_UNRELEASED:
                raise _too_many("limit of this server")
            session.received.add(packet_id)  # forward now, remember the identifier (§4.3.3, method B)
        if not code:
            _note_message(broker, connection, "publish.accepted", message)
            broker.distribute(message, session)
    if qos == 1:
        connection.send(connection.dialect.puback(packet_id, code))
    elif qos == 2:
        connection.send(connection.dialect.pubrec(packet_id, code))


def _too_many(spec: str) -> MalformedPacket:
    return MalformedPacket("too many QoS 2 messages are not released", spec=spec, reason_code=0x93)


def _puback(broker: "InnerBroker", session: "Session", connection: Connection, packet: Puback) -> None:
    session.outbox.puback(packet.packet_id)


def _pubrec(broker: "InnerBroker", session: "Session", connection: Connection, packet: Pubrec) -> None:
    session.outbox.pubrec(packet.packet_id)


def _pubrec5(broker: "InnerBroker", session: "Session", connection: Connection, packet: v5.Pubrec) -> None:
    session.outbox.pubrec(packet.packet_id, packet.reason_code)


def _pubrel(broker: "InnerBroker", session: "Session", connection: Connection, packet: Pubrel) -> None:
    code = 0 if packet.packet_id in session.received else 0x92  # MQTT 5 §3.7.2.1
    session.received.discard(packet.packet_id)
    connection.send(connection.dialect.pubcomp(packet.packet_id, code))


def _pubcomp(broker: "InnerBroker", session: "Session", connection: Connection, packet: Pubcomp) -> None:
    session.outbox.pubcomp(packet.packet_id)


def _pingreq(broker: "InnerBroker", session: "Session", connection: Connection, packet: Pingreq) -> None:
    connection.send(_PINGRESP)


def _auth(broker: "InnerBroker", session: "Session", connection: Connection, packet: v5.Auth) -> None:
    connection.gate.enhanced.again(connection, packet)


_Handler: TypeAlias = Callable[["InnerBroker", "Session", Connection, Any], Awaitable[None] | None]
_HANDLERS: Final[Mapping[type, _Handler]] = {
    Publish: _publish4,
    v5.Publish: _publish5,
    Puback: _puback,
    v5.Puback: _puback,
    Pubrec: _pubrec,
    v5.Pubrec: _pubrec5,
    Pubrel: _pubrel,
    v5.Pubrel: _pubrel,
    Pubcomp: _pubcomp,
    v5.Pubcomp: _pubcomp,
    Subscribe: subscribe,
    v5.Subscribe: subscribe5,
    Unsubscribe: unsubscribe,
    v5.Unsubscribe: unsubscribe,
    Pingreq: _pingreq,
    v5.Pingreq: _pingreq,
    v5.Auth: _auth,
}


def _note(broker: "InnerBroker", connection: Connection, kind: str, **facts: Fact) -> None:
    guest = connection.guest
    assert guest is not None
    broker.record.add("broker", kind, client_id=guest.client_id, jti=guest.token.jti, **facts)


def _note_message(broker: "InnerBroker", connection: Connection, kind: str, message: Message) -> None:
    """A message without what it says, which is nobody's business."""
    guest = connection.guest
    assert guest is not None
    about = message.topic, message.qos, message.retain, len(message.payload)
    broker.record.note("broker", kind, ABOUT_MESSAGE, (guest.client_id, guest.token.jti, *about))


def _deliveries(broker: "InnerBroker", connection: Connection, client_id: str) -> Callable[[Message], None]:
    """Writes down what is sent to a client."""
    note = broker.record.note

    def delivered(message: Message) -> None:
        if connection.reason is None:  # else it went nowhere
            facts = client_id, message.topic, message.qos
            note("broker", "message.delivered", _ABOUT_DELIVERY, facts)

    return delivered
