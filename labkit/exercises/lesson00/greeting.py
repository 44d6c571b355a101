"""A first message of the learner's own device."""

from typing import Any

from labkit.errors import RegistrationRefused
from labkit.exercises import AnswerFailed, Result, Wrong, exercise, not_yet, right, try_answer

__all__ = ["first_message"]

LISTENER = "check-listener"
PATIENCE = 2.0  # seconds for a message that was published just now


def _published(register: str, device: str, topic: str) -> str:
    return f"""
def first_message():
    lab.register({register})
    with lab.device({device}) as device:
        device.publish({topic}, "hello")


ex.first_message.check(first_message, lab)
"""


@exercise(
    question=(
        "Register a device of your own, connect it, and publish a message to a topic that its token allows."
    ),
    cell=_published("____", "____", "____"),
    solution=_published('"lamp-7"', '"lamp-7"', '"devices/lamp-7/state"'),
    wrong=(
        Wrong(
            says="a device of your own",
            cell=_published('"lamp-8"', '"thermostat-1"', '"devices/thermostat-1/state"'),
        ),
        Wrong(
            says="the broker dropped the message",
            cell=_published('"lamp-8"', '"lamp-8"', '"lamp-8/state"'),
        ),
        Wrong(
            says="the same client id",
            cell=_published('"lamp-8"', '"lamp-9"', '"devices/lamp-9/state"'),
        ),
        Wrong(
            says="a message goes to one",
            cell=_published('"lamp-8"', '"lamp-8"', '"devices/lamp-8/#"'),
        ),
        Wrong(says="a message needs a topic", cell=_published('"lamp-8"', '"lamp-8"', '""')),
        Wrong(says="cannot be a client id", cell=_published('"a/b"', '"a/b"', '"devices/a/b/state"')),
        Wrong(says="no device has connected", answer=lambda: None),
        Wrong(
            says="published nothing",
            cell="""
def first_message():
    lab.register("lamp-8")
    with lab.device("lamp-8"):
        pass


ex.first_message.check(first_message, lab)
""",
        ),
        Wrong(says="hand over the function itself", answer="lamp-7"),
    ),
    hints=(
        "Any client id will do, such as lamp-7. Which topics did the server give thermostat-1?",
        "The same client id goes into the first two blanks; a device may publish below devices/<client id>/.",
        'Fill in "lamp-7", "lamp-7" and "devices/lamp-7/state".',
    ),
    why=(
        "the token says who the device is and where it may publish, so the broker needs no list of devices "
        "and no passwords."
    ),
    given="lab.register('thermostat-1')",
)
def first_message(answer: Any, lab: Any) -> Result:
    if not callable(answer):
        return not_yet("hand over the function itself, without calling it: check(first_message, lab).")
    lab.register(LISTENER, publish=[], subscribe=["#"])
    with lab.device(LISTENER, clean_session=True) as listener:
        listener.subscribe("#")
        mark = lab.record.mark()
        try:
            try_answer(answer)
        except AnswerFailed as failed:
            if says := _known_trouble(failed.__cause__):
                return not_yet(says)
            raise
        accepted = {event["client_id"] for event in lab.record.events("connect.accepted", since=mark)}
        devices = sorted(str(name) for name in accepted - {LISTENER})
        if not devices:
            return not_yet("no device has connected to the broker while your function ran.")
        if devices == ["thermostat-1"]:
            return not_yet("that was thermostat-1, which is registered already. Take a device of your own.")
        for refused in lab.record.events("publish.refused", since=mark):
            name = refused["client_id"]
            return not_yet(
                f"{name} connected, but the broker dropped the message to {refused['topic']!r}: its token "
                f"allows devices/{name}/ and what is below."
            )
        try:
            message = listener.receive(timeout=PATIENCE)
        except TimeoutError:
            return not_yet(f"{devices[0]} connected, and published nothing.")
    return right(f"{devices[0]} published to {message.topic}, and the broker passed it on.")


def _known_trouble(error: BaseException | None) -> str:
    """What the exception means here, where its own text would not say enough."""
    if isinstance(error, RegistrationRefused) and str(error).startswith("no device"):
        return "lab.device() names a device that is not registered: both lines take the same client id."
    if isinstance(error, ValueError) and "wildcard" in str(error):
        return "# and + stand for many topics, when you subscribe; a message goes to one, such as …/state."
    if isinstance(error, ValueError) and "topic" in str(error):
        return "a message needs a topic, such as devices/<its client id>/state."
    return ""
