"""A device that logs in to an MQTT broker, 3.1.1 or 5, with OAuth2 access tokens, and stays logged in.

Copy this file, ``paho_auth.py`` and ``auth_methods.py``.  They need httpx, paho-mqtt and two exceptions of
``labkit.errors``.  To try it on a lab:

>>> from labkit import Lab
>>> with Lab() as lab:
...     key = lab.register("thermostat-1")
...     with Device("thermostat-1", key.client_secret, token_endpoint=lab.token_endpoint,
...                 host=lab.mqtt.host, port=lab.mqtt.port) as device:
...         device.subscribe("devices/thermostat-1/#")
...         device.publish("devices/thermostat-1/up", "21.5")
...         device.receive().payload
b'21.5'

From top to bottom: the token, one HTTP request, the connection, the policy, the clock.
"""

import contextlib
import ipaddress
import json
import math
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import KW_ONLY, dataclass, field
from random import Random
from typing import Any, Literal, Protocol, Self
from urllib.parse import quote_plus

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from labkit.auth_methods import METHODS, Method
from labkit.errors import ConnectionFailed, TokenRequestFailed
from labkit.paho_auth import AuthClient

__all__ = ["Clock", "Device", "Message", "SystemClock", "Token", "TokenSource"]

_PATIENCE = 5.0  # seconds that a server may keep us waiting; twice that for a whole HTTP answer
_FAREWELL = 1.0  # seconds for a polite end, before a less polite one
_LIFE_LIMIT = 10**9  # seconds; a token that lives 30 years is a mistake
_ANSWER_LIMIT = 256 * 1024  # bytes; no honest HTTP answer is longer
_FIELD_LIMIT = 65535  # bytes; MQTT 3.1.1 §1.5.3
_KEPT = 1000  # messages: how many wait for an absent broker, and how many for an absent reader
_Trust = tuple[str | None, tuple[str, str] | None]  # file of authorities; files of certificate and key
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 1.0, 60.0  # seconds
_LASTED = 10.0  # seconds; a connection that old was a good one, and the next back-off starts small again


# The token: how to earn one, and when to fetch the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the token endpoint gave.  Spec: RFC 6749 §5.1.

    It is opaque to a device, which never looks inside (RFC 9068 §6): its life is what ``expires_in`` said,
    counted on the device's own clock from the moment it asked.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    expires_at: float = math.inf  #: Unix time in seconds; infinity: the server did not say, the broker will
    refresh_at: float = math.inf  #: Unix time at which to fetch the next one


