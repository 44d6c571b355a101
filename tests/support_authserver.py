"""An authorization server with a frozen clock, and a client to talk to it."""

import base64
import contextlib
import itertools
import json
import secrets
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
import jwt

from labkit.authserver import AuthServer, Credentials
from labkit.clock import Clock
from labkit.record import Record

NEW_YEAR = 1_767_225_600.0
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_numbers = itertools.count()


class Party:
    """A running server, its clock and record, and one HTTP connection pool."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock(lambda: NEW_YEAR)
        self.record = Record(self.clock.now)
        self.server = AuthServer(clock=self.clock, record=self.record, **options).start()
        self.http = httpx.Client(trust_env=False, timeout=10.0)
        self.broker = self.server.register_resource_server(new_id())

    def close(self) -> None:
        self.http.close()
        self.server.stop()
        self.clock.close()

    def device(self, **options: Any) -> Credentials:
        """A device of its own for one test."""
        return self.server.register(new_id(), **options)

    def post(
        self, url: str, form: dict[str, Any] | str, who: Credentials | None = None, **more: Any
    ) -> httpx.Response:
        headers = {"content-type": "application/x-www-form-urlencoded"} | more.pop("headers", {})
        if who is not None and who.client_secret is not None:
            headers["authorization"] = basic(who.client_id, who.client_secret)
        elif who is not None:
            assert isinstance(form, dict)
            form = {"client_id": who.client_id, **form}
        content = form if isinstance(form, str) else str(httpx.QueryParams(form))
        return self.http.post(url, content=content, headers=headers, **more)

    def token(
        self, who: Credentials | None, grant: str = "client_credentials", **form: str
    ) -> httpx.Response:
        return self.post(self.server.token_endpoint, {"grant_type": grant, **form}, who)

    def introspect(self, token: str, who: Credentials | None = None, **form: str) -> dict[str, Any]:
        answer = self.post(self.server.introspection_endpoint, {"token": token, **form}, who or self.broker)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def active(self, token: str) -> bool:
        return self.introspect(token)["active"] is True

    def revoke(self, token: str, who: Credentials | None, **form: str) -> httpx.Response:
        return self.post(self.server.revocation_endpoint, {"token": token, **form}, who)

    def granted(self, **options: Any) -> tuple[Credentials, dict[str, Any]]:
        """A device with a refresh token, by a device code that alice approves at once."""
        device = self.device(grants=(DEVICE_CODE,), **options)
        codes = self.codes(device)
        self.alice()
        self.server.approve(codes["user_code"], username="alice")
        answer = self.token(device, DEVICE_CODE, device_code=codes["device_code"])
        assert answer.status_code == 200, answer.text
        return device, answer.json()

    def codes(self, device: Credentials, **form: str) -> dict[str, Any]:
        answer = self.post(self.server.device_authorization_endpoint, form, device)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def alice(self) -> None:
        if not self.server._state.registry.has_user("alice"):
            self.server.register_user("alice", "wonderland")

    def refresh(self, device: Credentials, refresh_token: str, **form: str) -> httpx.Response:
        return self.token(device, "refresh_token", refresh_token=refresh_token, **form)

    def raw(self, request: bytes) -> bytes:
        """What the server answers to exactly these bytes, until it closes or says no more."""
        parts = urlsplit(self.server.issuer)
        assert parts.hostname is not None
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=10) as sock:
            sock.sendall(request)
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while chunk := sock.recv(65536):
                    answer += chunk
                    head, end, body = answer.partition(b"\r\n\r\n")
                    if end and b"content-length: %d\r\n" % len(body) in head + b"\r\n":
                        break
            return answer


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Party]:
    party = Party(**options)
    try:
        yield party
    finally:
        party.close()


def new_id() -> str:
    return f"device-{next(_numbers)}-{secrets.token_hex(3)}"


def basic(client_id: str, secret: str) -> str:
    """RFC 6749 §2.3.1: form-encoded first."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def header_of(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]


def refused(answer: httpx.Response, error: str, status: int | None = None) -> bool:
    """Whether that is a proper error answer with that code."""
    expected = status or (401 if error == "invalid_client" else 400)
    assert (answer.status_code, answer.json().get("error")) == (expected, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    return True
