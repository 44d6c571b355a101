"""amqtt, as far as it is used: sessions, subscriptions, routing and retained messages.

This is the only file that knows amqtt's inner names, and a test holds them in place (the version is pinned).
Connections reach amqtt through its public door, ``external_connected`` on a listener of type ``external``,
after the gate has admitted them.  What amqtt does behind that door is replaced where it cannot be kept:

- its session start looks at the CONNECT again, and builds a state machine that costs more than a signature
  check and leaves the garbage collector hundreds of cycles (300 ms pauses);
- its conversation starts a task for every packet, so packets in front of a DISCONNECT can be lost;
- its delivery forgets a message in flight when the connection is cut, ignores the publisher's QoS, and sends
  retained messages to sessions that did not subscribe.
"""

from typing import Any

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import Action

from labkit.broker.afterlife import Afterlife
from labkit.broker.connection import Connection
from labkit.broker.conversation import converse
from labkit.broker.limits import Limits
from labkit.broker.message import ABOUT_MESSAGE, Message, of_will
from labkit.broker.sessions import Options, Session, State
from labkit.clock import Clock
from labkit.record import Record
from labkit.topics import matches

__all__ = ["InnerBroker", "Session", "State"]

_LISTENER = "default"


class _Inlet(ReaderAdapter):  # type: ignore[misc]
    """Carries a connection through amqtt's door; its packets have been read already."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def read(self, n: int = -1) -> bytes:
        raise NotImplementedError("packets are read by the gate")

    def feed_eof(self) -> None:
        """Nothing to do."""


class _Outlet(WriterAdapter):  # type: ignore[misc]
    """The other direction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.send(data)

    async def drain(self) -> None:
        """Nothing to do: the connection bounds what is unsent."""

    def get_peer_info(self) -> tuple[str, int]:
        return self._connection.peer

    def get_ssl_info(self) -> None:
        return None

    async def close(self) -> None:
        self._connection.end("closed-by-broker")


