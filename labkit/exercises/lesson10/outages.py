"""Four devices that live through an outage, each with a mistake of its own: find the fault."""

import contextlib
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx

from labkit.exercises import Result, Wrong, exercise, first_mistake, right
from labkit.show import Shown, html
from labkit.wire import Connect, encode

__all__ = ["faults", "four_devices"]

Fault = AbstractContextManager[Any]

#: How an outcome begins, and its tint.
_TINTS = {"HTTP": "red", "no answer": "red", "closed": "red", "token": "green", "let in": "green"}


class _Device:
    """What all have in common: the request for a token, the connection, and a log."""

    def __init__(self, letter: str, lab: Any) -> None:
        self.lab = lab
        self.name = f"device {letter}"
        self.log: list[tuple[float, str, str]] = []  # seconds, what it does, what comes of it
        self.after = 0.0
        self._id = f"check-device-{letter.lower()}"
        self._secret = lab.register(self._id, lifetime=300).client_secret
        self._token = ""
        self._connection: socket.socket | None = None

    def wait_until(self, moment: float) -> None:
        self.lab.clock.advance(seconds=moment - self.after)
        self.after = moment

    def ask(self, fault: Fault | None = None, who: str = "") -> None:
        """Ask for a token, while the server is as ``fault`` makes it."""
        form = {"grant_type": "client_credentials"}
        with fault or nullcontext():
            try:
                answer = httpx.post(self.lab.token_endpoint, data=form, auth=(self._id, self._secret))
            except httpx.TransportError:
                self.note(f"asks for a token{who}", "no answer")
                return
        outcome, wait = f"HTTP {answer.status_code}", answer.headers.get("retry-after")
        if answer.status_code == 200:
            outcome, self._token = "token for 300 s", answer.json()["access_token"]
        self.note(f"asks for a token{who}", outcome + (f", Retry-After: {wait}" if wait else ""))

    def busy(self, **options: Any) -> Fault:
        fault: Fault = self.lab.authserver.faults.status(503, path=self.lab.token_endpoint, **options)
        return fault

    def away(self) -> Fault:
        fault: Fault = self.lab.authserver.faults.drop(path=self.lab.token_endpoint)
        return fault

    def connect(self) -> None:
        sock = self._connection = socket.create_connection((self.lab.mqtt.host, self.lab.mqtt.port), 5)
        sock.sendall(encode(Connect(client_id=self._id, username=self._id, password=self._token.encode())))
        code = sock.recv(4)[-1:]
        self.note("connects", "let in" if code == b"\x00" else "closed: refused")

    def hear(self) -> None:
        """Wait for the broker to close the connection."""
        assert self._connection is not None
        with contextlib.suppress(ConnectionError):  # a close can arrive as a reset
            assert self._connection.recv(1) == b""
        self.note("is connected", "closed by the broker")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def note(self, what: str, outcome: str = "") -> None:
        self.log.append((self.after, what, outcome))


def _first(device: _Device) -> None:
    for moment in (240, 241, 243, 247):
        device.wait_until(moment)
        for unit in (1, 2, 3):
            device.ask(device.busy() if moment < 247 else None, f", unit {unit}")


def _second(device: _Device) -> None:
    for moment in (240, 240.7, 242.1, 243.4):
        device.wait_until(moment)
        device.ask(device.busy(retry_after=30))
    device.wait_until(247.2)
    device.ask()


def _third(device: _Device) -> None:
    device.ask()
    device.connect()
    device.wait_until(300)
    device.hear()
    device.ask(device.away())
    device.wait_until(301.4)
    device.ask()
    device.close()
    device.connect()


def _fourth(device: _Device) -> None:
    device.ask()
    device.connect()
    device.wait_until(240)
    device.ask(device.away())
    device.close()
    device.note("leaves the broker")
    device.wait_until(241.6)
    device.ask()
    device.connect()


DEVICES: dict[str, Callable[[_Device], None]] = {"A": _first, "B": _second, "C": _third, "D": _fourth}


