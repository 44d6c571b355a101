"""What is said over MQTT, to the broker: the steps of its events, and of connections to it.

PUBACK, PINGREQ and the like are not told: they say nothing that the packet before them did not.
"""

from collections.abc import Callable

from labkit.record import Event
from labkit.show.steps import BROKER, Tell, Teller, client, named

__all__ = ["MQTT"]

#: What to do with an event, by its source and kind.
MQTT: dict[tuple[str, str], Tell] = {}

#: Ends of a connection that are the client's doing.
_LEAVING = {"disconnect": "DISCONNECT", "closed-by-client": "closes the connection without DISCONNECT"}
_VERDICTS = ("connect.accepted", "connect.refused")
_VERDICTS_AGAIN = ("reauth.accepted", "reauth.refused")


def _of(source: str, *kinds: str) -> Callable[[Tell], Tell]:
    def register(tell: Tell) -> Tell:
        MQTT.update(dict.fromkeys([(source, kind) for kind in kinds], tell))
        return tell

    return register


# Coming in.


@_of("broker", "decision.pending")
def _pending(teller: Teller, event: Event) -> None:
    _connect(teller, event, teller.ahead(_VERDICTS, event["client_id"]) or event)
    teller.deciding[event["client_id"]] += 1


@_of("broker", "connect.accepted")
def _accepted(teller: Teller, event: Event) -> None:
    name = event["client_id"]
    if teller.deciding[name]:
        teller.deciding[name] -= 1
    else:
        _connect(teller, event, event)
    teller.say(BROKER, client(name), "CONNACK 0: accepted", "reply")
    if teller.present.open[name]:  # [MQTT-3.1.4-2]: the older connection ends first
        teller.hold_back(name)
    teller.expect("connected", event)


@_of("broker", "connect.refused")
def _refused(teller: Teller, event: Event) -> None:
    name = event["client_id"]
    if teller.deciding[name]:
        teller.deciding[name] -= 1
    else:
        _connect(teller, event, event)
    words = f"CONNACK {_code(event)}: {named(event['reason'])}"
    teller.say(BROKER, client(name), words, "refusal")
    teller.expect("refused", event)


def _code(event: Event) -> str:
    """The code of CONNACK, as the standards write it: those of MQTT 5 start at 0x80."""
    code = event["return_code"]
    return f"0x{code:02X}" if isinstance(code, int) and code >= 0x80 else str(code)


def _connect(teller: Teller, event: Event, verdict: Event) -> None:
    name = event["client_id"]
    if teller.present.open[name] and verdict.kind == "connect.accepted":
        # It left before it came back, whatever the record says: its DISCONNECT went first.
        end = teller.ahead(("connection.closed",), name)
        if end is not None and end["reason"] in _LEAVING:
            _closed(teller, end)
            teller.present.see(end)
            teller.told.add(end.number)
    which = f"token {teller.token(verdict['jti'])}" if verdict["jti"] is not None else "a token"
    words = f"CONNECT: {which} as {named(verdict['carrier'])}" if verdict["carrier"] else "CONNECT"
    teller.say(client(name), BROKER, words)


@_of("broker", "auth.challenged")
def _challenged(teller: Teller, event: Event) -> None:
    """MQTT 5 §4.12: before CONNACK, or in a connection that lives."""
    name = event["client_id"]
    first = "AUTH 0x19" if teller.present.open[name] else "CONNECT"
    teller.say(client(name), BROKER, f"{first}: a token, by {named(event['method'])}")
    teller.say(BROKER, client(name), "AUTH 0x18: a challenge", "reply")
    if teller.ahead((*_VERDICTS, *_VERDICTS_AGAIN), name) is not None:
        teller.say(client(name), BROKER, "AUTH 0x18: the answer")
        teller.deciding[name] += 1


@_of("broker", *_VERDICTS_AGAIN)
def _changed(teller: Teller, event: Event) -> None:
    name, good = event["client_id"], event.kind == "reauth.accepted"
    if teller.deciding[name]:
        teller.deciding[name] -= 1
    else:
        known = good and event["jti"] is not None
        which = f"token {teller.token(event['jti'])}" if known else "a token"
        teller.say(client(name), BROKER, f"AUTH 0x19: {which}")
    words = "AUTH 0x00: accepted" if good else f"DISCONNECT 0x87: {named(event['reason'])}"
    teller.say(BROKER, client(name), words, "reply" if good else "refusal")


@_of("device", "connected")
def _connected(teller: Teller, event: Event) -> None:
    if not teller.expected("connected", event):
        teller.ask(client(event["client_id"]), BROKER, "CONNECT", "CONNACK 0: accepted")


@_of("device", "connect.refused")
def _refused_as_seen(teller: Teller, event: Event) -> None:
    if not teller.expected("refused", event):
        who = client(event["client_id"])
        teller.ask(who, BROKER, "CONNECT", f"CONNACK {_code(event)}", "refusal")


@_of("device", "connect.failed")
def _unanswered(teller: Teller, event: Event) -> None:
    teller.lose(client(event["client_id"]), BROKER, "opens a TCP connection: no answer")


# Messages.


