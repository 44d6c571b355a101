"""Who is known: clients and users, with a limit on guessing their secrets."""

from collections.abc import Callable
from dataclasses import asdict

from labkit.authserver.clients import Client, User
from labkit.authserver.refusals import Refused
from labkit.authserver.store import Journal
from labkit.authserver.throttle import Throttle
from labkit.errors import RegistrationRefused

__all__ = ["Registry"]

#: Checked in place of a user that does not exist, so that the answer takes as long.
_NOBODY = User(name="", salt="00" * 16, password_hash="")


class Registry:
    """All clients and users of one server.  Who changes it holds the server's lock; reading needs none.

    Attributes:
        client_failures: failed authentications, by client id and address.
        user_failures: wrong passwords, by user name and address.
        code_failures: wrong user codes, by address (RFC 8628 §5.1).
    """

    def __init__(self, now: Callable[[], float], journal: Journal) -> None:
        self._journal = journal
        self._clients = {key: Client.of_row(row) for key, row in journal.load("client").items()}
        self._users = {key: User(**row) for key, row in journal.load("user").items()}
        self._by_registration = {client.registration: client for client in self._clients.values()}
        self.client_failures = Throttle(now, burst=10, every=6.0)
        self.user_failures = Throttle(now, burst=5, every=30.0)
        self.code_failures = Throttle(now, burst=10, every=30.0)

    def client(self, client_id: str) -> Client | None:
        """The client of that id."""
        return self._clients.get(client_id)

    def of_registration(self, registration: str) -> Client | None:
        """The client with that registration, while it stands."""
        return self._by_registration.get(registration)

    def put_client(self, client: Client) -> None:
        """Add a client, in place of an earlier one of that id.

        Raises:
            RegistrationRefused: another client has the same secret.
        """
        others = (each for each in self._clients.values() if each.client_id != client.client_id)
        if client.guessable and any(each.secret_hash == client.secret_hash for each in others):
            raise RegistrationRefused("another device has this secret: each needs its own (RFC 6749 §10.1)")
        self._take_out(client.client_id)
        self._clients[client.client_id] = self._by_registration[client.registration] = client
        self._journal.write(("client", client.client_id, asdict(client)))

    def drop_client(self, client_id: str) -> None:
        """Take a client out."""
        self._take_out(client_id)
        self._journal.write(("client", client_id, None))

    def has_user(self, name: str) -> bool:
        """Whether there is a user of that name."""
        return name in self._users

    def put_user(self, user: User) -> None:
        """Add a user, in place of an earlier one of that name."""
        self._users[user.name] = user
        self._journal.write(("user", user.name, asdict(user)))

    def check_password(self, name: str, password: str, peer: str) -> None:
        """Return if that is the user's password; about 50 ms, whoever the user is.

        Raises:
            Refused: ``invalid_grant``: it is not, or too many were tried from there (RFC 6749 §4.3.2).
        """
        key = (name, peer)
        wait = self.user_failures.attempt(key)
        if wait:
            raise Refused("invalid_grant", "too many wrong passwords: wait", status=429, retry_after=wait)
        user = self._users.get(name, _NOBODY)
        if not user.has_password(password) or user is _NOBODY:
            raise Refused("invalid_grant", "the user name or the password is wrong")
        self.user_failures.forgive(key)

    def _take_out(self, client_id: str) -> None:
        client = self._clients.pop(client_id, None)
        if client is not None:
            del self._by_registration[client.registration]
