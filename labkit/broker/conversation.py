"""What an admitted client says, and what the broker does about it: MQTT 3.1.1 §3 and §4."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.broker.connection import Connection
from labkit.errors import MalformedPacket
from labkit.record import Fact
from labkit.topics import valid_filter
from labkit.wire import (
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    encode,
)

if TYPE_CHECKING:
    from labkit.broker.inner import InnerBroker, Session

__all__ = ["converse"]

REFUSED = 0x80  # §3.9.3
#: QoS 2 messages that a client may leave unreleased; 3.1.1 knows no number for it.
_MAX_UNRELEASED = 1000
#: Names of what the record says about a message.
_ABOUT_MESSAGE = ("client_id", "jti", "topic", "qos", "retain", "size")
_ABOUT_DELIVERY = ("client_id", "topic", "qos")
#: How many filters of one packet are worked on before other clients get a turn.
_TURN = 32


async def converse(broker: "InnerBroker", session: "Session", connection: Connection) -> None:
    """From CONNACK to the end of the connection, its will included.

    Raises:
        MalformedPacket: it ended because the client broke a rule.
    """
    guest = connection.guest
    assert guest is not None
    will = guest.will
    connection.send(encode(Connack(session_present=bool(session.parent))))
    outbox = session.outbox
    connection.on_writable = outbox.flush
    outbox.attach(
        connection,
        session.permissions.may_receive,
        _deliveries(broker, connection, guest.client_id),
    )
    try:
        while (packet := await connection.receive()) is not None:
            if isinstance(packet, Disconnect):
                will = None  # [MQTT-3.14.4-3]
                connection.end("disconnect")
                break
            await _answer(broker, session, connection, packet)
    finally:
        connection.on_writable = None
        outbox.detach()
        if will is not None:  # §3.1.2.5
            message = Publish(topic=will.topic, payload=will.payload, qos=will.qos, retain=will.retain)
            _note_message(broker, connection, "will.published", message)
            await _distribute(broker, message)


async def _answer(broker: "InnerBroker", session: "Session", connection: Connection, packet: Packet) -> None:
    match packet:
        case Publish():
            await _publish(broker, session, connection, packet)
        case Puback():
            session.outbox.puback(packet.packet_id)
        case Pubrec():
            session.outbox.pubrec(packet.packet_id)
        case Pubrel():
            session.received.discard(packet.packet_id)
            connection.send(encode(Pubcomp(packet_id=packet.packet_id)))
        case Pubcomp():
            session.outbox.pubcomp(packet.packet_id)
        case Subscribe():
            await _subscribe(broker, session, connection, packet)
        case Unsubscribe():
            if not all(valid_filter(topic_filter) for topic_filter in packet.filters):
                raise MalformedPacket("a topic filter is ill-formed", spec="MQTT 3.1.1 §4.7.1")
            for topic_filter in packet.filters:
                broker.unsubscribe(session, topic_filter)
            connection.send(encode(Unsuback(packet_id=packet.packet_id)))
        case Pingreq():
            connection.send(encode(Pingresp()))
        case _:  # a second CONNECT [MQTT-3.1.0-2], or what only a server sends
            raise MalformedPacket(
                f"a client cannot send {type(packet).__name__.upper()} here", spec="MQTT 3.1.1 §4.8"
            )


async def _publish(
    broker: "InnerBroker", session: "Session", connection: Connection, packet: Publish
) -> None:
    """Forward what the token allows; answer as if all were well in any case.  Spec: [MQTT-3.3.5-2]."""
    repeated = packet.qos == 2 and packet.packet_id in session.received
    if not repeated:
        if packet.qos == 2:
            if len(session.received) >= _MAX_UNRELEASED:
                raise MalformedPacket("too many QoS 2 messages are not released", spec="limit of this server")
            session.received.add(packet.packet_id)  # forward now, remember the identifier (§4.3.3, method B)
        # Topics that start with $ belong to the server (§4.7.2), whatever a scope says.
        if packet.topic.startswith("$") or not session.permissions.may_publish(packet.topic):
            _note(broker, connection, "publish.refused", topic=packet.topic)
        else:
            _note_message(broker, connection, "publish.accepted", packet)
            await _distribute(broker, packet)
    if packet.qos == 1:
        connection.send(encode(Puback(packet_id=packet.packet_id)))
    elif packet.qos == 2:
        connection.send(encode(Pubrec(packet_id=packet.packet_id)))


async def _distribute(broker: "InnerBroker", message: Publish) -> None:
    if message.retain:
        await broker.retain(message)
    broker.route(message)


async def _subscribe(
    broker: "InnerBroker", session: "Session", connection: Connection, packet: Subscribe
) -> None:
    """One return code for each filter, then what was retained.  Spec: [MQTT-3.8.4-5], [MQTT-3.9.3-1]."""
    if not all(valid_filter(topic_filter) for topic_filter, _ in packet.filters):
        raise MalformedPacket("a topic filter is ill-formed", spec="MQTT 3.1.1 §4.7.1")
    codes: list[int] = []
    for number, (topic_filter, qos) in enumerate(packet.filters, 1):
        if not number % _TURN:
            await asyncio.sleep(0)
            if connection.reason is not None:
                return
        reason = _objection(broker, session, topic_filter)
        if reason is None:
            codes.append(await broker.subscribe(session, topic_filter, qos))
            _note(broker, connection, "subscribe.accepted", filter=topic_filter, qos=codes[-1])
        else:
            _note(broker, connection, "subscribe.refused", filter=topic_filter, reason=reason)
            codes.append(REFUSED)
    connection.send(encode(Suback(packet_id=packet.packet_id, return_codes=tuple(codes))))
    # A filter that was named twice was subscribed to once, with the QoS of its last mention.
    subscribed = dict(zip((name for name, _ in packet.filters), codes, strict=True))
    for topic_filter, code in subscribed.items():
        if code != REFUSED:
            await asyncio.sleep(0)
            if connection.reason is not None or topic_filter not in session.filters:
                return
            broker.send_retained(session, topic_filter, code)


def _objection(broker: "InnerBroker", session: "Session", topic_filter: str) -> str | None:
    """Why this subscription is refused, or ``None``."""
    if not session.permissions.may_subscribe(topic_filter):
        return "not-permitted"
    if topic_filter.startswith("$share/"):
        return "no-shared-subscriptions"  # they came with MQTT 5, and amqtt does not have them
    if topic_filter not in session.filters and len(session.filters) >= broker.limits.max_subscriptions:
        return "too-many"
    return None


def _note(broker: "InnerBroker", connection: Connection, kind: str, **facts: Fact) -> None:
    guest = connection.guest
    assert guest is not None
    broker.record.add("broker", kind, client_id=guest.client_id, jti=guest.token.jti, **facts)


def _note_message(broker: "InnerBroker", connection: Connection, kind: str, message: Publish) -> None:
    """A message without what it says, which is nobody's business."""
    guest = connection.guest
    assert guest is not None
    about = message.topic, message.qos, message.retain, len(message.payload)
    broker.record.note("broker", kind, _ABOUT_MESSAGE, (guest.client_id, guest.token.jti, *about))


def _deliveries(broker: "InnerBroker", connection: Connection, client_id: str) -> Callable[[Publish], None]:
    """Writes down what is sent to a client."""
    note = broker.record.note

    def delivered(message: Publish) -> None:
        if connection.reason is None:  # else it went nowhere
            facts = client_id, message.topic, message.qos
            note("broker", "message.delivered", _ABOUT_DELIVERY, facts)

    return delivered