@dataclass(eq=False, repr=False)
class TokenSource:
    """Gets access tokens and holds the latest; any thread may ask."""

    token_endpoint: str
    client_id: str
    client_secret: str | None = None  #: None: a public client, which names itself and proves nothing
    _: KW_ONLY
    #: The form that earns a token; ``scope`` or ``resource`` may be added.  ``{"grant_type": "password",
    #: "username": …, "password": …}`` is for servers that still want it (RFC 9700 §2.4 forbids it).
    grant: Mapping[str, str] = field(default_factory=lambda: {"grant_type": "client_credentials"})
    refresh_token: str | None = None  #: the one at hand, or from an earlier life of the device
    #: Keeps a new refresh token where neither a power cut nor a thief can reach it.
    on_refresh_token: Callable[[str], object] | None = None
    ca_file: str | None = None  #: PEM file of the authorities to trust instead of the system's
    certificate: tuple[str, str] | None = None  #: PEM files of ours and its key (RFC 8705)
    now: Callable[[], float] = time.time  #: Unix time in seconds
    random: Random = field(default_factory=Random)
    record: Any = None  #: where to write what happened
    metadata: Mapping[str, Any] = field(default_factory=dict, init=False)  #: what the issuer publishes

    def __post_init__(self) -> None:
        self._token: Token | None = None
        self._owner_needed = False  # whether only a person can earn the next one
        self._flight: Future[Token] | None = None  # the request under way
        self._lock = threading.Lock()

    @classmethod
    def from_issuer(cls, issuer: str, *client: str, **options: Any) -> Self:
        """Find the token endpoint in the issuer's metadata; the rest as above.  Spec: RFC 8414 §3."""
        url = httpx.URL(issuer)
        url = url.copy_with(path="/.well-known/oauth-authorization-server" + url.path.rstrip("/"))
        metadata = _exchange(str(url), (options.get("ca_file"), options.get("certificate")))
        endpoint = metadata.get("token_endpoint")
        # Identical, or our secret would go to whom somebody else has chosen (§3.3).
        if metadata.get("issuer") != issuer or not isinstance(endpoint, str):
            raise TokenRequestFailed(f"{url} does not describe the issuer {issuer}: correct the issuer's URL")
        source = cls(endpoint, *client, **options)
        source.metadata = metadata
        return source

    def current(self) -> Token:
        """The token at hand, or a new one when it is due.  Raises ``TokenRequestFailed``."""
        token = self._token
        if token is not None and self.now() < token.refresh_at:
            return token
        try:
            return self._other_than(token)
        except TokenRequestFailed:
            if token is None or self.now() >= token.expires_at:
                raise
            return token  # no longer young, but good: better than none

    def fetch(self) -> Token:
        """A new token, however good the one at hand is.  Raises ``TokenRequestFailed``."""
        return self._other_than(self._token)

    def discard(self) -> None:
        """Forget the access token at hand: a broker does not want it."""
        with self._lock:
            self._token = None

    def ask_owner(
        self, endpoint: str, show: Callable[[str, str], object], wait: Callable[[float], object] | None = None
    ) -> Token:
        """Have the owner say yes on another screen: ``show(user_code, verification_uri)``.  Spec: RFC 8628.

        Asks at the device authorization ``endpoint``; ``wait(seconds)`` passes the time between questions.
        Raises ``TokenRequestFailed``: the owner said no, or nothing in time.
        """
        wait = wait or threading.Event().wait
        offer = self._post(endpoint, {name: text for name, text in self.grant.items() if name == "scope"})
        try:
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
            form["device_code"] = str(offer["device_code"])
            invitation = str(offer["user_code"]), str(offer["verification_uri"])
            give_up_at = self.now() + float(offer["expires_in"])
            interval = float(offer.get("interval", 5))  # §3.2: 5 s unless the server says otherwise
        except (KeyError, TypeError, ValueError):
            raise _malformed("device authorization response", "RFC 8628 §3.2") from None
        show(*invitation)
        while self.now() < give_up_at:
            try:
                self._token = token = self._ask(form)
                self._owner_needed = True  # for the next one: this code is spent
                return token
            except TokenRequestFailed as answer:
                if answer.error == "slow_down":
                    interval += 5  # for this and all later questions (§3.5)
                elif answer.status is None:
                    interval *= 2  # no answer: ask less often (§3.5)
                elif answer.error != "authorization_pending":
                    raise
            wait(interval)
        raise TokenRequestFailed("the owner did not answer in time: start again", error="expired_token")

    def _other_than(self, known: Token | None) -> Token:
        """Single flight: the first thread makes the request, the others wait for its outcome."""
        with self._lock:
            if self._token is not None and self._token is not known:
                return self._token  # it landed while we were on our way here
            leading = self._flight is None
            flight = self._flight = self._flight or Future()
        if leading:
            try:
                token = self._obtain()
                with self._lock:
                    self._token, self._flight = token, None
                flight.set_result(token)
            except BaseException as error:
                self._flight = None
                flight.set_exception(error)
        return flight.result()

    def _obtain(self) -> Token:
        """By the refresh token while it lives, then by the first grant where it can be used again."""
        if self.refresh_token is not None:
            try:
                return self._ask({"grant_type": "refresh_token", "refresh_token": self.refresh_token})
            except TokenRequestFailed as answer:
                if answer.error != "invalid_grant":
                    raise
                self.refresh_token = None  # spent, revoked or expired
                if self.client_secret is None and self.grant["grant_type"] == "client_credentials":
                    self._owner_needed = True  # that grant is not for public clients (RFC 6749 §4.4)
        if self._owner_needed:
            message = f"no refresh token of {self.client_id} is good: ask its owner again (ask_owner)"
            raise TokenRequestFailed(message, error="invalid_grant")
        return self._ask(self.grant)

    def _ask(self, form: Mapping[str, str]) -> Token:
        """A token for ``form``; members of the answer that we do not know are ignored (RFC 6749 §5.1)."""
        asked_at = self.now()
        answer = self._post(self.token_endpoint, form)
        texts: Any = {name: answer.get(name) for name in ("access_token", "refresh_token", "scope")}
        given = [text for text in texts.values() if text is not None]
        life = answer.get("expires_in")  # recommended, not required
        if str(answer.get("token_type")).lower() != "bearer":
            raise _malformed("token_type, as we can use Bearer only", "RFC 6749 §7.1")
        if texts["access_token"] is None or not all(_is_text(text) for text in given):
            raise _malformed("access_token, refresh_token or scope", "RFC 6749 §5.1")
        if life is None:
            life = math.inf
        elif type(life) not in (int, float) or not 0 < life < _LIFE_LIMIT:
            raise _malformed("expires_in", "RFC 6749 §5.1")
        if texts["refresh_token"] is not None:
            self.refresh_token = texts["refresh_token"]  # kept or not: the old one is spent
            try:
                if self.on_refresh_token is not None:
                    self.on_refresh_token(self.refresh_token)  # before it is used (RFC 6749 §6)
            except Exception as error:
                raise TokenRequestFailed(f"the new refresh token could not be kept: {error}") from error
        if self.record is not None:
            grant = form["grant_type"].rpartition(":")[2]
            told = None if life == math.inf else life
            self.record.add("device", "token.fetched", client_id=self.client_id, grant=grant, expires_in=told)
        # At random, lest a fleet that woke up together comes back together; at most once a second.
        refresh_after = max(1.0, life * self.random.uniform(0.7, 0.9))
        return Token(**texts, expires_at=asked_at + life, refresh_at=asked_at + refresh_after)

    def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        name, secret = quote_plus(self.client_id), self.client_secret  # form-encoded first (RFC 6749 §2.3.1)
        try:
            if secret is None:
                return _exchange(
                    url, (self.ca_file, self.certificate), {**form, "client_id": self.client_id}
                )  # §3.2.1
            return _exchange(url, (self.ca_file, self.certificate), form, (name, quote_plus(secret)))
        except TokenRequestFailed as failure:
            if failure.status is None and self.record is not None:  # else the server knows
                self.record.add("device", "token.failed", client_id=self.client_id, reason=str(failure))
            raise


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and value != ""


