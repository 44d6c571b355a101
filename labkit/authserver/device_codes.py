"""The device authorization grant: a device asks, a person answers elsewhere, the device polls.

::

    pending ──approve──▶ approved ──polled──▶ gone        (a device code is good for one answer)
       ├─────deny──────▶ denied  ──polled──▶ gone
       └────10 minutes─▶ expired ────────────▶ gone

Spec: RFC 8628.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from labkit.authserver.clients import fingerprint
from labkit.authserver.refusals import Refused

__all__ = ["INTERVAL", "LIFETIME", "DeviceCodes", "DeviceRequest"]

#: How long a person has to answer, in seconds (``expires_in``).
LIFETIME = 600
#: Seconds between two polls (``interval``), and what each impatient poll adds for good (RFC 8628 §3.5).
INTERVAL = 5

#: 8 of 20 letters that spell no words: 34 bits, enough with a limit on attempts (RFC 8628 §5.1, §6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
#: Requests of one client that may wait for an answer at the same time.
_MOST_PENDING = 100


@dataclass(slots=True, kw_only=True)
class DeviceRequest:
    """A device that waits for its owner's answer."""

    client_id: str
    scopes: tuple[str, ...]
    audience: str
    user_code: str
    device_code_hash: str = field(repr=False)
    expires_at: float
    interval: int = INTERVAL
    last_poll: float = 0.0
    approved: bool | None = None
    user_name: str = ""


class DeviceCodes:
    """All requests that wait for an answer.  The caller holds the server's lock; a restart forgets them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._by_hash: dict[str, DeviceRequest] = {}
        self._by_user_code: dict[str, DeviceRequest] = {}

    def start(self, *, client_id: str, scopes: tuple[str, ...], audience: str) -> tuple[str, str]:
        """A new request: its device code and its user code.

        Raises:
            Refused: this client has too many requests open.
        """
        self._sweep()
        if sum(each.client_id == client_id for each in self._by_hash.values()) >= _MOST_PENDING:
            raise Refused(
                "slow_down", "too many requests wait for an answer", status=429, retry_after=INTERVAL
            )
        device_code = secrets.token_urlsafe(32)
        user_code = self._fresh_user_code()
        request = DeviceRequest(
            client_id=client_id,
            scopes=scopes,
            audience=audience,
            user_code=user_code,
            device_code_hash=fingerprint(device_code),
            expires_at=self._now() + LIFETIME,
        )
        self._by_hash[request.device_code_hash] = request
        self._by_user_code[user_code] = request
        return device_code, user_code

    def answer(self, user_code: str, user_name: str, *, approved: bool) -> DeviceRequest | None:
        """Take down a person's answer; ``None`` when no such request waits for one."""
        letters = re.sub(r"[\W\d_]", "", user_code).upper()
        request = self._by_user_code.get(f"{letters[:4]}-{letters[4:]}")
        if request is None or request.approved is not None or request.expires_at <= self._now():
            return None
        request.approved = approved
        request.user_name = user_name
        return request

    def poll(self, device_code: str, client_id: str) -> DeviceRequest:
        """The approved request of this device code, which is then used up.

        Raises:
            Refused: there is no answer yet, or it was no (RFC 8628 §3.5).
        """
        now = self._now()
        request = self._by_hash.get(fingerprint(device_code))
        if request is None or request.client_id != client_id:
            raise Refused("invalid_grant", "the device code is unknown, used up, or of another client")
        if request.expires_at <= now:
            raise Refused("expired_token", "nobody answered in time: start again")
        if request.approved is None:
            too_soon = now - request.last_poll < request.interval
            request.last_poll = now
            if too_soon:
                request.interval += INTERVAL
                raise Refused("slow_down", f"wait {request.interval} seconds before each poll from now on")
            raise Refused("authorization_pending", "nobody has answered yet")
        self._drop(request)
        if not request.approved:
            raise Refused("access_denied", "the owner said no")
        return request

    def drop_client(self, client_id: str) -> None:
        """Forget what a client has asked for."""
        for request in list(self._by_hash.values()):
            if request.client_id == client_id:
                self._drop(request)

    def _fresh_user_code(self) -> str:
        while True:
            letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
            user_code = f"{letters[:4]}-{letters[4:]}"
            if user_code not in self._by_user_code:
                return user_code

    def _drop(self, request: DeviceRequest) -> None:
        del self._by_hash[request.device_code_hash]
        del self._by_user_code[request.user_code]

    def _sweep(self) -> None:
        """Forget expired requests, after time enough for the device to hear ``expired_token``."""
        horizon = self._now() - LIFETIME
        for request in list(self._by_hash.values()):
            if request.expires_at <= horizon:
                self._drop(request)
