"""Rights that are wider than anybody meant: filters, names, scopes, and senders.

T27, T28, T29, T35.
"""

import re
from collections.abc import Sequence
from typing import Any

import httpx

from labkit.errors import RegistrationRefused
from labkit.exercises.lesson05.knocking import knock
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.live import Connected
from labkit.topics import Permissions, covers

__all__ = ["RIGHTS"]

_NAME = "gallery-1"


def _matches_the_grant(granted: str, wanted: str) -> bool:
    pattern = re.escape(wanted).replace(r"\#", "#").replace("#", ".*").replace(r"\+", "[^/]*")
    return re.fullmatch(pattern, granted) is not None


def _lies_within_the_grant(granted: str, wanted: str) -> bool:
    if wanted.startswith("$share/"):
        _, _, wanted = (*wanted.split("/", 2), "", "")[:3]
    return covers(granted, wanted)


_TOO_WIDE = ("#", "devices/#", "devices/+/#")


def _ask_for_all(target: Any, lab: Any) -> bool:
    return any(target(f"devices/{_NAME}/#", wanted) for wanted in _TOO_WIDE)


def _ask_for_its_own(target: Any, lab: Any) -> bool:
    return bool(target(f"devices/{_NAME}/#", f"devices/{_NAME}/#"))


def _ask_the_gate_for_all(lab: Any) -> bool:
    lab.register(_NAME)
    with Connected(lab, _NAME, lab.token(_NAME)) as client:
        if not client.subscribes(f"devices/{_NAME}/set"):
            raise RuntimeError("the gate refuses a device its own topic")
        more = (f"$share/g/{wanted}" for wanted in _TOO_WIDE)
        return any(client.subscribes(wanted) for wanted in (*_TOO_WIDE, *more, "$SYS/#"))


def _fills_in(client_id: str) -> Permissions:
    own = f"devices/{client_id}/#"
    return Permissions((own,), (own,))


def _looks_at_the_name(client_id: str) -> Permissions:
    if not client_id or any(character in "/+#" for character in client_id):
        raise ValueError("a client id has no slash and no wildcard")
    own = f"devices/{client_id}/#"
    return Permissions((own,), (own,))


_NO_NAMES = ("+", "#", "+/+", "hall/door-1")


def _call_itself_a_wildcard(target: Any, lab: Any) -> bool:
    for name in _NO_NAMES:
        try:
            if target(name).may_receive("devices/gallery-door/code"):
                return True
        except ValueError:
            continue
    return False


def _call_itself_by_name(target: Any, lab: Any) -> bool:
    rights = target("gallery-door")
    return bool(rights.may_receive("devices/gallery-door/code"))


def _call_itself_a_wildcard_at_the_gate(lab: Any) -> bool:
    lab.register(_NAME)
    token = lab.token(_NAME)
    if knock(lab, _NAME, token) != 0:
        raise RuntimeError("the gate does not let the honest device in")
    return any(_registers(lab, name) or knock(lab, name, token) == 0 for name in _NO_NAMES)


def _registers(lab: Any, name: str) -> bool:
    try:
        lab.register(name)
    except RegistrationRefused:
        return False
    return True


def _gives_what_is_asked(registered: Sequence[str], asked: str) -> list[str]:
    return asked.split(" ") if asked else list(registered)


def _gives_what_is_registered(registered: Sequence[str], asked: str) -> list[str]:
    wanted = asked.split(" ") if asked else list(registered)
    if any(scope not in registered for scope in wanted):
        raise ValueError("invalid_scope")
    return wanted


_SCOPES = ("mqtt.connect", f"mqtt.publish:devices/{_NAME}/#")
_MORE = "mqtt.publish:#"


def _ask_for_more(target: Any, lab: Any) -> bool:
    try:
        return _MORE in target(_SCOPES, f"mqtt.connect {_MORE}")
    except ValueError:
        return False


def _ask_for_less(target: Any, lab: Any) -> bool:
    return bool(target(_SCOPES, "mqtt.connect") == ["mqtt.connect"] and target(_SCOPES, "") == [*_SCOPES])


