"""Four fleets, each with a fault in how it names its devices: one device of each runs against the lab."""

import secrets
from dataclasses import replace
from typing import Any, TypeAlias

from labkit.broker import Broker
from labkit.errors import NotAllowed, RegistrationRefused
from labkit.exercises.lesson05.knocking import knock
from labkit.record import Record
from labkit.show import Shown, html
from labkit.tokens import AccessToken
from labkit.topics import matches

__all__ = ["four_fleets"]


#: What was tried, and what came of it.
_Outcomes: TypeAlias = list[tuple[str, object]]


def _first(lab: Any) -> tuple[str, _Outcomes]:
    name = "berlin/hall-3/thermostat-7"
    try:
        lab.register(name)
    except RegistrationRefused:
        registered = "refused"
    else:
        registered = "accepted"
    granted, topic = f"devices/{name}/#", f"devices/{name}/state"
    return name, [
        ("registration", registered),
        ("the pattern devices/%c/# becomes", granted),
        ("a device called berlin may read it", "yes" if matches("devices/berlin/#", topic) else "no"),
    ]


def _second(lab: Any) -> tuple[str, _Outcomes]:
    name = "alice.smith@example.org"
    lab.register(name)
    mark = lab.record.mark()
    code = knock(lab, name, lab.token(name))
    (event,) = lab.record.events("connect", since=mark, source="broker", client_id=name)
    return name, [
        ("CONNACK", code),
        ("line in the broker's log", f"{event.kind} {event['client_id']}"),
    ]


def _third(lab: Any) -> tuple[str, _Outcomes]:
    outcomes: _Outcomes = []
    for start in (1, 2, 3):
        name = f"thermostat-{secrets.token_hex(4)}"
        lab.register(name)
        mark = lab.record.mark()
        with lab.device(name) as device:
            device.subscribe(f"devices/{name}/set")
        (connected,) = lab.record.events("connected", since=mark, source="device", client_id=name)
        known = "is known" if connected["session_present"] else "is new"
        told = f"accepted, 0; to the broker it {known}"
        outcomes.append((f"start {start}: registration, CONNACK", told))
    return "thermostat- and eight random characters", outcomes


class _ByName:
    """The fleet's own validator: it takes the name for a password, and wants no token."""

    def __init__(self, accepted: AccessToken) -> None:
        self._accepted = accepted

    def ready_for(self, token: str) -> bool:
        return True

    def validate(self, token: str, client_id: str | None = None) -> AccessToken:
        if client_id is None or token != client_id:
            raise NotAllowed("wrong-name")
        return replace(self._accepted, client_id=client_id)


def _fourth(lab: Any) -> tuple[str, _Outcomes]:
    name = "four-hundred-blue-herons"
    lab.register(name)
    validator = _ByName(lab.validator.validate(lab.token(name)))
    with Broker(validator=validator, clock=lab.clock, record=Record(lab.clock.now)) as broker:
        return f"{name}, at a broker of its own", [
            ("the device says its name: CONNACK", knock(broker, name, name)),
            ("whoever has read the name: CONNACK", knock(broker, name, name)),
            ("with another word: CONNACK", knock(broker, name, "a guess")),
        ]


def four_fleets(lab: Any) -> Shown:
    """Let one device of each fleet log in, and show what happened."""
    fleets = [fleet(lab) for fleet in (_first, _second, _third, _fourth)]
    lines: list[str] = []
    tables: list[object] = []
    for number, (name, outcomes) in enumerate(fleets, start=1):
        lines.append(f"fleet {number}: {name}")
        lines += [f"  {what:34} {outcome}" for what, outcome in outcomes]
        tables += [html.bold(f"fleet {number}: {name}"), html.table(outcomes)]
    text = "\n".join(lines)
    return Shown(text, html.figure(*tables, text=text))
