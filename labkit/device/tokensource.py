"""Where a device's access tokens come from: the client's side of OAuth2, the life of a token.

::

    grant          client credentials; a password or a device code where it must be; then the refresh token
    Token          what came back, and when to fetch the next: at a random point of 70-90 % of its life
    single flight  however many threads want a token, one request goes out
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self, TypeGuard
from urllib.parse import quote_plus

import httpx

from labkit.errors import TokenRequestFailed

from .exchange import exchange, refusal

__all__ = ["Token", "TokenSource"]

_LIFE_LIMIT = 10**9  # seconds; 30 years are a mistake
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the token endpoint gave.  Spec: RFC 6749 §5.1.

    The access token is opaque to a device, which never looks inside (RFC 9068 §6): its life is what
    ``expires_in`` said, counted on the device's own clock from the moment it asked.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    expires_at: float | None = None  #: Unix time in seconds; None: the server did not say
    refresh_at: float | None = None  #: Unix time at which to fetch the next one


class TokenSource:
    """Gets access tokens and holds the latest; any thread may ask.

    Args:
        client_secret: None for a public client, which names itself and proves nothing.
        grant: the form that earns a token, client credentials by default; ``scope`` or ``resource`` may be
            added.  ``{"grant_type": "password", "username": …, "password": …}`` works for servers that still
            want it (RFC 9700 §2.4 forbids it).
        refresh_token: the one kept from an earlier life of the device.
        on_refresh_token: keeps a new one where neither a power cut nor a stranger can reach it.
        ca_file: PEM file of the authorities to trust instead of the system's.
        now, random, record: for simulations: Unix time, a seeded generator, where to write what happened.
    """

    def __init__(
        self,
        token_endpoint: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        grant: Mapping[str, str] | None = None,
        refresh_token: str | None = None,
        on_refresh_token: Callable[[str], object] | None = None,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
        random: Random | None = None,
        record: Any = None,
    ) -> None:
        self.token_endpoint = token_endpoint
        self.client_id = client_id
        self.metadata: Mapping[str, Any] = {}  #: what the issuer publishes, if it was asked
        self._client_secret = client_secret
        self._grant = dict(grant or {"grant_type": "client_credentials"})
        self._refresh_token = refresh_token
        self._on_refresh_token = on_refresh_token
        self._ca_file = ca_file
        self._now = now
        self._random = random or Random()  # noqa: S311 - spreads load, keeps no secret
        self._record = record
        self._owner_needed = False  # only a person can earn the next token
        self._token: Token | None = None
        self._flight: Future[Token] | None = None  # the request under way
        self._lock = threading.Lock()  # guards these two

    @classmethod
    def from_issuer(
        cls, issuer: str, client_id: str, client_secret: str | None = None, **options: Any
    ) -> Self:
        """Find the token endpoint in the issuer's metadata.  Spec: RFC 8414 §3."""
        url = httpx.URL(issuer)
        url = url.copy_with(path="/.well-known/oauth-authorization-server" + url.path.rstrip("/"))
        _, metadata, _ = exchange(str(url), ca_file=options.get("ca_file"))
        endpoint = metadata.get("token_endpoint")
        # Identical, or our secret would go to whom somebody else has chosen (§3.3).
        if metadata.get("issuer") != issuer or not isinstance(endpoint, str):
            raise TokenRequestFailed(f"{url} does not describe the issuer {issuer}: correct the issuer's URL")
        source = cls(endpoint, client_id, client_secret, **options)
        source.metadata = metadata
        return source

    def current(self) -> Token:
        """The token at hand, or a new one when it is due.  Raises ``TokenRequestFailed``."""
        token = self._token
        if token is not None and not self._past(token.refresh_at):
            return token
        try:
            return self._other_than(token)
        except TokenRequestFailed:
            if token is None or self._past(token.expires_at):
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
        self,
        device_authorization_endpoint: str,
        show: Callable[[str, str], object],
        wait: Callable[[float], object] | None = None,
    ) -> Token:
        """Have the owner say yes on another screen: ``show(user_code, verification_uri)``.  Spec: RFC 8628.

        Returns when the owner has answered; ``wait(seconds)`` passes the time between two questions.
        Raises ``TokenRequestFailed``: the owner refused, or did not answer in time.
        """
        wait = wait or threading.Event().wait
        scope = {"scope": self._grant["scope"]} if "scope" in self._grant else {}
        offer = self._post(device_authorization_endpoint, scope)
        try:
            form = {"grant_type": _DEVICE_CODE, "device_code": str(offer["device_code"])}
            give_up_at = self._now() + float(offer["expires_in"])
            interval = float(offer.get("interval", 5))  # §3.2: 5 s unless the server says otherwise
            user_code, verification_uri = str(offer["user_code"]), str(offer["verification_uri"])
        except (KeyError, TypeError, ValueError):
            message = "the device authorization response is malformed (RFC 8628 §3.2)"
            raise TokenRequestFailed(message, status=200) from None
        show(user_code, verification_uri)
        while self._now() < give_up_at:
            try:
                token = self._ask(form)
            except TokenRequestFailed as answer:
                if answer.error == "slow_down":
                    interval += 5  # for this and all later questions (§3.5)
                elif answer.status is None:
                    interval *= 2  # no answer: ask less often (§3.5)
                elif answer.error != "authorization_pending":
                    raise
                wait(interval)
            else:
                self._owner_needed = True  # for the next one: this code is spent
                self._land(token)
                return token
        raise TokenRequestFailed("the owner did not answer in time: start again", error="expired_token")

    def _past(self, moment: float | None) -> bool:
        return moment is not None and self._now() >= moment

    def _other_than(self, known: Token | None) -> Token:
        """Single flight: the first thread makes the request, the others wait for its outcome."""
        with self._lock:
            if self._token is not None and self._token is not known:
                return self._token  # it landed while we were on our way here
            flight = self._flight
            if leading := flight is None:
                flight = self._flight = Future()
        if leading:
            try:
                token = self._obtain()
            except BaseException as error:
                self._land(None)
                flight.set_exception(error)
            else:
                self._land(token)
                flight.set_result(token)
        return flight.result()

    def _land(self, token: Token | None) -> None:
        with self._lock:
            self._token, self._flight = token or self._token, None

    def _obtain(self) -> Token:
        if self._refresh_token is not None:
            try:
                return self._ask({"grant_type": "refresh_token", "refresh_token": self._refresh_token})
            except TokenRequestFailed as answer:
                if answer.error != "invalid_grant":
                    raise
                self._refresh_token = None  # spent, revoked or expired: only the first grant helps now
                if self._client_secret is None and self._grant["grant_type"] == "client_credentials":
                    self._owner_needed = True  # a public client has no credentials (RFC 6749 §4.4)
        if self._owner_needed:
            message = f"{self.client_id} has no good refresh token any more: ask its owner again (ask_owner)"
            raise TokenRequestFailed(message, error="invalid_grant")
        return self._ask(self._grant)

    def _ask(self, form: Mapping[str, str]) -> Token:
        asked_at = self._now()
        answer = self._post(self.token_endpoint, form)
        token = self._read(answer, asked_at)
        if token.refresh_token is not None:
            try:
                if self._on_refresh_token is not None:
                    self._on_refresh_token(token.refresh_token)  # kept before the old one goes (RFC 6749 §6)
            except Exception as error:
                raise TokenRequestFailed(f"the new refresh token could not be kept: {error}") from error
            finally:
                self._refresh_token = token.refresh_token  # kept or not: the old one is spent
        if self._record is not None:
            facts = {"client_id": self.client_id, "grant": form["grant_type"].rpartition(":")[2]}
            self._record.add("device", "token.fetched", **facts, expires_in=answer.get("expires_in"))
        return token

    def _read(self, answer: Mapping[str, Any], asked_at: float) -> Token:
        """A token response, held against RFC 6749 §5.1; members that we do not know are ignored."""
        names = ("access_token", "token_type", "refresh_token", "scope", "expires_in")
        access_token, token_type, refresh_token, scope, life = map(answer.get, names)
        if not isinstance(token_type, str) or token_type.lower() != "bearer":
            raise _malformed("its token_type is not Bearer, and we can use no other")
        if not _is_text(access_token):
            raise _malformed("its access_token is no printable text")
        if not all(text is None or _is_text(text) for text in (refresh_token, scope)):
            raise _malformed("its refresh_token or scope is no printable text")
        expires_at = refresh_at = None  # expires_in is recommended, not required: then the broker will tell
        if life is not None:
            if type(life) not in (int, float) or not 0 < life < _LIFE_LIMIT:
                raise _malformed("its expires_in is no number of seconds")
            expires_at = asked_at + life
            # At random, lest a fleet that woke up together comes back together; at most once a second.
            refresh_at = asked_at + max(1.0, life * self._random.uniform(0.7, 0.9))
        return Token(
            access_token=access_token,
            refresh_token=refresh_token,
            scope=scope,
            expires_at=expires_at,
            refresh_at=refresh_at,
        )

    def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Send ``form`` as this client, and return the answer if it is a good one."""
        auth = None
        if self._client_secret is None:
            form = {**form, "client_id": self.client_id}  # RFC 6749 §3.2.1
        else:  # client_secret_basic; §2.3.1 wants both parts form-encoded first
            auth = httpx.BasicAuth(quote_plus(self.client_id), quote_plus(self._client_secret))
        status, answer, headers = exchange(url, form=form, auth=auth, ca_file=self._ca_file)
        if status != 200:
            raise refusal(url, status, answer, headers)
        return answer


def _malformed(what: str) -> TokenRequestFailed:
    return TokenRequestFailed(f"the token response is malformed: {what} (RFC 6749 §5.1)", status=200)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isascii() and value.isprintable() and value != ""
