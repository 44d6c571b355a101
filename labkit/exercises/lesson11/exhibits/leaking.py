"""Where tokens, passwords and secrets end up: in a log, on the wire, in a flash memory, at a stranger's.

T21, T22, T31, T41.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import httpx

from labkit.broker import Broker
from labkit.device import TokenSource
from labkit.errors import ServiceFailed, TokenRequestFailed
from labkit.exercises.lesson11.exhibits.exhibit import Exhibit
from labkit.exercises.lesson11.exhibits.listener import Listener
from labkit.exercises.lesson11.exhibits.live import Connected
from labkit.exercises.lesson11.exhibits.parts import Canary, issuer_of
from labkit.record import Record, redact
from labkit.wire import Connect, Tap, encode

__all__ = ["LEAKING"]

_NAME = "gallery-1"


def _logs_the_user_name(connect: Connect) -> str:
    return f"connected: {connect.client_id} (user {connect.username})"


def _logs_the_client_id(connect: Connect) -> str:
    return f"connected: {redact(connect.client_id)}"


def _read_the_log(target: Any, lab: Any) -> bool:
    token = issuer_of(lab).token()
    return token in target(Connect(client_id=_NAME, username=token))


def _find_the_device(target: Any, lab: Any) -> bool:
    return _NAME in target(Connect(client_id=_NAME, username=issuer_of(lab).token()))


def _read_the_record(lab: Any) -> bool:
    lab.register(_NAME)
    token, mark = lab.token(_NAME), lab.record.mark()
    with Connected(lab, _NAME, token, carrier="username"):
        lines = [str(event) for event in lab.record.events("connect", since=mark)]
    if not any(_NAME in line for line in lines):
        raise RuntimeError("the record does not tell who connected")
    return any(piece in line for line in lines for piece in token.split("."))


def _in_the_clear(listener: Listener, address: tuple[str, int], packet: bytes) -> bytes:
    with listener.plain(address) as connection:
        connection.sendall(packet)
        return connection.recv(4)


def _over_tls(listener: Listener, address: tuple[str, int], packet: bytes) -> bytes:
    with listener.secure(address) as connection:
        connection.sendall(packet)
        return connection.recv(4)


def _listen_in(target: Any, lab: Any) -> bool:
    """Between the device and the listener somebody writes down every byte."""
    token = issuer_of(lab).token()
    packet = encode(Connect(client_id=_NAME, username="token", password=token.encode()))
    with Listener(tls=target is _over_tls) as listener, Tap(listener.endpoint) as tap:
        target(listener, (tap.endpoint.host, tap.endpoint.port), packet)
        tap.wait(2)
        heard = b"".join(piece.data for piece in tap.packets)
    return token.encode() in heard


def _log_in(target: Any, lab: Any) -> bool:
    packet = encode(Connect(client_id=_NAME, username="token", password=issuer_of(lab).token().encode()))
    with Listener(tls=target is _over_tls) as listener:
        address = listener.endpoint.host, listener.endpoint.port
        return bool(target(listener, address, packet) == b"\x20\x02\0\0")


def _listen_beyond_this_machine(lab: Any) -> bool:
    """Without TLS the lab's broker listens on this machine alone: there is no wire to listen in on."""
    lab.register(_NAME)
    with Connected(lab, _NAME, lab.token(_NAME)):  # on this machine it lets the honest device in
        pass
    try:
        Broker(validator=lab.validator, clock=lab.clock, record=Record(lab.clock.now), host="0.0.0.0")  # noqa: S104
    except ServiceFailed:
        return False
    return True


class _KeepsThePassword:
    """A device that its owner sets up: what it writes into its flash memory, and how it gets tokens."""

    def __init__(self, server: "_Server") -> None:
        self.server = server
        self.flash: dict[str, str] = {}

    def set_up(self, owner: str, password: str) -> None:
        self.flash = {"owner": owner, "password": password}

    def token(self) -> str | None:
        return self.server.token_for(**self.flash)


class _KeepsARefreshToken(_KeepsThePassword):
    """The same; the owner says yes at the server, and the device never sees the password."""

    def set_up(self, owner: str, password: str) -> None:
        self.flash = {"refresh": self.server.owner_says_yes(owner, password)}

    def token(self) -> str | None:
        return self.server.refreshed(**self.flash)