class InnerBroker(AmqttBroker):  # type: ignore[misc]
    """amqtt behind the gate.  Create it on its loop."""

    _sessions: dict[str, tuple[Session, None]]
    _subscriptions: dict[str, list[tuple[Session, int]]]
    _retained_messages: dict[str, Message]

    def __init__(self, *, limits: Limits, record: Record, clock: Clock) -> None:
        super().__init__({"listeners": {_LISTENER: {"type": "external"}}, "plugins": {}})
        self.limits = limits
        self.record = record
        self.now = clock.now
        self._afterlife = Afterlife(clock, self.publish_will, self._forget)
        self._retained_bytes = 0

    async def host(self, connection: Connection) -> None:
        """Serve an admitted connection until it is over.

        Raises:
            MalformedPacket: it ended because the client broke a rule of MQTT.
        """
        await self.external_connected(_Inlet(connection), _Outlet(connection), _LISTENER)

    # Sessions.

    async def _initialize_client_session(
        self, reader: _Inlet, writer: _Outlet, remote_address: str, remote_port: int
    ) -> tuple[None, Session]:
        """Find or make the session.  The gate has seen to it that no other connection has it now."""
        guest = reader.connection.guest
        assert guest is not None
        session: Session | None = self._sessions.get(guest.client_id, (None, None))[0]
        if guest.clean_session and session is not None:
            self._forget(session)  # [MQTT-3.1.2-6], MQTT 5 [MQTT-3.1.2-4]
            session = None
        present = session is not None
        if session is None:
            session = Session(guest.client_id, self.limits, self.now)
        else:
            self._afterlife.back(session)
        session.parent = int(present)  # amqtt's name for session present
        session.clean_session = guest.clean_session
        session.expiry = guest.session_expiry
        session.remote_address, session.remote_port = remote_address, remote_port
        session.permissions = guest.permissions
        reader.connection.session = session
        return None, session

    async def _handle_client_session(
        self, reader: _Inlet, writer: _Outlet, session: Session, handler: None, server: Any, name: str
    ) -> None:
        session.transitions.connect()
        self._sessions[session.client_id] = (session, None)
        try:
            await converse(self, session, reader.connection)
        finally:
            session.transitions.disconnect()
            if session.expiry > 0:
                self._afterlife.begin(session)
            else:
                self._forget(session)

    async def _cleanup_session(self, client_id: str) -> None:
        session: Session | None = self._sessions.get(client_id, (None, None))[0]
        if session is not None:
            self._forget(session)

    def _forget(self, session: Session) -> None:
        """The session ends; a will that waits is published now.  Spec: MQTT 5 §3.1.3.2.2."""
        self._afterlife.drop(session)
        if self._sessions.get(session.client_id, (None, None))[0] is session:
            del self._sessions[session.client_id]
        for topic_filter in list(session.filters):
            self.unsubscribe(session, topic_filter)
        if session.bequest is not None:
            self.publish_will(session)

    def publish_will(self, session: Session) -> None:
        """Publish the will that ``session`` left."""
        bequest, session.bequest = session.bequest, None
        if bequest is None:
            return
        message = of_will(bequest.will, self.now())
        about = session.client_id, bequest.jti, message.topic, message.qos, message.retain
        self.record.note("broker", "will.published", ABOUT_MESSAGE, (*about, len(message.payload)))
        self.distribute(message)

    async def _session_monitor(self) -> None:
        """Nothing to do: a clean session goes with its connection."""

    def give_away(self) -> State:
        """Sessions, subscriptions and retained messages, to be taken over by the next broker."""
        self._afterlife.close()
        state = (self._sessions, self._subscriptions, self._retained_messages)
        self._sessions, self._subscriptions, self._retained_messages = {}, {}, {}
        return state

    def take_over(self, state: State) -> None:
        """Continue with what another broker gave away."""
        self._sessions, self._subscriptions, self._retained_messages = state
        self._retained_bytes = sum(kept.size for kept in self._retained_messages.values())
        self._afterlife.resume(self._sessions)

    # Rights.

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """amqtt's question, answered from the token, without plugins and tasks."""
        if action == Action.SUBSCRIBE:
            return session.permissions.may_subscribe(topic)
        if action == Action.PUBLISH:
            return session.permissions.may_publish(topic)
        return session.permissions.may_receive(topic)

    # Subscriptions and routing.

    async def subscribe(
        self, session: Session, topic_filter: str, qos: int, options: Options | None = None
    ) -> int:
        """Subscribe, replacing an equal filter; the return code for SUBACK.  Spec: [MQTT-3.8.4-3]."""
        self.unsubscribe(session, topic_filter)
        code: int = await self.add_subscription((topic_filter, qos), session)
        if code <= 2:
            session.filters[topic_filter] = code
            if options is not None:
                session.options[topic_filter] = options
        return code

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Forget a subscription; whether there was one."""
        if session.filters.pop(topic_filter, None) is None:
            return False
        session.options.pop(topic_filter, None)
        others = [pair for pair in self._subscriptions[topic_filter] if pair[0] is not session]
        if others:
            self._subscriptions[topic_filter] = others
        else:
            del self._subscriptions[topic_filter]
        return True

    def distribute(self, message: Message, sender: Session | None = None) -> None:
        """Keep it, if it wants to be kept, and deliver it."""
        if message.retain:
            self.retain(message)
        self.route(message, sender)

    def route(self, message: Message, sender: Session | None = None) -> None:
        """Deliver to everybody who subscribed and may receive it, once each, at the best QoS both allow.

        Spec: [MQTT-3.3.5-1] overlapping subscriptions, [MQTT-3.8.4-6] QoS, [MQTT-3.3.1-9] retain flag.
        """
        takers: dict[str, tuple[Session, int]] = {}
        special: dict[str, list[Options]] = {}
        for topic_filter, subscribers in self._subscriptions.items():
            if self._matches(message.topic, topic_filter):
                for session, qos in subscribers:
                    if session.options and (options := session.options.get(topic_filter)) is not None:
                        if options.no_local and session is sender:  # MQTT 5 [MQTT-3.8.3-3]
                            continue
                        special.setdefault(session.client_id, []).append(options)
                    known = takers.get(session.client_id)
                    if known is None or known[1] < qos:
                        takers[session.client_id] = (session, qos)
        for session, qos in takers.values():
            ids: tuple[int, ...] = ()
            retain = False
            if special and (chosen := special.get(session.client_id)) is not None:
                ids = tuple(each.identifier for each in chosen if each.identifier)
                retain = message.retain and any(each.retain_as_published for each in chosen)
            self._deliver(session, message, min(qos, message.qos), retain, ids)

    def retain(self, message: Message) -> None:
        """Keep a message for later subscribers; an empty one removes it.  Spec: §3.3.1.3."""
        kept = self._retained_messages
        old = kept.get(message.topic)
        grown = (message.size if message.payload else 0) - (old.size if old else 0)
        if grown > 0:
            if old is None and len(kept) >= self.limits.max_retained:
                self.record.add("broker", "retain.refused", topic=message.topic, reason="too-many")
                return
            if self._retained_bytes + grown > self.limits.max_retained_bytes:
                self.record.add("broker", "retain.refused", topic=message.topic, reason="too-large")
                return
        if message.payload:
            kept[message.topic] = message
        else:
            kept.pop(message.topic, None)
        self._retained_bytes += grown

    def send_retained(self, session: Session, topic_filter: str, qos: int) -> None:
        """What was retained, to the session that has just subscribed.  Spec: [MQTT-3.3.1-6/-8]."""
        options = session.options.get(topic_filter)
        ids = (options.identifier,) if options is not None and options.identifier else ()
        now, over = self.now(), []
        for topic, kept in self._retained_messages.items():
            if self._matches(topic, topic_filter):
                if kept.expires_at is not None and kept.expires_at <= now:
                    over.append(kept)
                else:
                    self._deliver(session, kept, min(qos, kept.qos), True, ids)
        for kept in over:  # MQTT 5 §3.3.2.3.3
            del self._retained_messages[kept.topic]
            self._retained_bytes -= kept.size

    async def _broadcast_message(
        self, session: Session | None, topic: str, data: bytes, force_qos: int | None = None
    ) -> None:
        self.route(Message(topic, bytes(data), force_qos or 0))

    async def _broadcast_loop(self) -> None:
        """Nothing to do but end: messages are routed when they come, not queued."""
        await self._broadcast_shutdown_waiter

    def _matches(self, topic: str, a_filter: str) -> bool:
        if a_filter == topic:
            return True
        wild = a_filter.find("+")
        if wild < 0:
            wild = a_filter.find("#")
        # Most filters of a fleet differ before their first wildcard; the slash in front of it may be absent.
        return wild >= 0 and topic.startswith(a_filter[: max(wild - 1, 0)]) and matches(a_filter, topic)

    def _deliver(
        self, session: Session, message: Message, qos: int, retain: bool, ids: tuple[int, ...]
    ) -> None:
        """The last look: a resumed session may have subscriptions that its new token does not allow."""
        topic = message.topic
        if session.permissions.may_receive(topic):
            copy = Message(topic, message.payload, qos, retain, message.properties, message.expires_at, ids)
            if not session.outbox.offer(copy) and session.outbox.dropped == 1:  # the first of many
                self.record.add("broker", "message.dropped", client_id=session.client_id, topic=topic)
