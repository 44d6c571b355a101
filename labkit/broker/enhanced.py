"""Enhanced authentication at the gate: who talks before CONNACK, and who gets another token while in.

A method shows a token; the judge of all tokens decides about it.  While it does, the traffic of a live
connection goes on, with the rights of the token that it came in with.
"""

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from labkit.broker.admission import Admitted, Presented
from labkit.broker.certificates import thumbprint
from labkit.broker.connection import Connection
from labkit.broker.dialect5 import Dialect5
from labkit.broker.exchange import CONTINUE, SUCCESS, Exchange, auth
from labkit.broker.judging import Verdict
from labkit.broker.methods import Challenge, Failed, Shown, Step
from labkit.broker.reasons import Refused, refused
from labkit.broker.refusing import note
from labkit.broker.states import State
from labkit.errors import MalformedPacket
from labkit.record import Record
from labkit.wire import v5

if TYPE_CHECKING:
    from labkit.broker.gate import Gate

__all__ = ["Enhanced"]

_CANNOT_TELL = 3  # of CONNACK in 3.1.1
_BAD_PASSWORD = 0x86
_NOT_AUTHORIZED = 0x87
_BUSY = 0x89


class Enhanced:
    """The gate's hand for AUTH packets."""

    def __init__(self, gate: "Gate", record: Record) -> None:
        self._gate = gate
        self._record = record

    # Before CONNACK.

    def begin(self, connection: Connection, presented: Presented) -> None:
        """CONNECT names a method.  Spec: MQTT 5 §4.12."""
        connect = cast("v5.Connect", presented.connect)
        exchange = connection.exchange = Exchange(connect)
        self._enter(connection, presented, exchange.begin(connect.properties))

    def go_on(self, connection: Connection) -> None:
        """Bytes came between CONNECT and CONNACK: AUTH, or DISCONNECT, and nothing else [MQTT-3.1.2-30].

        Raises:
            MalformedPacket: something else, or not now.
        """
        while connection.state is State.EXCHANGING and (raw := connection.framer.next_packet()) is not None:
            packet = connection.dialect.read(raw)
            if isinstance(packet, v5.Disconnect):
                connection.leave()
                return
            exchange: Exchange = connection.exchange
            presented = exchange.presented
            assert presented is not None
            if not isinstance(packet, v5.Auth):
                raise MalformedPacket(
                    "only AUTH may come before CONNACK", spec="MQTT 5 §3.1.2.11.9", reason_code=0x82
                )
            if exchange.verdict is not None:  # it has read why
                connection.leave(connection.dialect.refusal(exchange.verdict))
                return
            self._enter(connection, presented, exchange.hear(packet))

    def _enter(self, connection: Connection, presented: Presented, step: Step) -> None:
        exchange: Exchange = connection.exchange
        exchange.presented = None
        match step:
            case Shown():
                presented.token, presented.key = step.token, step.key
                self._gate.decide(connection, presented)
            case Challenge():
                if self._challenge(connection, step, presented.connect.client_id):
                    self._await(connection, presented)
                else:
                    self._gate.refuse(connection, presented.connect, refused("no-room", "enhanced"))
            case Failed():
                self.refuse(connection, presented, refused(step.reason, "enhanced"))

    def refuse(self, connection: Connection, presented: Presented, verdict: Refused) -> None:
        """Say no; some methods say why before."""
        if verdict.reason_code == _BAD_PASSWORD:  # there was none
            verdict = replace(verdict, reason_code=_NOT_AUTHORIZED)
        exchange: Exchange = connection.exchange
        words = exchange.regret(verdict)
        if words is None or not _takes(connection, words) or connection.state is State.LEAVING:
            self._gate.refuse(connection, presented.connect, verdict)
            return
        presented.token = ""
        note(self._record, connection, verdict, presented.connect)  # it may go without an answer
        connection.say(words)
        self._await(connection, presented)
        connection.resume()

    def _await(self, connection: Connection, presented: Presented) -> None:
        """The client has to answer; it may have done so already."""
        connection.state, connection.exchange.presented = State.EXCHANGING, presented
        if connection.framer.buffered:
            asyncio.get_running_loop().call_soon(connection.data_received, b"")

    # After CONNACK.

    def again(self, connection: Connection, packet: v5.Auth) -> None:
        """AUTH from somebody who is in.  Spec: MQTT 5 §4.12.1.

        Raises:
            MalformedPacket: it may not send this now.
        """
        exchange: Exchange | None = connection.exchange
        if exchange is None:
            raise MalformedPacket("CONNECT named no method", spec="MQTT 5 §4.12", reason_code=0x82)
        guest = connection.guest
        assert guest is not None
        step = exchange.hear(packet)
        if isinstance(step, Challenge):
            if not self._challenge(connection, step, guest.client_id):
                self._settle(connection, refused("no-room", "enhanced"))
        elif isinstance(step, Failed):
            self._settle(connection, refused(step.reason, "enhanced"))
        else:
            self._gate.judge.ask(
                Presented(
                    _connect_of(guest),
                    step.token,
                    "enhanced",
                    certificate=thumbprint(connection.told("ssl_object")),
                    key=step.key,
                ),
                lambda: None,  # nobody has to wait: the traffic goes on
                partial(self._settle, connection),
                known=True,
            )

    def _settle(self, connection: Connection, verdict: Verdict) -> None:
        guest, exchange = connection.guest, connection.exchange
        if guest is None or connection.reason is not None:  # it has ended meanwhile
            return
        if isinstance(verdict, Admitted):
            verdict = self._gate.objection(verdict) or replace(verdict, session_expiry=guest.session_expiry)
        if isinstance(verdict, Refused):
            self._record.add(
                "broker",
                "reauth.refused",
                client_id=guest.client_id,
                jti=guest.token.jti,
                reason=verdict.reason,
            )
            if verdict.return_code == _CANNOT_TELL:
                connection.code = _BUSY
                connection.end("unconfirmed")  # nobody has said that the token is bad
            else:
                connection.code = verdict.reason_code
                connection.end("not-authorized")
            return
        exchange.over()
        self._gate.renew(connection, verdict)
        connection.send(auth(SUCCESS, exchange.method_name))

    def _challenge(self, connection: Connection, step: Challenge, client_id: str) -> bool:
        """Send it; whether the client takes packets that long."""
        name = connection.exchange.method_name
        words = auth(CONTINUE, name, step.data)
        if not _takes(connection, words):
            return False
        self._record.add("broker", "auth.challenged", client_id=client_id[:128], method=name)
        connection.say(words)
        return True


def _takes(connection: Connection, words: bytes) -> bool:
    return cast("Dialect5", connection.dialect).takes(words)


def _connect_of(guest: Admitted) -> v5.Connect:
    """A CONNECT as if it came now: the new token has to allow what the connection has, its will included."""
    return v5.Connect(
        client_id=guest.client_id,
        clean_start=guest.clean_session,
        keep_alive=guest.keep_alive,
        will=cast("v5.Will | None", guest.will),
    )
