"""The devices of a lab: registered, given tokens and certificates, and made."""

import weakref
from collections.abc import Iterable
from typing import Any

from labkit.addresses import Addresses
from labkit.authserver import Credentials
from labkit.clock import Clock
from labkit.device import Device, TokenSource
from labkit.errors import RegistrationRefused, ServiceFailed
from labkit.record import Record

__all__ = ["Registered"]


class Registered(Addresses):
    """What a lab knows about its devices."""

    clock: Clock
    record: Record

    def __init__(self, token_lifetime: int) -> None:
        self._token_lifetime = token_lifetime
        self._credentials: dict[str, Credentials] = {}
        self._certified: set[str] = set()
        self._devices: weakref.WeakValueDictionary[str, Device] = weakref.WeakValueDictionary()

    def register(
        self,
        client_id: str,
        *,
        publish: Iterable[str] | None = None,
        subscribe: Iterable[str] | None = None,
        lifetime: int | None = None,
        **options: Any,
    ) -> Credentials:
        """Make a device known to the authorization server, and return its credentials.

        Args:
            client_id: the device's name: its OAuth2 client id, and the only MQTT client identifier its tokens
                are good for.  No ``/``, ``+``, ``#``, spaces or control characters.
            publish: topic filters it may publish to; ``["devices/{client_id}/#"]`` by default, and in any
                filter ``{client_id}`` stands for its name.
            subscribe: topic filters it may subscribe to; the same by default.
            lifetime: seconds its access tokens live, 1 to 3600; the lab's ``token_lifetime`` by default.
            options: passed on to ``AuthServer.register``: ``grants``, ``auth``, ``certificate_bound``,
                ``proof_key``…

        Raises:
            RegistrationRefused: the message says what to change.
        """
        credentials = self.authserver.register(
            client_id,
            publish=publish,
            subscribe=subscribe,
            lifetime=self._token_lifetime if lifetime is None else lifetime,
            **options,
        )
        self._credentials[client_id] = credentials
        self._certified.discard(client_id)
        if options.get("certificate_bound"):
            self._certified.add(client_id)
        return credentials

    def certificate(self, client_id: str) -> tuple[str, str]:
        """A client certificate for a device, signed by the lab's authority: the files of it and of its key.

        The lab need not know the device.  Both files are PEM, and gone when the lab stops.

        Raises:
            ServiceFailed: this lab has no TLS, or has stopped.
        """
        if self.authority is None:
            raise ServiceFailed("this lab has no certificates: start it as Lab(tls=True)")
        return self.authority.client_certificate(client_id)

    def token(self, client_id: str) -> str:
        """A fresh access token for a registered device, fetched over HTTP as the device would.

        Raises:
            RegistrationRefused: no device of that name is registered here.
            TokenRequestFailed: the authorization server gave no token.
        """
        credentials = self._credentials_of(client_id)
        return self._source(credentials).fetch().access_token

    def device(self, client_id: str, **options: Any) -> Device:
        """A :class:`~labkit.device.Device` with the credentials of a registered device, not yet connected.

        The device that an earlier call made for this name is disconnected: run a cell twice, and the second
        device does not have to fight the first for their client identifier (MQTT 3.1.1 §3.1.4).

        Args:
            client_id: the registered device.
            options: passed on to ``Device`` (``carrier``, ``clean_session``…).  ``tls=False`` takes the plain
                listener of a lab that has both.

        Raises:
            RegistrationRefused: no device of that name is registered here.
        """
        credentials = self._credentials_of(client_id)
        tls = options.pop("tls", self.ca_file is not None)
        listener = self.listener(options.get("transport", "tcp"), tls=tls)
        where = {"host": listener.host, "port": listener.port}
        shared: dict[str, Any] = {"clock": self.clock, "record": self.record, **where}
        if tls:
            shared["ca_file"] = self.ca_file
            shared["certificate"] = self._certificate_of(client_id)
        elif self.ca_file is not None:  # plain MQTT; its tokens come over https all the same
            shared["tokens"] = self._source(credentials)
        if (earlier := self._devices.get(client_id)) is not None:
            earlier.disconnect()
        device = Device(
            credentials.client_id,
            credentials.client_secret,
            token_endpoint=self.token_endpoint,
            **shared | options,
        )
        self._devices[client_id] = device
        return device

    def _source(self, credentials: Credentials) -> TokenSource:
        return TokenSource(
            self.token_endpoint,
            credentials.client_id,
            credentials.client_secret,
            ca_file=self.ca_file,
            certificate=self._certificate_of(credentials.client_id),
            now=self.clock.now,
            record=self.record,
        )

    def _certificate_of(self, client_id: str) -> tuple[str, str] | None:
        """The certificate that a device shows: none, unless its tokens are bound to it."""
        return self.certificate(client_id) if client_id in self._certified else None

    def _credentials_of(self, client_id: str) -> Credentials:
        credentials = self._credentials.get(client_id)
        if credentials is None or credentials.client_secret is None:
            known = ", ".join(sorted(self._credentials)) or "none yet"
            raise RegistrationRefused(
                f"no device with a secret is registered as {client_id!r}:"
                f" call lab.register({client_id!r}) first (registered: {known})"
            )
        return credentials