class _Server:
    """An authorization server that has an owner's account, too."""

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(8)
        self._refresh: set[str] = set()

    def token_for(self, owner: str, password: str) -> str | None:
        return "a token" if self.opens_the_account(password) else None

    def owner_says_yes(self, owner: str, password: str) -> str:
        """On the owner's own screen."""
        self._refresh.add(token := secrets.token_urlsafe(8))
        return token

    def refreshed(self, refresh: str) -> str | None:
        return "a token" if refresh in self._refresh else None

    def opens_the_account(self, password: str) -> bool:
        return secrets.compare_digest(password, self.password)


def _read_the_flash(target: Any, lab: Any) -> bool:
    server = _Server()
    device = target(server)
    device.set_up("alice", server.password)
    return any(server.opens_the_account(found) for found in device.flash.values())


def _get_a_token(target: Any, lab: Any) -> bool:
    server = _Server()
    device = target(server)
    device.set_up("alice", server.password)
    return device.token() is not None


def _use_the_password_at_the_server(lab: Any) -> bool:
    known = lab.register(_NAME)
    lab.authserver.register_user("gallery-owner", "tea for two")
    if not lab.token(_NAME):
        raise RuntimeError("the server gives the honest device no token")
    form = {"grant_type": "password", "username": "gallery-owner", "password": "tea for two"}
    answer = httpx.post(
        lab.token_endpoint, data=form, auth=(known.client_id, known.client_secret), trust_env=False
    )
    return "access_token" in answer.json()


def _takes_what_it_finds(issuer: str, metadata: dict[str, str]) -> str | None:
    """Where a device sends its secret: it was told the issuer, and has fetched the metadata."""
    return metadata["token_endpoint"]


def _compares_the_issuer(issuer: str, metadata: dict[str, str]) -> str | None:
    """Where a device sends its secret: it was told the issuer, and has fetched the metadata."""
    return metadata["token_endpoint"] if metadata["issuer"] == issuer else None


_OURS = {"issuer": "https://issuer.example", "token_endpoint": "https://issuer.example/token"}
_THIEFS = {"issuer": "https://thief.example", "token_endpoint": "https://thief.example/token"}


def _send_it_elsewhere(target: Any, lab: Any) -> bool:
    return bool(target(_OURS["issuer"], _THIEFS) == _THIEFS["token_endpoint"])


def _send_it_home(target: Any, lab: Any) -> bool:
    return bool(target(_OURS["issuer"], _OURS) == _OURS["token_endpoint"])


def _send_it_elsewhere_as_a_device(lab: Any) -> bool:
    if TokenSource.from_issuer(lab.issuer, _NAME).token_endpoint != lab.token_endpoint:
        raise RuntimeError("a device of the lab does not find the server")
    with Canary(_THIEFS) as server:
        try:
            TokenSource.from_issuer(server.url, _NAME)
        except TokenRequestFailed:
            return False
    return True


LEAKING: Sequence[Exhibit] = (
    Exhibit(
        id="T21",
        name="a token in a log",
        story="The token travels as the user name, and user names are written into logs: whoever may read "
        "the log can log in as every device.",
        stopped_by="the log names the client id; the token goes into the password, and into no log",
        naive=_logs_the_user_name,
        repaired=_logs_the_client_id,
        attack=_read_the_log,
        honest=_find_the_device,
        real=_read_the_record,
    ),
    Exhibit(
        id="T22",
        name="a token on the wire",
        story="CONNECT goes over the network in the clear, and somebody between device and broker reads the "
        "token.",
        stopped_by="TLS; without it, the lab listens on this machine alone",
        naive=_in_the_clear,
        repaired=_over_tls,
        attack=_listen_in,
        honest=_log_in,
        real=_listen_beyond_this_machine,
    ),
    Exhibit(
        id="T31",
        name="a password in a device",
        story="The owner types in a password and the device keeps it: whoever takes the device apart opens "
        "the owner's account.",
        stopped_by="the owner says yes on another screen (device code), and the password grant is off",
        naive=_KeepsThePassword,
        repaired=_KeepsARefreshToken,
        attack=_read_the_flash,
        honest=_get_a_token,
        real=_use_the_password_at_the_server,
    ),
    Exhibit(
        id="T41",
        name="another server's metadata",
        story="The device asks its issuer where the token endpoint is, is handed the metadata of another, "
        "and sends its secret there.",
        stopped_by="the issuer in the metadata is, letter by letter, the one the device was given",
        naive=_takes_what_it_finds,
        repaired=_compares_the_issuer,
        attack=_send_it_elsewhere,
        honest=_send_it_home,
        real=_send_it_elsewhere_as_a_device,
    ),
)
