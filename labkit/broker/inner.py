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

from typing import Any, TypeAlias

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import Action
from amqtt.session import Session as AmqttSession

from labkit.broker.connection import Connection
from labkit.broker.conversation import converse
from labkit.broker.limits import Limits
from labkit.broker.outbox import Outbox
from labkit.record import Record
from labkit.topics import Permissions, matches
from labkit.wire import Publish

__all__ = ["InnerBroker", "Session", "State"]

_LISTENER = "default"


class _SessionState:
    """The three states of a session, with the interface of ``transitions.Machine`` that amqtt uses."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = "new"

    def connect(self) -> None:
        self.state = "connected"

    def disconnect(self) -> None:
        self.state = "disconnected"

    def is_connected(self) -> bool:
        return self.state == "connected"


class Session(AmqttSession):  # type: ignore[misc]
    """What the broker remembers of a client; with clean session 0, also while it is away.

    Spec: MQTT 3.1.1 §3.1.2.4 (the list of what a session holds), §4.1.
    """

    def __init__(self, client_id: str, limits: Limits) -> None:
        super().__init__()
        self.client_id = self.username = client_id
        self.permissions = Permissions()  # of the token of the latest connection
        self.filters: dict[str, int] = {}
        self.outbox = Outbox(limits)
        self.received: set[int] = set()  # QoS 2: identifiers of messages that the client has not released

    def _init_states(self) -> None:
        self.transitions = _SessionState()


#: Sessions, subscriptions and retained messages, as amqtt keeps them.
State: TypeAlias = tuple[
    dict[str, tuple[Session, None]], dict[str, list[tuple[Session, int]]], dict[str, Any]
]


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
    _retained_messages: dict[str, Any]

    def __init__(self, *, limits: Limits, record: Record) -> None:
        super().__init__({"listeners": {_LISTENER: {"type": "external"}}, "plugins": {}})
        self.limits = limits
        self.record = record
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
            await self._cleanup_session(guest.client_id)  # [MQTT-3.1.2-6]
            session = None
        present = session is not None
        if session is None:
            session = Session(guest.client_id, self.limits)
        session.parent = int(present)  # amqtt's name for session present
        session.clean_session = guest.clean_session
        session.remote_address, session.remote_port = remote_address, remote_port
        session.permissions = guest.permissions
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
            if session.clean_session:
                await self._cleanup_session(session.client_id)

    async def _cleanup_session(self, client_id: str) -> None:
        session: Session | None = self._sessions.pop(client_id, (None, None))[0]
        if session is not None:
            for topic_filter in list(session.filters):
                self.unsubscribe(session, topic_filter)

    async def _session_monitor(self) -> None:
        """Nothing to do: a clean session goes with its connection."""

    def give_away(self) -> State:
        """Sessions, subscriptions and retained messages, to be taken over by the next broker."""
        state = (self._sessions, self._subscriptions, self._retained_messages)
        self._sessions, self._subscriptions, self._retained_messages = {}, {}, {}
        return state

    def take_over(self, state: State) -> None:
        """Continue with what another broker gave away."""
        self._sessions, self._subscriptions, self._retained_messages = state
        self._retained_bytes = sum(_size(kept.topic, kept.data) for kept in self._retained_messages.values())

    # Rights.

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        """amqtt's question, answered from the token, without plugins and tasks."""
        if action == Action.SUBSCRIBE:
            return session.permissions.may_subscribe(topic)
        if action == Action.PUBLISH:
            return session.permissions.may_publish(topic)
        return session.permissions.may_receive(topic)

    # Subscriptions and routing.

    async def subscribe(self, session: Session, topic_filter: str, qos: int) -> int:
        """Subscribe, replacing an equal filter; the return code for SUBACK.  Spec: [MQTT-3.8.4-3]."""
        self.unsubscribe(session, topic_filter)
        code: int = await self.add_subscription((topic_filter, qos), session)
        if code <= 2:
            session.filters[topic_filter] = code
        return code

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Forget a subscription, if there is one."""
        if session.filters.pop(topic_filter, None) is not None:
            others = [pair for pair in self._subscriptions[topic_filter] if pair[0] is not session]
            if others:
                self._subscriptions[topic_filter] = others
            else:
                del self._subscriptions[topic_filter]

    def route(self, message: Publish) -> None:
        """Deliver to everybody who subscribed and may receive it, once each, at the best QoS both allow.

        Spec: [MQTT-3.3.5-1] overlapping subscriptions, [MQTT-3.8.4-6] QoS, [MQTT-3.3.1-9] retain flag.
        """
        takers: dict[str, tuple[Session, int]] = {}
        for topic_filter, subscribers in self._subscriptions.items():
            if self._matches(message.topic, topic_filter):
                for session, qos in subscribers:
                    known = takers.get(session.client_id)
                    if known is None or known[1] < qos:
                        takers[session.client_id] = (session, qos)
        for session, qos in takers.values():
            self._deliver(session, message.topic, message.payload, min(qos, message.qos), retain=False)

    async def retain(self, message: Publish) -> None:
        """Keep a message for later subscribers; an empty one removes it.  Spec: §3.3.1.3."""
        kept = self._retained_messages
        old = kept.get(message.topic)
        grown = _size(message.topic, message.payload) - (_size(old.topic, old.data) if old else 0)
        if grown > 0:
            if old is None and len(kept) >= self.limits.max_retained:
                self.record.add("broker", "retain.refused", topic=message.topic, reason="too-many")
                return
            if self._retained_bytes + grown > self.limits.max_retained_bytes:
                self.record.add("broker", "retain.refused", topic=message.topic, reason="too-large")
                return
        await self.retain_message(None, message.topic, message.payload, message.qos)
        self._retained_bytes += grown

    def send_retained(self, session: Session, topic_filter: str, qos: int) -> None:
        """What was retained, to the session that has just subscribed.  Spec: [MQTT-3.3.1-6/-8]."""
        for topic, kept in self._retained_messages.items():
            if self._matches(topic, topic_filter):
                self._deliver(session, topic, bytes(kept.data), min(qos, kept.qos or 0), retain=True)

    async def _broadcast_message(
        self, session: Session | None, topic: str, data: bytes, force_qos: int | None = None
    ) -> None:
        self.route(Publish(topic=topic, payload=bytes(data), qos=force_qos or 0))

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

    def _deliver(self, session: Session, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """The last look: a resumed session may have subscriptions that its new token does not allow."""
        if session.permissions.may_receive(topic):
            message = Publish(topic=topic, payload=payload, qos=qos, retain=retain)
            if not session.outbox.offer(message) and session.outbox.dropped == 1:  # the first of many
                self.record.add("broker", "message.dropped", client_id=session.client_id, topic=topic)


def _size(topic: str, payload: bytes | bytearray) -> int:
    """What a retained message takes, in bytes; an empty one is none."""
    return len(topic) + len(payload) if payload else 0