@_of("broker", "subscribe.accepted", "subscribe.refused")
def _subscribed(teller: Teller, event: Event) -> None:
    reply, tone = f"SUBACK: granted, QoS {event['qos']}", "reply"
    if event.kind == "subscribe.refused":
        reply, tone = f"SUBACK 0x80: {named(event['reason'])}", "refusal"
        teller.expect("subscription refused", event)
    teller.ask(client(event["client_id"]), BROKER, f"SUBSCRIBE {named(event['filter'])}", reply, tone)


@_of("device", "subscribe.refused")
def _subscription_refused(teller: Teller, event: Event) -> None:
    if not teller.expected("subscription refused", event):
        request = f"SUBSCRIBE {named(event['filter'])}"
        teller.ask(client(event["client_id"]), BROKER, request, "SUBACK 0x80", "refusal")


@_of("broker", "publish.accepted")
def _published(teller: Teller, event: Event) -> None:
    retained = ", retained" if event["retain"] else ""
    teller.say(client(event["client_id"]), BROKER, _publish(event) + retained)


@_of("broker", "publish.refused")
def _publish_refused(teller: Teller, event: Event) -> None:
    teller.say(client(event["client_id"]), BROKER, _publish(event))
    teller.note(BROKER, "its token does not allow that: not forwarded", "refusal")


@_of("broker", "message.delivered")
def _delivered(teller: Teller, event: Event) -> None:
    teller.say(BROKER, client(event["client_id"]), _publish(event))


@_of("broker", "will.published")
def _will(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"publishes the will of {client(event['client_id']).name}: {named(event['topic'])}")


@_of("broker", "retain.refused")
def _not_retained(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"does not retain {named(event['topic'])}: {named(event['reason'])}", "refusal")


@_of("broker", "message.dropped")
def _dropped(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"drops messages for {client(event['client_id']).name}: too many wait", "refusal")


@_of("device", "message.dropped")
def _overflowed(teller: Teller, event: Event) -> None:
    teller.note(client(event["client_id"]), "drops messages: nobody takes them", "refusal")


def _publish(event: Event) -> str:
    qos = f", QoS {event['qos']}" if event["qos"] is not None else ""
    return f"PUBLISH {named(event['topic'])}{qos}"


# The end.


@_of("broker", "token.expired")
def _expired(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"token {teller.token(event['jti'])} expires", "end")


@_of("broker", "token.revoked")
def _revoked(teller: Teller, event: Event) -> None:
    if not teller.expected("revocation", event):
        teller.note(BROKER, f"token {teller.token(event['jti'])} is revoked", "end")


@_of("broker", "recheck.failed")
def _not_asked_again(teller: Teller, event: Event) -> None:
    name = client(event["client_id"]).name
    teller.note(BROKER, f"cannot ask again about the token of {name}: {named(event['reason'])}", "refusal")


@_of("broker", "token.unconfirmed")
def _unconfirmed(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"token {teller.token(event['jti'])}: not confirmed for too long", "end")


@_of("broker", "taken-over")
def _taken_over(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"{client(event['client_id']).name} is here twice: the newer one stays", "end")


@_of("broker", "disconnected")
def _sent_away(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"sends {client(event['client_id']).name} away", "end")


@_of("broker", "protocol.error", "internal.error")
def _error(teller: Teller, event: Event) -> None:
    whose = f" of {client(event['client_id']).name}" if event["client_id"] is not None else ""
    teller.note(BROKER, f"{event.kind.replace('.', ' ')}{whose}: {named(event['reason'], 60)}", "refusal")


@_of("broker", "tls.failed")
def _no_tls(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"TLS handshake failed: {named(event['reason'], 60)}", "refusal")


@_of("broker", "upgrade.refused")
def _turned_away(teller: Teller, event: Event) -> None:
    teller.note(BROKER, f"no WebSocket, HTTP {event['status']}: {named(event['reason'])}", "refusal")


@_of("broker", "connection.closed")
def _closed(teller: Teller, event: Event) -> None:
    name, reason = event["client_id"], event["reason"]
    if reason not in _LEAVING:
        code = event["reason_code"]  # of MQTT 5, where the broker has last words
        words = f"DISCONNECT 0x{code:02X}" if isinstance(code, int) else "closes the connection"
        teller.say(BROKER, client(name), f"{words}: {named(reason)}", "end")
        teller.expect("closed", event)
    elif not teller.expected("leaving", event):
        teller.say(client(name), BROKER, _LEAVING[str(reason)])
    teller.let_go(name)


@_of("device", "disconnected")
def _left(teller: Teller, event: Event) -> None:
    who = client(event["client_id"])
    if event["reason"] == "asked to":
        if teller.present.may_leave(event["client_id"]):
            teller.say(who, BROKER, "DISCONNECT")
            teller.expect("leaving", event)
    elif not teller.expected("closed", event):
        teller.say(BROKER, who, "closes the connection", "end")


@_of("broker", "server.started", "server.stopped")
def _started_or_stopped(teller: Teller, event: Event) -> None:
    teller.note(BROKER, "starts" if event.kind == "server.started" else "stops")
