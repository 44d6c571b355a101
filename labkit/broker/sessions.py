"""Sessions as amqtt keeps them, with what it does not know about."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from amqtt.session import Session as AmqttSession

from labkit.broker.limits import Limits
from labkit.broker.message import Bequest, Message
from labkit.broker.outbox import Outbox
from labkit.topics import Permissions

__all__ = ["Options", "Session", "State"]


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


@dataclass(frozen=True, slots=True)
class Options:
    """What a subscription of MQTT 5 wants beyond its QoS.  Spec: MQTT 5 §3.8.3.1, §3.8.2.1.2."""

    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0


class Session(AmqttSession):  # type: ignore[misc]
    """What the broker remembers of a client; with clean session 0, also while it is away.

    Spec: MQTT 3.1.1 §3.1.2.4 (the list of what a session holds), §4.1.
    """

    def __init__(self, client_id: str, limits: Limits, now: Callable[[], float]) -> None:
        super().__init__()
        self.client_id = self.username = client_id
        self.permissions = Permissions()  # of the token of the latest connection
        self.filters: dict[str, int] = {}
        self.options: dict[str, Options] = {}  # of those filters that have any
        self.outbox = Outbox(limits, now)
        self.received: set[int] = set()  # QoS 2: identifiers of messages that the client has not released
        self.unreleased = 0  # how many there may be of them
        self.expiry = 0.0  # seconds that it outlives its connection
        self.ends_at: float | None = None  # while the client is away, with the next
        self.bequest: Bequest | None = None

    def change_rights(self, permissions: Permissions) -> None:
        """Those of another token, at once: what waits and may not be received any more is dropped."""
        self.permissions = permissions
        self.outbox.restrict(permissions.may_receive)

    def _init_states(self) -> None:
        self.transitions = _SessionState()


#: Sessions, subscriptions and retained messages, as amqtt keeps them.
State: TypeAlias = tuple[
    dict[str, tuple[Session, None]], dict[str, list[tuple[Session, int]]], dict[str, Message]
]
