"""``labkit demo``: the whole story, told by running it."""

import socket
from collections.abc import Callable

import typer

from labkit.errors import TokenRequestFailed
from labkit.lab import Lab
from labkit.wire import Connack, Connect, encode, parse

__all__ = ["tell"]


def tell() -> int:
    """Run every step and say what happened; 0 when each went as the story goes, 1 otherwise."""
    with Lab() as lab:
        for title, step in _STEPS:
            typer.echo(f"\n{title}")
            surprise = step(lab)
            if surprise is not None:
                typer.echo(f"  This should not have happened: {surprise}", err=True)
                return 1
    typer.echo("\nThat was the whole story.  Now see each step for yourself: labkit open")
    return 0


def _issue(lab: Lab) -> str | None:
    lab.register("thermostat-1", publish=["devices/thermostat-1/#"], subscribe=["cmd/thermostat-1/#"])
    token = lab.validator.validate(lab.token("thermostat-1"), client_id="thermostat-1")
    _say(f"a token for client_id={token.client_id}, signed with {token.algorithm}")
    _say(f"good for {token.audience[0]}, for {token.expires_at - token.issued_at:.0f} s")
    for scope in token.scopes:
        _say(f"  scope {scope}")
    return None


def _connect(lab: Lab) -> str | None:
    with lab.device("thermostat-1") as device:
        device.subscribe("cmd/thermostat-1/#")
        device.publish("devices/thermostat-1/temperature", "21.5")
        _say("CONNACK 0: connected, and devices/thermostat-1/temperature = 21.5 is published")
    return None


def _stolen(lab: Lab) -> str | None:
    lab.register("intruder")
    token = lab.token("thermostat-1")
    return _knock(lab, "intruder", token, expected=5, why="the token belongs to thermostat-1")


def _tampered(lab: Lab) -> str | None:
    header, claims, signature = lab.token("thermostat-1").split(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    forged = f"{header}.{claims}.{flipped}"
    return _knock(lab, "thermostat-1", forged, expected=4, why="the signature is broken")


def _expire(lab: Lab) -> str | None:
    with lab.device("thermostat-1") as device:
        mark = lab.record.mark()
        lab.clock.advance(minutes=10)
        refreshed = len(lab.record.events("refreshed", source="device", since=mark))
        device.publish("devices/thermostat-1/temperature", "21.6")
        _say(f"ten minutes later: the device refreshed its token {refreshed} times and is still connected")
        if refreshed < 2:
            return "a five-minute token should be refreshed twice in ten minutes"
    return None


def _revoke(lab: Lab) -> str | None:
    with lab.device("thermostat-1") as device:
        mark = lab.record.mark()
        lab.authserver.remove("thermostat-1")
        lab.record.wait("token.revoked", source="broker", since=mark, client_id="thermostat-1")
        _say("the device was removed: the broker closed its connection at once")
        try:
            device.tokens.fetch()
        except TokenRequestFailed as refusal:
            _say(f"and it gets no new token: {refusal.error}")
            return None
    return "a removed device got a token"


def _knock(lab: Lab, client_id: str, token: str, *, expected: int, why: str) -> str | None:
    """Send one CONNECT, byte by byte our own, and compare the CONNACK with what should come."""
    connect = Connect(client_id=client_id, username=client_id, password=token.encode())
    with socket.create_connection((lab.mqtt.host, lab.mqtt.port), timeout=5) as line:
        line.sendall(encode(connect))
        answer = parse(line.makefile("rb").read(4))
    if not isinstance(answer, Connack) or answer.return_code != expected:
        return f"the broker answered {answer} instead of CONNACK {expected}"
    _say(f"CONNACK {expected}: refused, {why}")
    return None


def _say(text: str) -> None:
    typer.echo(f"  {text}")


_STEPS: tuple[tuple[str, Callable[[Lab], str | None]], ...] = (
    ("1. A device asks the authorization server for a token", _issue),
    ("2. It connects to the broker with that token", _connect),
    ("3. Somebody else tries the same token", _stolen),
    ("4. Somebody changes one character of it", _tampered),
    ("5. Time passes", _expire),
    ("6. The device is decommissioned", _revoke),
)
