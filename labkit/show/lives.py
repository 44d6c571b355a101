"""The tokens and connections of each device, read out of a record: what ``show.lifetime`` shows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.record import Event
from labkit.show.steps import client, named
from labkit.show.timeline import Presence, Timeline, span

__all__ = ["Connection", "Life", "Token", "lives"]

#: How a connection ended, in a word or two, by the broker's reason; other reasons speak for themselves.
_ENDS = {
    "disconnect": "left",
    "closed-by-client": "cut",
    "taken-over": "taken over",
    "disconnected": "sent away",
    "stopped": "broker stopped",
}


@dataclass(slots=True, kw_only=True, eq=False)
class Token:
    """A token and its life, in seconds since the first event.

    Attributes:
        name: ``jti-1``, ``jti-2`` …
        issued: ``None`` when it was issued before the first event, or by a server that keeps no record.
        expires: ``None`` when nobody said.
        replaced: when the device got the next one, if this one was still good.
        revoked: when it was taken back, if it was still good.
    """

    name: str
    issued: int | None = None
    expires: int | None = None
    replaced: int | None = None
    revoked: int | None = None

    @property
    def life(self) -> str:
        """How long it is good for, from its issue on; empty where that is not known."""
        return "" if self.issued is None or self.expires is None else span(self.expires - self.issued)

    def alive(self, second: int) -> bool:
        """Whether it is good at a second, as far as anybody knows."""
        return self.revoked is None and (self.expires is None or second < self.expires)

    def give_way(self, second: int) -> None:
        """Its device has the next one."""
        if self.replaced is None and self.alive(second) and second >= (self.issued or 0):
            self.replaced = second

    def then(self, now: int) -> str:
        """What became of it, up to now."""
        since = self.issued or 0
        if self.replaced is not None:
            words = f"replaced after {span(self.replaced - since)}"
            if self.issued is not None and self.expires is not None and self.expires > since:
                words += f", {round(100 * (self.replaced - since) / (self.expires - since))} %"
            return words
        if self.revoked is not None:
            return f"revoked after {span(self.revoked - since)}"
        return "expired" if self.expires is not None and self.expires <= now else ""


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """A connection: from when to when, with which token, and how it ended (empty: it did not)."""

    start: int
    token: Token | None = None
    end: int | None = None
    ended: str = ""


@dataclass(slots=True, eq=False)
class Life:
    """What one device held: tokens, its own or not, and connections, each in the order of time."""

    name: str
    tokens: list[Token] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    leaves: bool = False  # it has said that it goes for good


def lives(events: Iterable[Event]) -> tuple[list[Life], int]:
    """What each device held, in the order of appearance, and the second of the last event."""
    reader = _Reader()
    for event in events:
        reader.read(event)
    return [life for life in reader.lives.values() if life.tokens or life.connections], reader.second


class _Reader:
    """Goes through events once."""

    def __init__(self) -> None:
        self.lives: dict[object, Life] = {}
        self.second = 0
        self._timeline = Timeline()
        self._present = Presence()
        self._tokens: dict[object, Token] = {}  # by jti
        self._expected: Counter[tuple[str, object]] = Counter()  # what devices will report as well

    def read(self, event: Event) -> None:
        self.second = self._timeline.place(event)
        self._present.see(event)
        name = event["client_id"]
        match event.source, event.kind:
            case "authserver", "token.issued":
                self._token(event).issued = self.second
                self._expected["token", name] += 1
            case "device", "token.fetched" if not self._expected_too("token", name):
                self._issued_elsewhere(event)
            case "broker", "connect.accepted":
                self._connected(event, self._token(event))
                self._expected["connection", name] += 1
            case "broker", "reauth.accepted":  # the same connection, by another token: a swap without a gap
                self._end_oldest(self._life(name), "swap")
                self._connected(event, self._token(event))
            case "device", "connected" if not self._expected_too("connection", name):
                tokens = self._life(name).tokens
                self._end_oldest(self._life(name), "left")  # nobody else says when it did
                self._connected(event, tokens[-1] if tokens else None)
            case "broker", "connection.closed":
                if event["reason"] != "disconnect" or not self._expected_too("leaving", name):
                    self._closed(event)
                    self._expected["end", name] += 1
            case "device", "disconnected":
                self._left(event)
            case (("authserver" | "broker"), "token.revoked"):
                self._revoked(event)

    def _life(self, name: object) -> Life:
        return self.lives.setdefault(name, Life(client(name).name))

    def _expected_too(self, what: str, name: object) -> bool:
        known = self._expected[what, name] > 0
        self._expected[what, name] -= known
        return known

    def _token(self, event: Event) -> Token:
        """The token of an event, noted down when it is new."""
        jti = event["jti"]
        token = self._tokens.get(jti)
        if token is None:
            token = self._tokens[jti] = Token(name=f"jti-{len(self._tokens) + 1}")
            self._life(event["client_id"]).tokens.append(token)
        token.expires = self._timeline.expires.get(str(jti), token.expires)
        return token

    def _issued_elsewhere(self, event: Event) -> None:
        """By a server that keeps no record: the device knows how long its token lives, and no more."""
        life, lifetime = self._life(event["client_id"]), event["expires_in"]
        token = Token(name=f"token {len(life.tokens) + 1}", issued=self.second)
        if isinstance(lifetime, int | float) and abs(lifetime) < 1e12:
            token.expires = self.second + round(lifetime)
        life.tokens.append(token)

    def _connected(self, event: Event, token: Token | None) -> None:
        life = self._life(event["client_id"])
        before = life.connections[-1] if life.connections else None
        if before is not None and before.token is not token:
            if before.ended == "left" and before.end == self.second and not life.leaves:
                before.ended = "swap"
            if before.ended in ("", "swap") and before.token is not None:
                before.token.give_way(self.second if token is None or token.issued is None else token.issued)
        life.leaves = False
        self._note(life, Connection(start=self.second, token=token))

    def _closed(self, event: Event) -> None:
        life, reason = self._life(event["client_id"]), named(event["reason"], 24)
        ended = _ENDS.get(reason, reason).strip() or "closed"
        if not self._end_oldest(life, ended):  # it was there before the first event
            self._note(life, Connection(start=0, token=self._token(event), end=self.second, ended=ended))

    def _note(self, life: Life, connection: Connection) -> None:
        life.connections.append(connection)
        if connection.token is not None and connection.token not in life.tokens:
            life.tokens.append(connection.token)  # somebody else's

    def _end_oldest(self, life: Life, ended: str) -> bool:
        """End the oldest open connection, as a newer one has to wait for it; whether there was one."""
        still = [connection for connection in life.connections if connection.end is None]
        if still:
            still[0].end = self.second
            swapped = ended == "left" and len(still) > 1 and still[1].token is not still[0].token
            still[0].ended = "swap" if swapped else ended
        return bool(still)

    def _left(self, event: Event) -> None:
        name, life = event["client_id"], self._life(event["client_id"])
        if event["reason"] == "asked to":
            life.leaves = True
            if self._present.may_leave(name):
                self._end_oldest(life, "left")
                self._expected["leaving", name] += 1
        elif not self._expected_too("end", name):
            self._end_oldest(life, "closed by the broker")

    def _revoked(self, event: Event) -> None:
        jti, life = event["jti"], self._life(event["client_id"])
        for token in life.tokens if jti is None else [self._tokens.get(jti)]:
            if token is not None and token.alive(self.second):
                token.revoked = self.second
