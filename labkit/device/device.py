"""When to get a token, when to connect, when to try again: the policy of a device.

::

    at 70-90 % of the token's life                fetch a new token, then swap the connection
    CONNACK 4 or 5: the broker refuses the token  fetch a new token, once; then back off
    any other failure, or a loss                  back off, with full jitter

The *network* thread keeps the keep-alive promise (MQTT 3.1.1 §3.1.2.10) while another one fetches a token or
opens a connection, however long that takes: who called, or a *worker* when it is time or after a loss.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from random import Random
from typing import Any, Literal, Self

from labkit.errors import ConnectionFailed, TokenRequestFailed

from .connection import Connection, Message
from .timing import Clock, SystemClock
from .tokensource import Token, TokenSource

__all__ = ["Device"]

_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 1.0, 60.0  # seconds
_LASTED = 10.0  # seconds; a connection that old was a good one, and the next back-off starts small again
_PATIENCE = 5.0  # seconds that a broker may take to answer
_FAREWELL = 1.0  # seconds for a task to end by itself when the device leaves


class Device:
    """An MQTT client that logs in with OAuth2 access tokens, and stays logged in.

    Args:
        client_id: OAuth2 client id and MQTT client identifier in one, so that a broker can bind the two.
        client_secret: goes to the token endpoint and nowhere else.
        tokens: another source of tokens, instead of ``client_secret`` and ``token_endpoint``.
        carrier: the field of CONNECT that carries the token.  Brokers log user names: prefer the password.
        clean_session: False has the broker keep subscriptions and messages from one connection to the next.
        keep_alive: seconds.
        will: what the broker publishes for us when we are gone without a word.
        ca_file: PEM file of the authorities to trust, for both servers.  Beyond loopback it is always TLS.
        clock, random, record: for simulations: the time, a seeded generator, where to write what happened.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        host: str,
        port: int,
        token_endpoint: str = "",
        tokens: TokenSource | None = None,
        carrier: Literal["password", "username"] = "password",
        clean_session: bool = False,
        keep_alive: int = 60,
        will: Message | None = None,
        ca_file: str | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        record: Any = None,
    ) -> None:
        self.client_id = client_id
        self._clock = clock or SystemClock()
        self._random = random or Random()  # noqa: S311 - spreads load, keeps no secret
        self._record = record
        self.tokens = tokens or TokenSource(
            token_endpoint,
            client_id,
            client_secret,
            ca_file=ca_file,
            now=self._clock.now,
            random=self._random,
            record=record,
        )
        self._connection = Connection(
            client_id,
            host,
            port,
            carrier=carrier,
            clean_session=clean_session,
            keep_alive=keep_alive,
            will=will,
            ca_file=ca_file,
            on_lost=self._on_lost,
            on_overflow=lambda: self._note("message.dropped"),
        )
        self._turn = threading.Lock()  # to fetch and to connect
        self._timer: Any = None
        self._carried: Token | None = None  # what the broker saw last
        self._connected_at = 0.0
        self._failures = 0
        self._trouble = ""

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in and the connection stands, as far as we know."""
        return self._connection.connected

    @property
    def status(self) -> str:
        """The state in words, for people."""
        state = "connected" if self.connected else "not connected"
        return f"{state}, {self._trouble}" if self._trouble else state

    def token(self) -> str:
        """The access token at hand, or a new one when it is due.  Raises ``TokenRequestFailed``."""
        return self.tokens.current().access_token

    def connect(self, timeout: float = _PATIENCE) -> Self:
        """Connect, and stay connected until :meth:`disconnect`.

        Args:
            timeout: seconds that the broker may take to answer.

        Raises:
            TokenRequestFailed: no token was to be had.
            ConnectionFailed: the broker could not be reached, or refused; the message says what to do.
        """
        try:
            with self._turn:
                self._connection.wanted = True
                self._establish(timeout)
        except BaseException:
            self.disconnect()
            raise
        return self

    def disconnect(self) -> None:
        """Leave politely: no will, no thread and no socket stay behind.  Harmless when not connected."""
        self._connection.wanted = False  # who waits for a token now will not connect with it
        in_turn = self._turn.acquire(timeout=_FAREWELL)  # a token request that hangs is left alone
        try:
            self._plan(None)
            if self._connection.close():
                self._note("disconnected", reason="asked to")
            self._failures, self._trouble = 0, ""
        finally:
            if in_turn:
                self._turn.release()

    def publish(
        self,
        topic: str,
        payload: str | bytes | bytearray | float | None,
        qos: int = 1,
        timeout: float = _PATIENCE,
        *,
        retain: bool = False,
    ) -> None:
        """Publish, and wait for the acknowledgement (with QoS 0: until it is written).

        Raises:
            ConnectionFailed: it was not sent, and will not be.
            TimeoutError: no acknowledgement within ``timeout`` seconds; it will be sent again.
        """
        self._connection.publish(topic, payload, qos, retain, timeout)

    def subscribe(self, topic_filter: str, qos: int = 1, timeout: float = _PATIENCE) -> None:
        """Subscribe, and wait for the broker's word.  A subscription outlives swaps and reconnects.

        Raises:
            PermissionError: the broker refuses it.
            ConnectionFailed: no connection, or no answer within ``timeout`` seconds.
        """
        if not self._connection.subscribe(topic_filter, qos, timeout):
            self._note("subscribe.refused", filter=topic_filter)
            advice = f"the token needs a scope that covers it, such as mqtt.subscribe:{topic_filter}"
            raise PermissionError(f"the broker refuses the subscription to {topic_filter!r}: {advice}")

    def receive(self, timeout: float = _PATIENCE) -> Message:
        """The next message, waited for up to ``timeout`` seconds.  Raises ``TimeoutError``."""
        return self._connection.receive(timeout)

    def refresh(self) -> None:
        """Fetch a new token now and carry it to the broker; client id, session and messages stay.

        Raises:
            TokenRequestFailed: no new token; the connection lives on with the old one.
            ConnectionFailed: the broker did not take it; the device goes on trying by itself.
        """
        with self._turn:
            self._connection.demand_wanted()
            self._renew()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(self, *exc_info: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return f"<Device {self.client_id}: {self.status}>"

    # What is done in turn

    def _establish(self, timeout: float = _PATIENCE) -> None:
        """Open a connection.  A refused token is replaced at once, but only once."""
        if self.connected:
            return
        token = self.tokens.current()
        worth_another = token is self._carried or self._failures == 0
        try:
            self._open(token, timeout)
        except ConnectionFailed as refusal:
            if refusal.return_code not in (4, 5) or not worth_another:
                raise
            self._open(self.tokens.current(), timeout)  # a new one: _open has discarded the first

    def _renew(self) -> None:
        """A new token for a living connection, a new connection for a lost one."""
        try:
            if self.connected:
                self._open(self.tokens.fetch())  # however long the fetch takes, the old connection lives on
                self._failures = 0
                self._note("refreshed")
            else:
                self._establish()
        except (TokenRequestFailed, ConnectionFailed) as error:
            self._back_off(error)
            raise

    def _recover(self) -> None:
        """The broker has closed the connection: the token expired, or it has reasons of its own."""
        if self.connected:
            return  # a swap came first
        if self._clock.now() - self._connected_at >= _LASTED:
            self._failures = 0
        else:  # let in and thrown out: the same token would fare no better
            self.tokens.discard()
        self._back_off(ConnectionFailed("the broker closed the connection"))

    def _open(self, token: Token, timeout: float = _PATIENCE) -> None:
        self._carried = token
        try:
            no_longer_granted = self._connection.open(token.access_token, timeout)
        except ConnectionFailed as refusal:
            if refusal.return_code is not None:
                self._note("connect.refused", return_code=refusal.return_code)
            if refusal.return_code in (4, 5):
                self.tokens.discard()  # no token is refused twice
            raise
        self._connected_at, self._trouble = self._clock.now(), ""
        self._plan(token.refresh_at)
        self._note("connected", return_code=0, session_present=self._connection.session_present)
        for topic_filter in no_longer_granted:
            self._note("subscribe.refused", filter=topic_filter)

    def _back_off(self, error: TokenRequestFailed | ConnectionFailed) -> None:
        """Try again after a random time, of up to twice as long after every failure ("full jitter")."""
        if not self._connection.wanted:
            return
        longest = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(self._failures, 10))
        seconds = self._random.uniform(0, longest)
        if isinstance(error, TokenRequestFailed):
            seconds += error.retry_after or 0
        self._failures += 1
        self._trouble = f"trying again in {seconds:.1f} s: {error}"
        self._plan(self._clock.now() + seconds)
        self._note("backing-off", seconds=round(seconds, 3), reason=str(error))

    # How it comes about

    def _plan(self, when: float | None) -> None:
        """Renew at ``when``, and at no other time."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if when is not None and self._connection.wanted:
            self._timer = self._clock.call_at(when, lambda: self._in_background(self._renew))

    def _on_lost(self) -> None:
        self._note("disconnected", reason="closed by the broker")
        self._in_background(self._recover)

    def _in_background(self, task: Callable[[], None]) -> Future[None]:
        """Do ``task`` in turn, on a thread of its own: the clock and the network thread must not wait."""
        done: Future[None] = Future()

        def work() -> None:
            try:
                with contextlib.suppress(TokenRequestFailed, ConnectionFailed), self._turn:  # they are noted
                    if self._connection.wanted:
                        task()
                done.set_result(None)
            except Exception as error:
                done.set_exception(error)  # such as a clock that was closed

        with contextlib.suppress(RuntimeError):  # a program that is ending starts no threads
            threading.Thread(target=work, name=f"worker-{self.client_id}", daemon=True).start()
        return done

    def _note(self, kind: str, **facts: Any) -> None:
        if self._record is not None:
            self._record.add("device", kind, client_id=self.client_id, **facts)
