"""SUBSCRIBE and UNSUBSCRIBE, in both versions: MQTT 3.1.1 §3.8 to §3.11, MQTT 5 the same."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from labkit.broker.connection import Connection
from labkit.broker.sessions import Options
from labkit.errors import MalformedPacket
from labkit.record import Fact
from labkit.topics import valid_filter
from labkit.wire import Subscribe, Unsubscribe, v5
from labkit.wire.v5 import Property

if TYPE_CHECKING:
    from labkit.broker.inner import InnerBroker
    from labkit.broker.sessions import Session

__all__ = ["REFUSALS", "subscribe", "subscribe5", "unsubscribe"]

#: Why a subscription is refused → what SUBACK says in MQTT 5 (§3.9.3); in 3.1.1 it is always 0x80.
REFUSALS = {
    "ill-formed": 0x8F,
    "not-permitted": 0x87,
    "no-shared-subscriptions": 0x9E,
    "too-many": 0x97,
}
_NO_SUBSCRIPTION = 0x11
_FAILURE = 0x80
_ID_IN_USE = 0x91  # by a QoS 2 message that is not over: MQTT 5 §2.2.1
#: How many filters of one packet are worked on before other clients get a turn.
_TURN = 32


async def subscribe(
    broker: "InnerBroker", session: "Session", connection: Connection, packet: Subscribe
) -> None:
    """What MQTT 3.1.1 can ask for."""
    if not all(valid_filter(topic_filter) for topic_filter, _ in packet.filters):
        raise MalformedPacket("a topic filter is ill-formed", spec="MQTT 3.1.1 §4.7.1")
    wishes = [v5.Subscription(topic_filter=topic_filter, qos=qos) for topic_filter, qos in packet.filters]
    await _subscribe(broker, session, connection, packet.packet_id, wishes, 0)


async def subscribe5(
    broker: "InnerBroker", session: "Session", connection: Connection, packet: v5.Subscribe
) -> None:
    """What MQTT 5 can ask for.

    Raises:
        MalformedPacket: shared subscriptions, though CONNACK has said that there are none (§3.2.2.3.13); or
            more filters than the client takes an answer to.
    """
    if any(wish.topic_filter.startswith("$share/") for wish in packet.subscriptions):
        raise MalformedPacket("a shared subscription", spec="MQTT 5 §3.2.2.3.13", reason_code=0x9E)
    if _in_use(session, connection, packet.packet_id, len(packet.subscriptions), connection.dialect.suback):
        return
    identifier = cast("int", packet.properties.get(Property.SUBSCRIPTION_IDENTIFIER, 0))
    await _subscribe(broker, session, connection, packet.packet_id, list(packet.subscriptions), identifier)


async def _subscribe(
    broker: "InnerBroker",
    session: "Session",
    connection: Connection,
    packet_id: int,
    wishes: list[v5.Subscription],
    identifier: int,
) -> None:
    """One return code for each filter, then what was retained.  Spec: [MQTT-3.8.4-5], [MQTT-3.9.3-1]."""
    codes: list[int] = []
    # A filter that was named twice was subscribed to once, with the QoS of its last mention.
    wanted: dict[str, int] = {}
    for number, wish in enumerate(wishes, 1):
        if not number % _TURN:
            await asyncio.sleep(0)
            if connection.reason is not None:
                return
        topic_filter = wish.topic_filter
        reason = _objection(broker, session, topic_filter)
        if reason is None:
            new = topic_filter not in session.filters
            code = await broker.subscribe(session, topic_filter, wish.qos, _options(wish, identifier))
            _note(broker, connection, "subscribe.accepted", filter=topic_filter, qos=code)
            if code < _FAILURE and (wish.retain_handling == 0 or (wish.retain_handling == 1 and new)):
                wanted[topic_filter] = code
        else:
            code = REFUSALS[reason]
            _note(broker, connection, "subscribe.refused", filter=topic_filter, reason=reason)
        codes.append(code)
    connection.send(connection.dialect.suback(packet_id, tuple(codes)))
    for topic_filter, code in wanted.items():
        await asyncio.sleep(0)
        if connection.reason is not None or topic_filter not in session.filters:
            return
        broker.send_retained(session, topic_filter, code)


def unsubscribe(
    broker: "InnerBroker", session: "Session", connection: Connection, packet: Unsubscribe | v5.Unsubscribe
) -> None:
    """Ends subscriptions; MQTT 5 hears which of them there were."""
    if not all(valid_filter(topic_filter) for topic_filter in packet.filters):
        raise MalformedPacket("a topic filter is ill-formed", spec="MQTT 3.1.1 §4.7.1")
    if _in_use(session, connection, packet.packet_id, len(packet.filters), connection.dialect.unsuback):
        return
    had = [broker.unsubscribe(session, topic_filter) for topic_filter in packet.filters]
    codes = tuple(0 if each else _NO_SUBSCRIPTION for each in had)
    connection.send(connection.dialect.unsuback(packet.packet_id, codes))


def _in_use(
    session: "Session",
    connection: Connection,
    packet_id: int,
    filters: int,
    answer: Callable[[int, tuple[int, ...]], bytes],
) -> bool:
    """Whether the identifier belongs to a message, and so the packet is answered.

    Raises:
        MalformedPacket: no answer fits, before anything is done: one must be sent ([MQTT-3.8.4-1],
            [MQTT-3.10.4-4]), and cannot be cut (§3.1.2.11.4).
    """
    refusal = answer(packet_id, (_ID_IN_USE,) * filters)  # as long as any other answer
    if not refusal:
        raise MalformedPacket(
            "the answer is longer than the client takes", spec="MQTT 5 §3.1.2.11.4", reason_code=0x95
        )
    if connection.dialect.version != 5 or packet_id not in session.received:
        return False
    connection.send(refusal)
    return True


def _options(wish: v5.Subscription, identifier: int) -> Options | None:
    if wish.no_local or wish.retain_as_published or identifier:
        return Options(wish.no_local, wish.retain_as_published, identifier)
    return None


def _objection(broker: "InnerBroker", session: "Session", topic_filter: str) -> str | None:
    """Why this subscription is refused, or ``None``."""
    if not session.permissions.may_subscribe(topic_filter):
        return "not-permitted"
    if topic_filter.startswith("$share/"):
        return "no-shared-subscriptions"  # they came with MQTT 5, and amqtt does not have them
    if not valid_filter(topic_filter):
        return "ill-formed"
    if topic_filter not in session.filters and len(session.filters) >= broker.limits.max_subscriptions:
        return "too-many"
    return None


def _note(broker: "InnerBroker", connection: Connection, kind: str, **facts: Fact) -> None:
    guest = connection.guest
    assert guest is not None
    broker.record.add("broker", kind, client_id=guest.client_id, jti=guest.token.jti, **facts)
