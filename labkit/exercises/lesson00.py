"""Exercises of notebook 00: a first message of your own, and a token in the wrong hands."""

import socket
from typing import Any

from labkit.exercises import (
    Choice,
    Lesson,
    Question,
    Quiz,
    Result,
    Wrong,
    ____,
    brief,
    exercise,
    not_yet,
    right,
    try_answer,
)
from labkit.wire import Connack, Connect, encode, parse

__all__ = ["____", "ex"]

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
            says="RegistrationRefused",
            cell=_published('"lamp-8"', '"lamp-9"', '"devices/lamp-9/state"'),
        ),
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
        try_answer(answer)
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


def _attempt(token_of: str, client_id: str, code: str) -> str:
    return f"""
attempt = {{
    "token of": {token_of},
    "client identifier": {client_id},
    "return code": {code},
}}
ex.borrow.check(attempt, lab)
"""


@exercise(
    question=(
        "Make the broker refuse a good token: say whose token is sent, under which MQTT client identifier, "
        "and with which return code the broker answers."
    ),
    cell=_attempt("____", "____", "____"),
    solution=_attempt('"thermostat-1"', '"lamp-1"', "5"),
    wrong=(
        Wrong(
            says="it lets the device in",
            answer={"token of": "lamp-1", "client identifier": "lamp-1", "return code": 5},
        ),
        Wrong(
            says="4 would mean",
            answer={"token of": "thermostat-1", "client identifier": "lamp-1", "return code": 4},
        ),
        Wrong(
            says="0 would mean",
            answer={"token of": "thermostat-1", "client identifier": "lamp-1", "return code": 0},
        ),
        Wrong(
            says="the broker answered 5",
            answer={"token of": "thermostat-1", "client identifier": "lamp-1", "return code": 3},
        ),
        Wrong(
            says="nobody has registered 'toaster-1'",
            answer={"token of": "toaster-1", "client identifier": "lamp-1", "return code": 5},
        ),
        Wrong(
            says="its id, not the token itself",
            answer={"token of": "eyJhbGciOi.eyJpc3Mi.c2ln", "client identifier": "lamp-1", "return code": 5},
        ),
        Wrong(
            says="refuses the name",
            answer={"token of": "thermostat-1", "client identifier": "+", "return code": 2},
        ),
        Wrong(says="a dict with three entries", answer=5),
    ),
    hints=(
        "A token belongs to one device. What if another device sends it?",
        "Two devices are registered: thermostat-1 and lamp-1. Which code did the thief get above?",
        'The token of "thermostat-1", the client identifier "lamp-1", and return code 5.',
    ),
    why=(
        "code 4 says: I do not believe this token. Code 5 says: I believe it, but it gives you no right to "
        "come in under this name."
    ),
    given="lab.register('thermostat-1')\nlab.register('lamp-1')",
)
def borrow(answer: Any, lab: Any) -> Result:
    names = ("token of", "client identifier", "return code")
    if type(answer) is not dict or set(answer) != set(names):
        return not_yet('give a dict with three entries: "token of", "client identifier", "return code".')
    owner, client_id, expected = (answer[name] for name in names)
    if type(owner) is not str or type(client_id) is not str or type(expected) is not int:
        return not_yet("the first two are client ids in quotes, and the return code is a number.")
    if owner.startswith("eyJ"):
        return not_yet('"token of" names a device by its id, not the token itself.')
    try:
        token = lab.token(owner)
    except Exception as error:
        if type(error).__name__ == "RegistrationRefused":
            return not_yet(f"nobody has registered {brief(owner)}: take a device of the cells above.")
        raise
    try:
        connect = encode(Connect(client_id=client_id, username=client_id, password=token.encode()))
    except ValueError:
        return not_yet(f"{brief(client_id)} cannot travel in CONNECT: take the id of a device.")
    code = _knock(lab, connect)
    if code == 0:
        return not_yet("it lets the device in: token and client identifier belong together.")
    if code == 2:
        return not_yet("2 refuses the name: this is no client identifier. Take the id of a device.")
    if expected == code:
        return right(
            f"the token of {owner} under the name {client_id}: CONNACK {code}, and the door is shut."
        )
    if expected == 4:
        return not_yet("4 would mean that the broker does not believe the token, but this one is genuine.")
    if expected == 0:
        return not_yet(f"0 would mean that {client_id} comes in with a token that is not its own.")
    return not_yet(f"the broker answered {code}.")


def _knock(lab: Any, connect: bytes) -> int | None:
    """The return code that one CONNECT gets, or None when the broker just hangs up."""
    with socket.create_connection((lab.mqtt.host, lab.mqtt.port), timeout=5) as line:
        line.sendall(connect)
        answer = line.makefile("rb").read(4)
    connack = parse(answer) if answer else None
    return connack.return_code if isinstance(connack, Connack) else None


quiz = Quiz(
    Question(
        "Who makes the tokens?",
        (
            Choice(
                "The broker.", "the broker only checks tokens. It could not make one: it has no private key."
            ),
            Choice("The device.", "then any device could give itself any right."),
            Choice("The authorization server.", "it knows the devices, and it alone can sign.", right=True),
        ),
    ),
    Question(
        "What does the broker need from the authorization server to check a token?",
        (
            Choice("Its public keys, now and then.", "with them it checks signatures by itself.", right=True),
            Choice(
                "The secret of the device.", "the secret never leaves device and server. That is the point."
            ),
            Choice(
                "An answer for every single token.",
                "that way exists, too (introspection, notebook 07), but the lab's broker checks by itself.",
            ),
        ),
    ),
    Question(
        "The token of a connected device expires. What does the broker of this lab do?",
        (
            Choice(
                "Nothing: a token is only looked at in CONNECT.",
                "some brokers do just that, and then a stolen token is good for as long as nobody hangs up.",
            ),
            Choice("It closes the connection.", "the right to be connected ends with the token.", right=True),
            Choice(
                "It renews the token.",
                "only the device can ask for a new one: it alone has the secret.",
            ),
        ),
    ),
)

ex = Lesson("00", "start here", first_message, borrow, quiz)
