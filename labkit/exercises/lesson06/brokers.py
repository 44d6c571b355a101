"""Brokers of ours that judge topics by a rule of their own; four of them have a fault."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from labkit.broker import Broker
from labkit.exercises.lesson06.carried import matches
from labkit.exercises.lesson06.probing import Probe
from labkit.record import Record
from labkit.show import Shown, html
from labkit.show.text import table
from labkit.tokens import AccessToken
from labkit.topics import Permissions

__all__ = ["broker_with", "four_brokers"]

DEVICE, OBSERVER = "probe-1", "observer-1"
OWN, OTHERS = f"devices/{DEVICE}/state", f"devices/{DEVICE}0/state"
NEWS, FIRE, INBOX, END = "news/berlin", "alarm/fire", f"inbox/{DEVICE}", "end"


class _Rights:
    """What the gate asks about a connection: right in everything, until a subclass is not."""

    def __init__(self, granted: Permissions) -> None:
        self.granted = granted

    def may_publish(self, topic: str) -> bool:
        return self.granted.may_publish(topic)

    def may_subscribe(self, topic_filter: str) -> bool:
        return self.granted.may_subscribe(topic_filter)

    def may_receive(self, topic: str) -> bool:
        return self.granted.may_receive(topic)


class _Once(_Rights):
    """Asks when a client subscribes, and never again."""

    def may_receive(self, topic: str) -> bool:
        return True


class _Text(_Rights):
    """Compares the beginning of a text, and not levels."""

    def may_publish(self, topic: str) -> bool:
        return any(topic.startswith(grant.removesuffix("/#")) for grant in self.granted.publish)


class _Matching(_Rights):
    """Takes the wanted filter for a topic."""

    def may_subscribe(self, topic_filter: str) -> bool:
        return any(matches(grant, topic_filter) for grant in self.granted.subscribe)


class _Will(_Rights):
    """Never asks about a will: the gate's first question about publishing is that of the will."""

    def __init__(self, granted: Permissions) -> None:
        super().__init__(granted)
        self._asked = False

    def may_publish(self, topic: str) -> bool:
        first, self._asked = not self._asked, True
        return first or super().may_publish(topic)


class _ByRule(_Once):
    """Somebody else's rule for SUBSCRIBE."""

    def __init__(self, granted: Permissions, rule: Callable[[str, str], bool]) -> None:
        super().__init__(granted)
        self._rule = rule

    def may_subscribe(self, topic_filter: str) -> bool:
        return any(self._rule(grant, topic_filter) is True for grant in self.granted.subscribe)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token(AccessToken):
    """A token whose rights are judged by another rule."""

    judged_by: Callable[[Permissions], Any] = field(repr=False, compare=False)

    @property
    def permissions(self) -> Any:
        return self.judged_by(Permissions.from_scopes(self.scopes))


class _Validator:
    """The lab's own, but for the rule about topics."""

    def __init__(self, lab: Any, judged_by: Callable[[Permissions], Any]) -> None:
        self._validator, self._judged_by = lab.validator, judged_by

    def ready_for(self, token: str) -> bool:
        return bool(self._validator.ready_for(token))

    def validate(self, token: str, *, client_id: str | None = None) -> AccessToken:
        accepted = self._validator.validate(token, client_id=client_id)
        facts = {each.name: getattr(accepted, each.name) for each in fields(accepted)}
        return _Token(**facts, judged_by=self._judged_by)


def _broker(lab: Any, judged_by: Callable[[Permissions], Any]) -> Broker:
    return Broker(validator=_Validator(lab, judged_by), clock=lab.clock, record=Record(lab.clock.now))


def broker_with(rule: Callable[[str, str], bool], lab: Any) -> Broker:
    """A broker that asks ``rule(grant, wanted)`` about each SUBSCRIBE, and looks at no delivery again."""
    return _broker(lab, lambda granted: _ByRule(granted, rule))


FAULTY: dict[int, Callable[[Permissions], Any]] = {1: _Text, 2: _Will, 3: _Once, 4: _Matching}


def four_brokers(lab: Any) -> Shown:
    """Try the same eight things with each of the four brokers, and show what happened."""
    columns = []
    for judged_by in FAULTY.values():
        with _broker(lab, judged_by) as broker:
            columns.append(examined(lab, broker))
    names = [f"broker {number}" for number in FAULTY]
    rows = [(what, *(column[what] for column in columns)) for what in columns[0]]
    text = table([("", *names), *rows], indent="")
    return Shown(text, html.figure(html.table(rows, head=("", *names)), text=text))


def examined(lab: Any, broker: Any) -> dict[str, str]:
    """What a broker answers, and what a second client hears of it."""
    lab.register(OBSERVER, publish=[NEWS, INBOX, END], subscribe=["#"])
    lab.register(DEVICE, subscribe=["news/+", INBOX])
    found: dict[str, str] = {}
    with Probe(broker, OBSERVER, lab.token(OBSERVER)) as observer:
        observer.subscribe("#")
        with Probe(broker, DEVICE, lab.token(DEVICE), will=FIRE) as device:
            broke = device.code == 0
            device.pull_the_cable()
        will = "arrives" if broke and observer.heard(FIRE) == [] else "nothing"
        with Probe(broker, DEVICE, lab.token(DEVICE), clean=False, will=OWN) as device:
            granted = device.subscribe(NEWS, "news/#", "#", INBOX)
            device.publish(OWN, OTHERS, FIRE)
        observer.publish(END)
        heard = observer.heard(END)
        lab.register(DEVICE, subscribe=[INBOX])  # the right to the news is taken away
        with Probe(broker, DEVICE, lab.token(DEVICE), clean=False) as device:
            observer.publish(NEWS, INBOX)
            late = device.heard(INBOX)
    for topic_filter in (NEWS, "news/#", "#"):
        found[f"SUBSCRIBE {topic_filter}"] = "granted" if topic_filter in granted else "refused"
    for topic in (OWN, OTHERS, FIRE):
        found[f"PUBLISH {topic}"] = "arrives" if topic in heard else "nothing"
    found[f"{FIRE}, when its cable is pulled"] = will
    found[f"{NEWS}, after the right has ended"] = "arrives" if NEWS in late else "nothing"
    return found