def _malformed(what: str, spec: str) -> TokenRequestFailed:
    return TokenRequestFailed(f"the server's answer is malformed: {what} ({spec})", status=200)


# One HTTP request: whatever keeps a secret on its way is here

_ADVICE = {  # error codes of RFC 6749 §5.2
    "invalid_client": "check the client id and the secret",
    "invalid_grant": "the refresh token, code or password is wrong, spent or expired",
    "invalid_scope": "ask for less, or have more registered for this client",
    "unauthorized_client": "this client is not registered for this grant",
    "unsupported_grant_type": "this server does not offer this grant",
}


def _exchange(
    url: str, trust: _Trust, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
) -> dict[str, Any]:
    """The JSON object that a GET of ``url``, or a POST of ``form``, brings; empty if it is none.

    Raises ``TokenRequestFailed``: no answer, a refusal, or a plain-text connection beyond this machine.
    """
    body, give_up_at, host = bytearray(), time.monotonic() + 2 * _PATIENCE, url
    try:
        host = httpx.URL(url).host or url
        local, secure = _is_loopback(host), url.startswith("https://")
        if not secure and not (local and url.startswith("http://")):  # RFC 6749 §3.2
            raise TokenRequestFailed(f"{host} must be asked over https: no secret and no token goes in clear")
        # Where nothing is encrypted, a context that trusts nobody will do, and is quicker to make.
        tls = _tls_context(*trust) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A redirect would carry the secret elsewhere; between two programs of one machine stands no proxy.
        client = httpx.Client(verify=tls, trust_env=not local, timeout=_PATIENCE, follow_redirects=False)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        method = "GET" if form is None else "POST"
        with client, client.stream(method, url, data=form, auth=auth, headers=headers) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _ANSWER_LIMIT or time.monotonic() > give_up_at:
                    raise TokenRequestFailed(f"the answer of {host} is too long, or takes too long")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as cause:
        raise TokenRequestFailed(f"no answer from {host}: {str(cause) or type(cause).__name__}") from None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    if (status := response.status_code) == 200:
        return answer
    word = answer.get("error")  # and no more: its own sentences might repeat what we sent
    error = word if isinstance(word, str) and word.replace("_", "").isalpha() else None
    advice = _ADVICE.get(error or "", "try again later" if status >= 429 else "check the URL")
    message = f"{host} gave no token: {error or 'no reason'} (HTTP {status}); {advice}"
    wait = response.headers.get("Retry-After", "")  # seconds; a date is for those whose clock is right
    retry_after = float(wait) if wait.isdecimal() and len(wait) < 6 else None
    raise TokenRequestFailed(message, error=error, status=status, retry_after=retry_after)


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    with contextlib.suppress(ValueError):  # not an address
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _tls_context(ca_file: str | None, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer that verifies the peer's chain and host name.  Spec: RFC 6750 §5.3."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


# The connection: paho-mqtt with a token on board, and its rough edges taken off

_AUTH = -1  # stands for a packet id, as AUTH has none
_REFUSALS = {  # by the reason code of MQTT 5 §3.2.2.2: the one of 3.1.1 §3.2.2.3, and what to do about it
    128: (None, "it closed the connection without a word; it may expect TLS"),
    130: (1, "it does not speak this version of MQTT, or no MQTT at all; check host, port and version"),
    132: (1, "it does not speak this version of MQTT; choose another"),
    133: (2, "it does not take this client identifier; register the device under another"),
    136: (3, "it cannot serve, or cannot check tokens, at the moment; try later"),
    137: (3, "it is busy; try later"),
    140: (4, "it does not know this way to authenticate; choose another method or carrier"),
    134: (4, "it does not believe the token; compare issuer, audience and lifetime with what it expects"),
    135: (5, "the token gives no right to connect like this; compare client id, scopes and will topic"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An application message: received, or left behind as a will.  Spec: MQTT 3.1.1 §3.3."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(eq=False, repr=False)
class Connection:
    """One client's connection; subscriptions and unacknowledged messages outlive it and pass to the next.

    paho's own loop reconnects for ever with the token that was refused, and it writes from any thread.  Here
    one *network* thread per connection reads, writes and pings, and leaves it to the policy to reconnect.
    """

    client_id: str  #: OAuth2 client id and MQTT client identifier in one, so that a broker can bind the two
    _: KW_ONLY
    host: str
    port: int
    version: Literal[4, 5] = 4  #: of MQTT: 4 stands for 3.1.1
    #: Where the token travels.  Brokers log user names; a header needs WebSocket, ``"enhanced"`` MQTT 5.
    carrier: Literal["password", "username", "header", "enhanced"] = "password"
    method: str = "OAUTH2-JWT"  #: of enhanced authentication, one of ``auth_methods.METHODS``
    proof_key: Any = None  #: private key that tokens are bound to, for ``OAUTH2-POP``
    transport: Literal["tcp", "websockets"] = "tcp"
    websocket_path: str = "/mqtt"
    clean_session: bool = False  #: False: the broker keeps subscriptions and messages between connections
    keep_alive: int = 60  #: seconds
    will: Message | None = None  #: what the broker publishes for us when we are gone without a word
    ca_file: str | None = None  #: PEM file of the authorities to trust; beyond loopback it is always TLS
    certificate: tuple[str, str] | None = None  #: PEM files of ours and its key, for who binds tokens to it
    record: Any = None  #: where to write what happened

    def __post_init__(self) -> None:
        self._method = self._checked()
        self._shown = ""  # the token that the header of a WebSocket request carries
        self._parting: int | None = None  # the reason code of the broker's DISCONNECT
        #: Whether the broker has let us in and the connection stands, as far as we know.
        self.connected = False
        self._wanted = False  # whether it should stand
        self._broker = f"the broker at {self.host}:{self.port}"
        self._subscriptions: dict[str, int] = {}  # topic filter -> QoS, as granted
        self._network: threading.Thread | None = None
        self._in_use = threading.Lock()  # by who sends, or replaces the connection
        self._changed = threading.Condition()  # guards and announces what the network thread finds out:
        self._answers: dict[int, list[int]] = {}  # packet id (0: CONNECT) -> codes
        self._ended = True
        self._session_present = False
        self._inbox: deque[Message] = deque(maxlen=_KEPT)  # the oldest make room
        self._overflowed = False
        self._paho = self._new_client()

    def _checked(self) -> Method | None:
        """The method of enhanced authentication, if any.  Raises ``ValueError``: the options do not fit."""
        if self.version not in (4, 5):
            raise ValueError("version is 4 (MQTT 3.1.1) or 5")
        if self.transport not in ("tcp", "websockets"):
            raise ValueError("transport is 'tcp' or 'websockets'")
        if self.carrier not in ("password", "username", "header", "enhanced"):
            raise ValueError("carrier is 'password', 'username', 'header' or 'enhanced'")
        if self.carrier == "header" and self.transport != "websockets":
            raise ValueError("a header needs transport='websockets': over TCP there is none")
        if self.carrier != "enhanced":
            return None
        if self.version != 5:
            raise ValueError("enhanced authentication needs version=5: MQTT 3.1.1 has no AUTH packet")
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}")
        return METHODS[self.method](self.proof_key)

    def publish(
        self, topic: str, payload: Any, qos: int = 1, timeout: float = _PATIENCE, *, retain: bool = False
    ) -> None:
        """Publish, and wait for the acknowledgement (with QoS 0: until it is written).

        Raises ``ConnectionFailed``: it was not sent, and will not be.  ``TimeoutError``: no acknowledgement
        within ``timeout`` seconds; it will be sent again.  With MQTT 5 also ``PermissionError``: the broker
        does not take it (3.1.1 has no word for that), and ``ValueError``: it is too long for the broker.
        """
        with self._held(timeout):
            sent = self._paho.publish(topic, payload, qos, retain)
        if qos > 0 and sent.rc == MQTTErrorCode.MQTT_ERR_NO_CONN:
            sent.rc = MQTTErrorCode.MQTT_ERR_SUCCESS  # paho keeps it, and sends it after the next CONNACK
        try:
            sent.wait_for_publish(timeout)
        except (RuntimeError, ValueError):
            if sent.rc < 0x80:
                reason = "no connection, or too many messages wait for one"
                raise ConnectionFailed(f"{topic!r} was not published: {reason}") from None
        if sent.rc >= 0x80:
            advice = f"reason code 0x{sent.rc:02X}; the token needs a scope such as mqtt.publish:{topic}"
            raise PermissionError(f"the broker refuses the message to {topic!r}: {advice}")
        if not sent.is_published():
            raise TimeoutError(f"no acknowledgement of {topic!r} within {timeout:g} s; it will be sent again")

    def subscribe(self, topic_filter: str, qos: int = 1, timeout: float = _PATIENCE) -> None:
        """Subscribe, and wait for the broker's word.  A subscription outlives swaps and reconnects.

        Raises ``PermissionError``: the broker refuses it.  ``ConnectionFailed``: no connection, or no answer
        within ``timeout`` seconds.
        """
        with self._held(timeout):
            self._request({topic_filter: qos}, timeout)
        if topic_filter not in self._subscriptions:
            advice = f"the token needs a scope that covers it, such as mqtt.subscribe:{topic_filter}"
            raise PermissionError(f"the broker refuses the subscription to {topic_filter!r}: {advice}")

    def receive(self, timeout: float = _PATIENCE) -> Message:
        """The oldest message not yet taken.  Raises ``TimeoutError``: none within ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._inbox, timeout):
                filters = ", ".join(self._subscriptions) or "nothing"
                state = f"{'' if self.connected else 'not '}connected, subscribed to {filters}"
                raise TimeoutError(f"no message within {timeout:g} s; the device is {state}")
            return self._inbox.popleft()

    def _demand_wanted(self) -> None:
        if not self._wanted:
            raise ConnectionFailed("the device is not connected: call connect() first")

    @contextlib.contextmanager
    def _held(self, timeout: float = -1) -> Iterator[None]:
        """While this is held, nobody else replaces the connection."""
        if not self._in_use.acquire(timeout=timeout):
            raise TimeoutError(f"{self._broker} did not let us in within {timeout:g} s")
        try:
            self._demand_wanted()
            yield
        finally:
            self._in_use.release()

    def _open(self, access_token: str, timeout: float) -> None:
        """Connect, in place of the connection that stands.  Raises ``ConnectionFailed``."""
        if len(access_token) > _FIELD_LIMIT:
            size = f"{len(access_token)} bytes, and a field of CONNECT holds {_FIELD_LIMIT}"
            raise ConnectionFailed(f"the token is too long: it has {size}; ask for fewer scopes")
        with self._held():  # or a PUBLISH might overtake the CONNECT
            self._hang_up()
            if self.carrier == "password":  # without a user name paho would drop it, and not say so
                self._paho.username_pw_set(self.client_id, access_token)
            elif self.carrier == "username":
                self._paho.username_pw_set(access_token, "")
            elif self.carrier == "header" and not _is_text(access_token):
                raise ConnectionFailed("the token is no text of printable ASCII: no header can carry it")
            self._shown = access_token
            self._paho.aim(self.host, self.port, self.keep_alive, self._method, access_token)
            self._answers, self._ended, self._parting = {}, False, None
            try:
                self._paho.reconnect()
                name = f"network-{self.client_id}"
                self._network = threading.Thread(target=self._serve, name=name, daemon=True)
                self._network.start()
                (answer,) = self._answer_to(0, "CONNECT", timeout)
                if answer != 0:
                    raise self._refusal(answer)
                if self._subscriptions and not self._session_present:
                    self._request(self._subscriptions, timeout)
            except OSError as error:
                self._note("connect.failed", reason=str(error))
                raise ConnectionFailed(f"{self._broker} cannot be reached: {error}") from None
            except BaseException:
                self._hang_up()
                raise

    def _swap(self, access_token: str, timeout: float = _PATIENCE) -> None:
        """Show another token on the connection that stands.  Spec: MQTT 5 §4.12.1.

        Messages flow meanwhile.  Raises ``ConnectionFailed``: the broker does not take it, or is gone.
        """
        with self._held():
            self._answers.pop(_AUTH, None)
            try:
                self._paho.reauthenticate(access_token)
            except ValueError as error:  # the connection has just ended
                raise ConnectionFailed(f"no re-authentication: {error}") from None
        self._answer_to(_AUTH, "AUTH", timeout)

    def _refusal(self, answer: int) -> ConnectionFailed:
        unknown = (None, f"reason code 0x{answer:02X} (MQTT 5 §3.2.2.2)")
        return_code, advice = _REFUSALS.get(answer, unknown)
        if self.version == 5 and return_code is not None and answer != 130:
            return_code = answer
        code, advice = "", self._paho.objection or advice
        if return_code is not None and not self._paho.objection:
            self._note("connect.refused", return_code=return_code)
            code = f" (CONNACK {return_code if self.version == 4 else f'0x{answer:02X}'})"
        message = f"{self._broker} refuses {self.client_id}{code}: {advice}"
        return ConnectionFailed(message, return_code=return_code)

    def _request(self, filters: dict[str, int], timeout: float) -> None:
        """SUBSCRIBE, wait for SUBACK, remember what was granted and what was not (0x80)."""
        _, packet_id = self._paho.subscribe(list(filters.items()))
        granted = self._answer_to(packet_id or 0, "SUBSCRIBE", timeout)
        for (topic_filter, qos), code in zip(list(filters.items()), granted, strict=False):
            if code < 0x80:
                self._subscriptions[topic_filter] = qos
            else:
                self._subscriptions.pop(topic_filter, None)
                self._note("subscribe.refused", filter=topic_filter)

    def _answer_to(self, packet_id: int, packet: str, timeout: float) -> list[int]:
        with self._changed:
            self._changed.wait_for(
                lambda: packet_id in self._answers or self._ended or not self._wanted, timeout
            )
            if packet_id not in self._answers:
                message = f"{self._broker} did not answer {packet} within {timeout:g} s, or is gone"
                raise ConnectionFailed(message)
            return self._answers.pop(packet_id)

    def _hang_up(self) -> None:
        """DISCONNECT, which spares us our will (MQTT 3.1.1 §3.14), then see thread and socket gone."""
        with self._changed:
            self.connected = False
        if self._network is not None:
            self._paho.disconnect()
            self._network.join(_FAREWELL)
            while self._network.is_alive():  # the broker does not read: cut the line
                line: Any = self._paho.socket()
                line = getattr(line, "_socket", line)  # what paho's WebSocket has inside
                with contextlib.suppress(OSError, AttributeError):  # gone, or None
                    line.shutdown(socket.SHUT_RDWR)
                self._network.join(_FAREWELL)
        if (rest := self._paho.socket()) is not None:
            rest.close()

    def _new_client(self) -> AuthClient:
        client = AuthClient(
            self.client_id, version=self.version, clean=self.clean_session, transport=self.transport
        )
        if self.transport == "websockets":
            client.ws_set_options(self.websocket_path, self._headers)
        client.on_disconnect, client.on_refused = self._on_disconnect, self._on_refused
        client.on_reauthenticated = self._on_reauthenticated
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_register_write = lambda *_: None  # leaves all writing to the network thread
        client.connect_timeout = _PATIENCE
        client.max_queued_messages_set(_KEPT)
        if self.ca_file is not None or not _is_loopback(self.host):
            client.tls_set_context(_tls_context(self.ca_file, self.certificate))
        if self.will is not None:
            client.will_set(self.will.topic, self.will.payload, self.will.qos, self.will.retain)
        client.aim(self.host, self.port, self.keep_alive)
        return client

    def _headers(self, usual: dict[str, str]) -> dict[str, str]:
        """Those of a WebSocket request, asked for anew at every attempt."""
        return {**usual, "Authorization": f"Bearer {self._shown}"} if self.carrier == "header" else usual

    def _serve(self) -> None:
        """The network thread: read, write and ping until the connection ends."""
        outcome = MQTTErrorCode.MQTT_ERR_SUCCESS
        with contextlib.suppress(Exception):  # paho raises on some malformed packets: that is an end, too
            while outcome == MQTTErrorCode.MQTT_ERR_SUCCESS:
                outcome = self._paho.loop(timeout=1.0)
        with self._changed:
            lost, self.connected, self._ended = self.connected, False, True
            self._answers.setdefault(0, [130 if outcome == MQTTErrorCode.MQTT_ERR_PROTOCOL else 128])
            self._changed.notify_all()
        if lost:
            self._lost()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        with self._changed:
            self._session_present, self.connected = flags.session_present, reason.value == 0
            self._answers[0] = [reason.value]
            self._changed.notify_all()

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        self._parting = reason.value if flags.is_disconnect_packet_from_server else None

    def _on_reauthenticated(self) -> None:
        with self._changed:
            self._answers[_AUTH] = [0]
            self._changed.notify_all()

    def _on_refused(self, topic: str, reason_code: int) -> None:
        self._note("publish.refused", topic=topic, reason_code=reason_code)

    def _on_subscribe(self, _client: Any, _data: Any, packet_id: int, reasons: Any, _properties: Any) -> None:
        with self._changed:
            self._answers[packet_id] = [reason.value for reason in reasons]
            self._changed.notify_all()

    def _on_message(self, _client: Any, _data: Any, it: paho.MQTTMessage) -> None:
        with self._changed:
            if len(self._inbox) == _KEPT and not self._overflowed:
                self._overflowed = True  # told once
                self._note("message.dropped")
            message = Message(topic=it.topic, payload=bytes(it.payload), qos=it.qos, retain=it.retain)
            self._inbox.append(message)
            self._changed.notify_all()

    def _lost(self) -> None:
        """The broker has closed the connection; runs on the network thread, at its end."""

    def _note(self, kind: str, **facts: Any) -> None:
        if self.record is not None:
            self.record.add("device", kind, client_id=self.client_id, **facts)


# The policy: when to get a token, when to connect, when to try again


@dataclass(eq=False, repr=False)
class Device(Connection):
    """An MQTT client that logs in with OAuth2 access tokens, and stays logged in.

    ::

        at 70-90 % of the token's life                fetch a new token, then swap the connection;
                                                      with enhanced authentication, only the token
        CONNACK 4 or 5: the broker refuses the token  fetch a new token, once; then back off
        any other failure, or a loss                  back off, with full jitter
    """

    client_secret: str | None = None  #: goes to the token endpoint and nowhere else
    _: KW_ONLY
    token_endpoint: str = ""
    tokens: TokenSource = None  # type: ignore[assignment]  #: where tokens come from; made of these two unless given
    clock: "Clock" = field(default_factory=lambda: SystemClock())
    random: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tokens is None:
            shared: Any = {"now": self.clock.now, "random": self.random, "record": self.record}
            client = self.token_endpoint, self.client_id, self.client_secret
            proof: Any = {"ca_file": self.ca_file, "certificate": self.certificate}
            self.tokens = TokenSource(*client, **proof, **shared)
        self._turn = threading.Lock()  # to fetch and to connect; the network thread goes on meanwhile
        self._timer: Any = None
        self._carried: Token | None = None  # what the broker saw last
        self._connected_at = 0.0
        self._failures, self._trouble = 0, ""

    @property
    def status(self) -> str:
        """The state in words, for people."""
        state = "connected" if self.connected else "not connected"
        return f"{state}, {self._trouble}" if self._trouble else state

    def token(self) -> str:
        """The access token at hand, or a new one when it is due.  Raises ``TokenRequestFailed``."""
        return self.tokens.current().access_token

    def connect(self, timeout: float = _PATIENCE) -> Self:
        """Connect, and stay connected until :meth:`disconnect`.  The broker may take ``timeout`` seconds.

        Raises ``TokenRequestFailed``: no token was to be had.  ``ConnectionFailed``: the broker could not be
        reached, or refused; the message says what to do.
        """
        try:
            with self._turn:
                self._wanted = True
                self._establish(timeout)
        except BaseException:
            self.disconnect()
            raise
        return self

    def disconnect(self) -> None:
        """Leave politely: no will, no thread and no socket stay behind.  Harmless when not connected."""
        with self._changed:
            self._wanted = False  # who is about to connect gives up
            self._changed.notify_all()
        in_turn = self._turn.acquire(timeout=_FAREWELL)  # and who waits for a token for long, may wait
        try:
            self._plan(None)
            self._failures, self._trouble = 0, ""
            with self._in_use:
                if self.connected:
                    self._note("disconnected", reason="asked to")
                self._hang_up()
                self._paho.close()
                self._paho = self._new_client()  # gone is the old one, and what nobody acknowledged
        finally:
            if in_turn:
                self._turn.release()

    def refresh(self) -> None:
        """Fetch a new token now and carry it to the broker; client id, session and messages stay.

        Raises ``TokenRequestFailed``: no new token; the connection lives on with the old one.
        ``ConnectionFailed``: the broker did not take it; the device goes on trying by itself.
        """
        with self._turn:
            self._demand_wanted()
            self._renew()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(self, *exc_info: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return f"<Device {self.client_id}: {self.status}>"

    def _establish(self, timeout: float = _PATIENCE) -> None:
        if not self.connected:
            token = self.tokens.current()
            self._log_in(token, timeout, retry=token is self._carried or self._failures == 0)

    def _renew(self) -> None:
        """A new token for a living connection, a new connection for a lost one."""
        try:
            if self.connected:
                token = self.tokens.fetch()  # however long that takes, the old connection lives on
                if self._method is None or not self._reauthenticate(token):
                    self._log_in(token, retry=self._method is not None)
                self._failures = 0
                self._note("refreshed")
            else:
                self._establish()
        except (TokenRequestFailed, ConnectionFailed) as error:
            self._back_off(error)
            raise

    def _reauthenticate(self, token: Token) -> bool:
        """Swap the token and keep the connection; whether the broker has taken it."""
        try:
            self._swap(token.access_token)
        except ConnectionFailed as failure:
            self._demand_wanted()
            self._note("reauth.failed", reason=self._paho.objection or str(failure))
            return False
        self._carried, self._trouble = token, ""
        self._plan(token.refresh_at)
        self._note("reauthenticated")
        return True

    def _log_in(self, token: Token, timeout: float = _PATIENCE, retry: bool = False) -> None:
        """Carry ``token`` to the broker; if it is refused and ``retry``, carry another."""
        self._carried = token
        try:
            self._open(token.access_token, timeout)
        except ConnectionFailed as refusal:
            if refusal.return_code in (4, 5, 0x86, 0x87):
                self.tokens.discard()  # no token is refused twice
                if retry:
                    self._log_in(self.tokens.current(), timeout)
                    return
            raise
        self._connected_at, self._trouble = self.clock.now(), ""
        self._plan(token.refresh_at)
        self._note("connected", return_code=0, session_present=self._session_present)

    def _recover(self) -> None:
        """The broker has closed the connection: the token expired, or it has reasons of its own."""
        if self.connected:
            return  # a swap came first
        if self.clock.now() - self._connected_at < _LASTED:
            self.tokens.discard()  # let in and thrown out: the same token would fare no better
        elif not self._trouble:  # or a fleet whose tokens expire in an outage would start over, all together
            self._failures = 0
        self._back_off(ConnectionFailed("the broker closed the connection"))

    def _back_off(self, error: TokenRequestFailed | ConnectionFailed) -> None:
        """Try again after a random time, of up to twice as long after every failure ("full jitter")."""
        if self._wanted:
            longest = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** min(self._failures, 10))
            seconds = self.random.uniform(0, longest) + (getattr(error, "retry_after", None) or 0)
            self._failures += 1
            self._trouble = f"trying again in {seconds:.1f} s: {error}"
            self._plan(self.clock.now() + seconds)
            self._note("backing-off", seconds=round(seconds, 3), reason=str(error))

    def _plan(self, when: float | None) -> None:
        """Renew at ``when``, and at no other time."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if when is not None and when < math.inf and self._wanted:
            self._timer = self.clock.call_at(when, lambda: self._in_background(self._renew))

    def _lost(self) -> None:
        code = {} if self._parting is None else {"reason_code": self._parting}
        self._note("disconnected", reason="closed by the broker", **code)
        self._in_background(self._recover)

    def _in_background(self, task: Callable[[], None]) -> Future[None]:
        """Do ``task`` when it is its turn, on a thread of its own: clock and network thread must not wait."""
        done: Future[None] = Future()

        def work() -> None:
            try:
                with contextlib.suppress(TokenRequestFailed, ConnectionFailed), self._turn:  # they are noted
                    if self._wanted:
                        task()
                done.set_result(None)
            except Exception as error:
                done.set_exception(error)  # such as a clock that was closed

        with contextlib.suppress(RuntimeError):  # a program that is ending starts no threads
            threading.Thread(target=work, name=f"worker-{self.client_id}", daemon=True).start()
        return done


# The clock: a simulation brings its own


class Clock(Protocol):
    """The time, and somebody to call when it comes."""

    def now(self) -> float:
        """Unix time in seconds."""

    def call_at(self, when: float, callback: Callable[[], Future[Any] | None]) -> Any:
        """Run ``callback`` at ``when`` (Unix time in seconds); what comes back has a ``cancel()``."""


class SystemClock:
    """The time of the operating system."""

    class _Timer(threading.Timer):
        def cancel(self) -> None:
            super().cancel()
            self.join()  # leave no thread behind

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], Future[Any] | None]) -> threading.Timer:
        """Run ``callback`` at ``when``, on a thread of its own."""
        timer = self._Timer(max(0.0, when - time.time()), callback)
        timer.daemon = True
        timer.start()
        return timer