def four_devices(lab: Any) -> Shown:
    """Run the four devices against the lab, and show what each did."""
    devices = []
    for letter, behave in DEVICES.items():
        device = _Device(letter, lab)
        with contextlib.closing(device):
            behave(device)
        devices.append(device)
    text = "\n".join(line for device in devices for line in (device.name, *_lines(device)))
    rows = [row for device in devices for row in _rows(device)]
    return Shown(text, html.figure(html.table(rows), text=text))


def _lines(device: _Device) -> list[str]:
    return [f"  after {after:5g} s  {what:24}  {outcome}".rstrip() for after, what, outcome in device.log]


def _rows(device: _Device) -> list[tuple[object, ...]]:
    return [
        (html.bold(device.name) if number == 0 else "", f"after {after:g} s", what, _chip(outcome))
        for number, (after, what, outcome) in enumerate(device.log)
    ]


def _chip(outcome: str) -> object:
    tints = [tint for start, tint in _TINTS.items() if outcome.startswith(start)]
    return html.chip(outcome, tints[0]) if tints else outcome


FAULTS = {"A": "crowd", "B": "deaf", "C": "late", "D": "quits"}
ABOUT = {
    ("A", "deaf"): "the server did not tell it how long to wait. Compare the three units with each other.",
    ("A", "late"): "it asks 240 s into a life of 300 s, which is early enough. Compare its three units.",
    ("A", "quits"): "it goes on asking until there is a token. But look at who asks in the same second.",
    (
        "B",
        "crowd",
    ): "its waits are 0.7, 1.4, 1.3 s: there is chance in them. But what did the server ask for?",
    ("B", "late"): "its first try comes at 240 s, 60 s before the end. Read the answers to it.",
    ("B", "quits"): "it is as far from giving up as can be. Read the answers that it gets.",
    ("C", "crowd"): "it is alone. Look at the moment at which it asks for its second token.",
    ("C", "deaf"): "no answer held a word to listen to. When did it begin to ask?",
    ("C", "quits"): "it was the broker that closed the connection. Why was there nothing newer at hand?",
    (
        "D",
        "crowd",
    ): "it is alone, and asks only twice. Who closed the connection, and how good was the token?",
    ("D", "deaf"): "the server said nothing at all. What did the device do with a connection in good health?",
    ("D", "late"): "it asked at 240 s, in good time. What did it do when no answer came?",
}


@exercise(
    question='Each of the four devices makes one mistake: which? Write "crowd", "deaf", "late" or "quits".',
    cell="""
faults = {
    "A": ____,
    "B": ____,
    "C": ____,
    "D": ____,
}
ex.faults.check(faults)
""",
    solution="""
faults = {
    "A": "crowd",
    "B": "deaf",
    "C": "late",
    "D": "quits",
}
ex.faults.check(faults)
""",
    wrong=(
        Wrong(says="three units with each other", answer=FAULTS | {"A": "deaf"}),
        Wrong(says="what did the server ask for?", answer=FAULTS | {"B": "crowd"}),
        Wrong(says="Why was there nothing newer", answer=FAULTS | {"C": "quits"}),
        Wrong(says="in good time", answer=FAULTS | {"D": "late"}),
        Wrong(says="one word for each of the devices", answer={"A": "crowd"}),
        Wrong(says="one of the four words", answer=FAULTS | {"D": "wrong"}),
    ),
    hints=(
        "For each line ask: is this the moment to act, and does the device take in what it was told?",
        "Two of them ask in a bad way, A and B. Two lose their connection, C and D: one must, one need not.",
        "A: three units, one second. B: an answer with a number in it. C: the first request after the end. "
        "D: 60 s of life thrown away.",
    ),
    why=(
        "ask early, so that the rest of the token's life bridges the outage; live on what you have; wait as "
        "long as the server asks, and a random time on top, so that a fleet does not come back as one."
    ),
)
def faults(answer: Any) -> Result:
    otherwise = "go through its lines one by one: when does it ask, what comes back, what does it do then?"
    if mistake := first_mistake(answer, FAULTS, ABOUT, thing="device", otherwise=otherwise):
        return mistake
    return right("no chance in its waits, no ear for Retry-After, no reserve, no patience.")
