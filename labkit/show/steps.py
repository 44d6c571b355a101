"""From events to the steps of a conversation: who speaks to whom, and what is said.

One thing is often seen twice: the authorization server writes down that it issued a token, and the device
that it got one.  It is told once, as the servers saw it, because each of them sees its own events in their
true order; what a device saw counts where nobody else saw anything, such as a request that found no server.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from labkit.record import Event
from labkit.show.text import masked
from labkit.show.timeline import Presence

__all__ = [
    "AUTHSERVER",
    "BROKER",
    "LEFT_OUT",
    "TINT_OF",
    "Party",
    "Step",
    "Tell",
    "Teller",
    "client",
    "named",
]


class Party(NamedTuple):
    """Who takes part: a role (``"device"``, ``"authserver"``, ``"broker"`` or ``"lab"``), and a name."""

    role: str
    name: str


#: Characters of the longest step.
_LONGEST = 160
#: The tint of a party, by its role, which is also the source of its events.
TINT_OF: Final = {"device": "blue", "authserver": "violet", "broker": "green", "lab": "grey"}
AUTHSERVER: Final = Party("authserver", "authorization server")
BROKER: Final = Party("broker", "broker")
_LAB: Final = Party("lab", "lab")
_SOURCES: Final = {"authserver": AUTHSERVER, "broker": BROKER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a conversation.

    Attributes:
        sender: who speaks, or whom a note is about.
        receiver: who is spoken to; ``None`` for a note.
        words: what is said.
        tone: ``"reply"``, ``"refusal"``, ``"end"`` (of a connection or a token), ``"lost"`` (nobody
            answers), or empty.
        minor: of no weight when steps are compared, as it happens now and then on a schedule of its own.
    """

    sender: Party
    receiver: Party | None = None
    words: str
    tone: str = ""
    minor: bool = False


#: Turns an event into steps, with the teller's ``say`` and ``note``.
Tell: TypeAlias = Callable[["Teller", Event], None]

#: Events that are left out, each for its reason.
LEFT_OUT: Final[Mapping[tuple[str, str], str]] = {
    ("device", "backing-off"): "lasts a random time; what failed before it, and what follows, are told",
    ("device", "refreshed"): "the new token and the new CONNECT are told",
    ("device", "reauthenticated"): "the broker's word about the AUTH is told",
    ("device", "reauth.failed"): "the broker's word about the AUTH, and the new CONNECT, are told",
    ("device", "publish.refused"): "the broker's refusal is told",
}


class Teller:
    """Turns events into steps, one event after the other.

    Args:
        events: all of them, in order: some steps need to know what comes next.
        table: what to do with an event, by its source and kind.
    """

    def __init__(self, events: list[Event], table: Mapping[tuple[str, str], Tell]) -> None:
        self.present = Presence()
        self.deciding: Counter[object] = Counter()  # CONNECTs that have been told without their CONNACK
        self.told: set[int] = set()  # numbers of events that were told ahead of their turn
        self._held: list[tuple[object, Step]] = []
        self._events = events
        self._table = table
        self._position = 0
        self._steps: list[Step] = []
        self._names: dict[str, str] = {}  # of tokens
        self._expected: Counter[tuple[str, object]] = Counter()

    def tell(self, position: int) -> list[Step]:
        """The steps of the event at a position: of the first, then of the next, and so on."""
        self._steps, self._position = [], position
        event = self._events[position]
        key = (event.source, event.kind)
        if event.number not in self.told:
            if key not in LEFT_OUT:
                self._table.get(key, _tell_anything)(self, event)
            self.present.see(event)
        return self._steps

    def say(self, sender: Party, receiver: Party, words: str, tone: str = "", *, minor: bool = False) -> None:
        """One party speaks to another."""
        self._steps.append(
            Step(sender=sender, receiver=receiver, words=_words(words), tone=tone, minor=minor)
        )

    def ask(
        self,
        sender: Party,
        receiver: Party,
        request: str,
        reply: str,
        tone: str = "reply",
        minor: bool = False,
    ) -> None:
        """A request and its answer."""
        self.say(sender, receiver, request, minor=minor)
        self.say(receiver, sender, reply, tone, minor=minor)

    def note(self, party: Party, words: str, tone: str = "") -> None:
        """Something that a party does, or that happens to it."""
        self._steps.append(Step(sender=party, words=_words(words), tone=tone))

    def lose(self, sender: Party, receiver: Party, words: str) -> None:
        """A request that nobody answers.  How often it is tried again is a matter of chance: told once."""
        event = self._events[self._position]
        earlier = reversed(self._events[: self._position])
        before = next((e for e in earlier if (e.source, e.kind) not in LEFT_OUT), None)
        if before is None or (before.kind, before["client_id"]) != (event.kind, event["client_id"]):
            self.say(sender, receiver, words, "lost")

    def hold_back(self, about: object) -> None:
        """The latest step waits for another event about the same client."""
        self._held.append((about, self._steps.pop()))

    def let_go(self, about: object) -> None:
        """The oldest step that waits for this."""
        for number, (whose, step) in enumerate(self._held):
            if whose == about:
                self._steps.append(step)
                del self._held[number]
                return

    def rest(self) -> list[Step]:
        """What still waits when there are no more events."""
        return [step for _, step in self._held]

    def token(self, jti: object) -> str:
        """The name of a token: the first that is mentioned is ``jti-1``."""
        return self._names.setdefault(str(jti), f"jti-{len(self._names) + 1}")

    def ahead(self, kinds: tuple[str, ...], about: object = None) -> Event | None:
        """The next event of these kinds, of a client if one is given."""
        for event in self._events[self._position + 1 :]:
            if event.kind in kinds and about in (None, event["client_id"]):
                return event
        return None

    def expect(self, what: str, event: Event) -> None:
        """Somebody else will report the same about this client."""
        self._expected[what, event["client_id"]] += 1

    def expected(self, what: str, event: Event) -> bool:
        """Whether this has been told, as somebody else saw it."""
        key = (what, event["client_id"])
        known = self._expected[key] > 0
        self._expected[key] -= known
        return known


def _words(text: str) -> str:
    return named(text, _LONGEST).strip() or "nothing"


def named(text: object, room: int = 48) -> str:
    """A name that may be anybody's text: printable, without secrets, not longer than ``room``."""
    clean = "".join(c if c.isprintable() else "�" for c in masked(str(text)))
    return clean if len(clean) <= room else clean[: room - 1] + "…"


def client(name: object) -> Party:
    """A client by its name, which may be missing, or pretend to be a server's."""
    text = named(re.sub(r"\s+", " ", str(name)).strip(), 20) if name is not None else ""
    if text in ("somebody", "others", AUTHSERVER.name, BROKER.name, _LAB.name):
        text = f"“{text}”"
    return Party("device", text or "somebody")


def _tell_anything(teller: Teller, event: Event) -> None:
    """An event that the table does not know."""
    words, about = named(event.kind), event["client_id"]
    if about is not None:
        words += f": {client(about).name}"
    teller.note(_SOURCES.get(event.source, _LAB), words)
