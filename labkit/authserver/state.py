"""What the server knows, and every way in which that changes.  One lock guards it all."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from labkit.authserver.access_tokens import AccessTokens, Issued, grant_of
from labkit.authserver.clients import DEVICE_CODE, Client, User, new_registration, subject_of
from labkit.authserver.device_codes import DeviceCodes, DeviceRequest
from labkit.authserver.families import Families, Family
from labkit.authserver.keys import KeyRing
from labkit.authserver.refusals import Refused
from labkit.authserver.registry import Registry
from labkit.authserver.scopes import narrowed
from labkit.authserver.store import Journal
from labkit.clock import Clock
from labkit.record import Fact, Record

__all__ = ["OnRevoked", "State"]

#: Told about access tokens that stop being good before ``exp``: the ``jti``, or ``None`` for all of a client.
OnRevoked: TypeAlias = Callable[[str | None, str], None]

#: What a token is bound to, as its ``cnf`` claim says it.
Cnf: TypeAlias = Mapping[str, str]

_log = logging.getLogger(__name__)


class State:
    """Clients, users, grants and keys of one server, safe to use from any thread.

    Listeners are called without the lock, so that they may take their time and ask back.
    """

    def __init__(
        self,
        *,
        audience: str,
        resources: tuple[str, ...],
        algorithm: str,
        clock: Clock,
        record: Record,
        journal: Journal,
        opaque: bool = False,
    ) -> None:
        self.audience = audience
        self.resources = frozenset((audience, *resources))
        self.now = clock.now
        self.listeners: list[OnRevoked] = []
        self._record = record
        self._lock = threading.RLock()
        self.keys = KeyRing(algorithm, clock.now, journal)
        self.tokens = AccessTokens(self.keys, clock.now, journal, opaque=opaque)
        self.families = Families(clock.now, journal)
        self.devices = DeviceCodes(clock.now)
        self.registry = Registry(clock.now, journal)

    def note(self, kind: str, **facts: Fact) -> None:
        """Write an event into the record."""
        self._record.add("authserver", kind, **facts)

    # Who there is

    def put_client(self, client: Client) -> None:
        """Register a client; all that an earlier one of that id held is revoked."""
        with self._lock:
            known = self.registry.client(client.client_id) is not None
            self.registry.put_client(client)
            self._let_go(client.client_id)
        if known:
            self._tell(None, client.client_id)

    def remove_client(self, client_id: str) -> None:
        """Forget a client and revoke all it held."""
        with self._lock:
            known = self.registry.client(client_id) is not None
            self.registry.drop_client(client_id)
            self._let_go(client_id)
        if known:
            self._tell(None, client_id)

    def put_user(self, user: User) -> None:
        """Register a user; a new password ends what was granted under the old one (RFC 9700 §4.14.2)."""
        with self._lock:
            self.registry.put_user(user)
            families = self.families.of_subject(subject_of(user.name))
        for family in families:
            self.kill(family)

    # What they get

    def resource(self, asked: str | None) -> str:
        """The audience of a token: the ``resource`` asked for, or the default (RFC 8707 §2, RFC 9068 §3)."""
        if asked is None:
            return self.audience
        if asked not in self.resources:
            raise Refused("invalid_target", "no such resource here: name one by its exact absolute URI")
        return asked

    def grant_to_client(
        self, client: Client, scope: str | None, resource: str | None, cnf: Cnf | None = None
    ) -> Issued:
        """A token for the client itself (RFC 6749 §4.4)."""
        return self._issue(
            "client_credentials",
            client,
            subject=client.client_id,
            grant=client.registration,
            audience=self.resource(resource),
            scopes=narrowed(scope, client.scopes),
            cnf=cnf,
        )

    def grant_by_user(
        self,
        grant_type: str,
        client: Client,
        user_name: str,
        scopes: tuple[str, ...],
        audience: str,
        cnf: Cnf | None = None,
    ) -> tuple[Issued, str]:
        """A token and a refresh token in a user's name."""
        with self._lock:
            # Who authenticated a moment ago may have been removed while a password was being checked.
            if self.registry.of_registration(client.registration) is None:
                raise Refused("invalid_grant", "this registration has ended")
            family, refresh_token = self.families.start(
                client_id=client.client_id, subject=subject_of(user_name), scopes=scopes, audience=audience
            )
            if client.auth == "none" and cnf:  # nothing else keeps a thief from using it (RFC 8705 §4)
                family.certificate = cnf.get("x5t#S256")
            return self._issue_to_family(grant_type, client, family, scopes, cnf), refresh_token

    def refresh(
        self,
        client: Client,
        refresh_token: str,
        scope: str | None,
        resource: str | None,
        cnf: Cnf | None = None,
    ) -> tuple[Issued, str]:
        """A token and the next refresh token, for the one given, which is used up.

        Raises:
            Refused: ``invalid_grant``, ``invalid_scope`` or ``invalid_target``.
        """
        with self._lock:
            family = self.families.find(refresh_token)
            if family is None or family.client_id != client.client_id:
                raise Refused("invalid_grant", "the refresh token is unknown, revoked, or of another client")
            if family.certificate not in (None, (cnf or {}).get("x5t#S256")):
                raise Refused("invalid_grant", "the refresh token is bound to another certificate")
            if self.families.is_current(family, refresh_token):
                if self.families.expired(family):
                    raise Refused("invalid_grant", "the refresh token has expired: ask the owner again")
                if resource not in (None, family.audience):
                    raise Refused("invalid_target", "this grant is for another resource")
                scopes, renewed = self.families.renew(family, scope)
                return self._issue_to_family("refresh_token", client, family, scopes, cnf), renewed
        # RFC 9700 §4.14.2: two hold this token, and one of them should not.  Nobody gets to keep the grant.
        self.note("refresh.reused", client_id=client.client_id)
        self.kill(family)
        raise Refused("invalid_grant", "the refresh token was used before: the whole grant is revoked")

    def ask_owner(self, client: Client, scope: str | None, resource: str | None) -> tuple[str, str]:
        """Begin a device authorization: device code and user code (RFC 8628 §3.2)."""
        scopes, audience = narrowed(scope, client.scopes), self.resource(resource)
        with self._lock:
            return self.devices.start(client_id=client.client_id, scopes=scopes, audience=audience)

    def answer(self, user_code: str, user_name: str, *, approved: bool) -> DeviceRequest | None:
        """Take down a user's answer to a device; ``None`` when no device waits for it."""
        with self._lock:
            request = self.devices.answer(user_code, user_name, approved=approved)
        if request is not None:
            self.note("device.approved" if approved else "device.denied", client_id=request.client_id)
        return request

    def poll(self, client: Client, device_code: str, cnf: Cnf | None = None) -> tuple[Issued, str]:
        """The tokens an owner has approved (RFC 8628 §3.4).

        Raises:
            Refused: not yet, or not at all.
        """
        with self._lock:
            request = self.devices.poll(device_code, client.client_id)
            return self.grant_by_user(
                DEVICE_CODE, client, request.user_name, request.scopes, request.audience, cnf
            )

    def rotate_keys(self) -> float:
        """Have the next key sign, from the Unix time that is returned."""
        starts_at = self.keys.rotate()
        self.note("keys.rotation", wait=round(max(0.0, starts_at - self.now()), 3))
        return starts_at

    # What stands, and what falls

    def active(self, token: str) -> Mapping[str, Any] | None:
        """The claims of an access token that is good now, else ``None``."""
        claims = self.tokens.read(token)
        if claims is None:
            return None
        return claims if self._owner(claims["jti"]) is not None else None

    def revoke(self, jti: str) -> bool:
        """End one access token; whether the grant behind it stood until now."""
        with self._lock:
            owner = self._owner(jti)
            if owner is None:
                return False
            self.tokens.revoke(jti)
        self._tell(jti, owner.client_id)
        return True

    def revoke_client(self, client_id: str) -> bool:
        """End every token of a client, which stays registered; whether there is such a client."""
        client = self.registry.client(client_id)
        if client is not None:
            self.put_client(replace(client, registration=new_registration()))
        return client is not None

    def kill(self, family: Family) -> None:
        """End a grant with all its tokens."""
        with self._lock:
            good = self.families.kill(family)
        for jti in good:
            self._tell(jti, family.client_id)

    def _issue_to_family(
        self, grant_type: str, client: Client, family: Family, scopes: tuple[str, ...], cnf: Cnf | None
    ) -> Issued:
        issued = self._issue(
            grant_type,
            client,
            subject=family.subject,
            grant=family.id,
            audience=family.audience,
            scopes=scopes,
            cnf=cnf,
        )
        family.note(issued.jti, issued.expires_at, self.now())
        self.families.keep(family)
        return issued

    def _issue(
        self,
        grant_type: str,
        client: Client,
        *,
        subject: str,
        grant: str,
        audience: str,
        scopes: tuple[str, ...],
        cnf: Cnf | None,
    ) -> Issued:
        issued = self.tokens.issue(
            subject=subject,
            client_id=client.client_id,
            grant=grant,
            audience=audience,
            scopes=scopes,
            lifetime=client.lifetime,
            cnf=cnf,
        )
        self.note(
            "token.issued",
            client_id=client.client_id,
            jti=issued.jti,
            grant=grant_type,
            scopes=len(scopes),
            lifetime=client.lifetime,
            iat=issued.expires_at - client.lifetime,
        )
        return issued

    def _owner(self, jti: str) -> Client | Family | None:
        """What stands behind a token: its client's registration, or a user's grant."""
        grant = grant_of(jti)
        return self.registry.of_registration(grant) or self.families.get(grant)

    def _let_go(self, client_id: str) -> None:
        """End what was granted in users' names to a client."""
        self.devices.drop_client(client_id)
        self.tokens.drop_client(client_id)
        for family in self.families.of_client(client_id):
            self.families.kill(family)

    def _tell(self, jti: str | None, client_id: str) -> None:
        self.note("token.revoked", client_id=client_id, jti=jti)
        for listener in list(self.listeners):
            try:
                listener(jti, client_id)
            except Exception:
                _log.exception("a listener of on_revoked failed")
