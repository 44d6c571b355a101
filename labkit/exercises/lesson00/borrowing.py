"""A good token in the wrong hands: how the broker answers."""

import socket
from typing import Any

from labkit.errors import RegistrationRefused
from labkit.exercises import Result, Wrong, brief, exercise, not_yet, right
from labkit.wire import Connack, Connect, encode, parse

__all__ = ["borrow"]

#: What a return code of CONNACK would mean where the broker has answered 5 (MQTT 3.1.1 §3.2.2.3).
WOULD_MEAN = {
    0: "that the device comes in with a token that is not its own",
    1: "that the broker does not speak this version of MQTT",
    2: "that the broker takes nobody under this client identifier",
    3: "that the broker is out of service, and it did answer",
    4: "that the broker does not believe the token, but this one is genuine",
}


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
            says="the broker lets the device in",
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
            says="3 would mean that the broker is out of service",
            answer={"token of": "thermostat-1", "client identifier": "lamp-1", "return code": 3},
        ),
        Wrong(
            says="its MQTT 3.1.1 number",
            answer={"token of": "thermostat-1", "client identifier": "lamp-1", "return code": 0x87},
        ),
        Wrong(
            says="no return code of MQTT 3.1.1",
            answer={"token of": "thermostat-1", "client identifier": "lamp-1", "return code": 401},
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
    except RegistrationRefused:
        return not_yet(f"nobody has registered {brief(owner)}: run the cell above first, or take another.")
    try:
        connect = encode(Connect(client_id=client_id, username=client_id, password=token.encode()))
    except ValueError:
        return not_yet(f"{brief(client_id)} cannot travel in CONNECT: take the id of a device.")
    code = _knock(lab, connect)
    if code == 0:
        return not_yet("the broker lets the device in: token and client identifier belong together.")
    if code is None:
        return not_yet(f"the broker hangs up on {brief(client_id)}: take the id of a device.")
    if code == 2:
        return not_yet("2 refuses the name: this is no client identifier. Take the id of a device.")
    if expected == code:
        return right(
            f"the token of {owner} under the name {client_id}: CONNACK {code}, and the door is shut."
        )
    if expected in WOULD_MEAN:
        return not_yet(f"{expected} would mean {WOULD_MEAN[expected]}.")
    if expected == 0x87:
        return not_yet(
            "0x87 is the right refusal in MQTT 5. This client speaks 3.1.1: give its MQTT 3.1.1 number."
        )
    return not_yet(f"{brief(expected)} is no return code of MQTT 3.1.1: they go from 0 to 5.")


def _knock(lab: Any, connect: bytes) -> int | None:
    """The return code that one CONNECT gets, or None when the broker just hangs up."""
    with socket.create_connection((lab.mqtt.host, lab.mqtt.port), timeout=5) as line:
        line.sendall(connect)
        answer = line.makefile("rb").read(4)
    connack = parse(answer) if answer else None
    return connack.return_code if isinstance(connack, Connack) else None