def _ask_the_server_for_more(lab: Any) -> bool:
    known = lab.register(_NAME)

    def granted(scope: str) -> list[str]:
        form = {"grant_type": "client_credentials", "scope": scope}
        answer = httpx.post(
            lab.token_endpoint, data=form, auth=(known.client_id, known.client_secret), trust_env=False
        )
        return str(answer.json().get("scope", "")).split()

    if granted("mqtt.connect") != ["mqtt.connect"]:
        raise RuntimeError("the server refuses a device what it was registered for")
    return _MORE in granted(f"mqtt.connect {_MORE}")


class _OneTopicForAll:
    """A broker with one topic for alarms: who sent one, its text says."""

    def publish(self, client_id: str, topic: str, message: dict[str, str]) -> str | None:
        """Who a reader takes for the sender; None when nobody gets the message."""
        return message["from"]


class _OneTopicEach:
    """A broker with a topic for each device: who sent a message, its topic says."""

    def publish(self, client_id: str, topic: str, message: dict[str, str]) -> str | None:
        """Who a reader takes for the sender; None when nobody gets the message."""
        if not topic.startswith(f"devices/{client_id}/"):
            return None
        return topic.split("/")[1]


def _sign_as_another(target: Any, lab: Any) -> bool:
    topics = "alarms", "devices/gallery-door/alarm", "devices/mallory/alarm"
    sent = (target().publish("mallory", topic, {"from": "gallery-door"}) for topic in topics)
    return "gallery-door" in sent


def _sign_as_itself(target: Any, lab: Any) -> bool:
    return bool(
        target().publish("gallery-door", "devices/gallery-door/alarm", {"from": "gallery-door"})
        == "gallery-door"
    )


def _sign_as_another_at_the_gate(lab: Any) -> bool:
    lab.register("gallery-door")
    lab.register(_NAME)
    mark = lab.record.mark()
    with Connected(lab, _NAME, lab.token(_NAME)) as client:
        client.publish(f"devices/{_NAME}/alarm", b"mine")
        client.publish("devices/gallery-door/alarm", b"not mine")
    refused = [event["topic"] for event in lab.record.events("publish.refused", since=mark)]
    if f"devices/{_NAME}/alarm" in refused:
        raise RuntimeError("the gate refuses a device its own topic")
    return "devices/gallery-door/alarm" not in refused


RIGHTS: Sequence[Exhibit] = (
    Exhibit(
        id="T27",
        name="a filter that is wider than the grant",
        story="The device may read devices/gallery-1/#. It subscribes to #, and the broker asks whether the "
        "two match, which they do.",
        stopped_by="containment: every topic of the wanted filter lies in the granted one",
        naive=_matches_the_grant,
        repaired=_lies_within_the_grant,
        attack=_ask_for_all,
        honest=_ask_for_its_own,
        real=_ask_the_gate_for_all,
    ),
    Exhibit(
        id="T28",
        name="a wildcard as a name",
        story="Rights are given by the pattern devices/%c/#, and a client calls itself +.",
        stopped_by="no slash and no wildcard in a client id: at registration, and at CONNECT",
        naive=_fills_in,
        repaired=_looks_at_the_name,
        attack=_call_itself_a_wildcard,
        honest=_call_itself_by_name,
        real=_call_itself_a_wildcard_at_the_gate,
    ),
    Exhibit(
        id="T29",
        name="asking for more",
        story="A device asks the authorization server for a scope that it was never registered for, and gets "
        "what it asks for.",
        stopped_by="no more than what is registered: invalid_scope",
        naive=_gives_what_is_asked,
        repaired=_gives_what_is_registered,
        attack=_ask_for_more,
        honest=_ask_for_less,
        real=_ask_the_server_for_more,
    ),
    Exhibit(
        id="T35",
        name="who sent this?",
        story="All devices publish alarms to one topic, and each message says who sent it: mallory signs as "
        "the door. MQTT does not pass on who published.",
        stopped_by="a topic for each device, and the right to publish there for nobody else",
        naive=_OneTopicForAll,
        repaired=_OneTopicEach,
        attack=_sign_as_another,
        honest=_sign_as_itself,
        real=_sign_as_another_at_the_gate,
    ),
)
