"""Four fleets, each with a fault in how it names its devices: one device of each runs against the lab."""

import secrets
from dataclasses import replace
from typing import Any

from labkit.broker import Broker
from labkit.errors import NotAllowed, RegistrationRefused
from labkit.exercises.lesson05.knocking import knock
from labkit.record import Record
from labkit.show import Shown
from labkit.tokens import AccessToken
from labkit.topics import matches

__all__ = ["four_fleets"]


def _line(what: str, outcome: object) -> str:
    return f"  {what:34} {outcome}"


def _first(lab: Any) -> list[str]:
    name = "berlin/hall-3/thermostat-7"
    try:
        lab.register(name)
    except RegistrationRefused:
        registered = "refused"
    else:
        registered = "accepted"
    granted, topic = f"devices/{name}/#", f"devices/{name}/state"
    return [
        f"fleet 1: {name}",
        _line("registration", registered),
        _line("the pattern devices/%c/# becomes", granted),
        _line("a device called berlin may read it", "yes" if matches("devices/berlin/#", topic) else "no"),
    ]


def _second(lab: Any) -> list[str]:
    name = "alice.smith@example.org"
    lab.register(name)
    mark = lab.record.mark()
    code = knock(lab, name, lab.token(name))
    (event,) = lab.record.events("connect", since=mark, source="broker", client_id=name)
    return [
        f"fleet 2: {name}",
        _line("CONNACK", code),
        _line("line in the broker's log", f"{event.kind} {event['client_id']}"),
    ]


def _third(lab: Any) -> list[str]:
    lines = ["fleet 3: thermostat- and eight random characters"]
    for start in (1, 2, 3):
        name = f"thermostat-{secrets.token_hex(4)}"
        lab.register(name)
        mark = lab.record.mark()
        with lab.device(name) as device:
            device.subscribe(f"devices/{name}/set")
        (connected,) = lab.record.events("connected", since=mark, source="device", client_id=name)
        known = "is known" if connected["session_present"] else "is new"
        lines.append(_line(f"start {start}: registration, CONNACK", f"accepted, 0; to the broker it {known}"))
    return lines


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


def _fourth(lab: Any) -> list[str]:
    name = "four-hundred-blue-herons"
    lab.register(name)
    validator = _ByName(lab.validator.validate(lab.token(name)))
    with Broker(validator=validator, clock=lab.clock, record=Record(lab.clock.now)) as broker:
        return [
            f"fleet 4: {name}, at a broker of its own",
            _line("the device says its name: CONNACK", knock(broker, name, name)),
            _line("whoever has read the name: CONNACK", knock(broker, name, name)),
            _line("with another word: CONNACK", knock(broker, name, "a guess")),
        ]


def four_fleets(lab: Any) -> Shown:
    """Let one device of each fleet log in, and show what happened."""
    return Shown("\n".join(line for fleet in (_first, _second, _third, _fourth) for line in fleet(lab)))
