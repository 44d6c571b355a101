"""Starting, stopping, keeping: what stays, what goes, and what is never shown."""

import contextlib
import gc
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support_authserver import DEVICE_CODE, Party, claims_of, header_of, refused, running

from labkit.authserver import AuthServer, Credentials
from labkit.authserver.keys import AHEAD, LEAD
from labkit.clock import Clock
from labkit.errors import ServiceFailed
from labkit.record import Record


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "auth.sqlite"


def test_an_outage_loses_nothing() -> None:
    with running() as party:
        device, granted = party.granted()
        issuer = party.server.issuer
        party.server.stop()
        with pytest.raises(httpx.ConnectError):
            party.token(device)
        late = party.device()  # registering needs no running server
        party.server.start()
        assert party.server.issuer == issuer
        assert party.active(granted["access_token"])
        assert party.refresh(device, granted["refresh_token"]).is_success
        assert party.token(late).is_success


def test_urls_are_known_after_the_first_start(clock: Clock) -> None:
    server = AuthServer(clock=clock, record=Record(clock.now))
    with pytest.raises(ServiceFailed, match="start"):
        _ = server.token_endpoint


def test_it_stops_at_once_whatever_hangs_on_it() -> None:
    with running() as party:
        parts = urlsplit(party.server.issuer)
        address = (str(parts.hostname), parts.port or 0)
        hanging = []
        half = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nx="
        head = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\n"
        for start in (b"", head, head + half):
            sock = socket.create_connection(address)
            sock.sendall(start)
            hanging.append(sock)
        assert party.token(party.device()).is_success  # a keep-alive connection, too
        began = time.perf_counter()
        party.server.stop()
        assert time.perf_counter() - began < 0.5
        for sock in hanging:
            sock.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert sock.recv(1000) == b""
            sock.close()


def test_many_starts_and_stops_leave_nothing_behind(clock: Clock) -> None:
    def open_files() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0

    server = AuthServer(clock=clock, record=Record(clock.now))
    server.start().stop()
    files, threads = open_files(), threading.active_count()
    for _ in range(50):
        server.start()
        parts = urlsplit(server.issuer)
        with socket.create_connection((str(parts.hostname), parts.port or 0)) as sock:
            sock.sendall(b"POST /oauth2/token HTTP/1.1\r\n")
            server.stop()
    assert threading.active_count() == threads
    assert open_files() <= files


def test_a_database_keeps_everything_over_a_restart(database: Path) -> None:
    with running(database=database, resources=["https://other.lab"]) as party:
        port = urlsplit(party.server.issuer).port
        device, granted = party.granted()
        second = party.refresh(device, granted["refresh_token"]).json()
        signer = party.device(auth="private_key_jwt")
        revoked = party.token(party.device()).json()["access_token"]
        assert party.server.revoke(claims_of(revoked)["jti"])
        removed = party.device()
        party.server.remove(removed.client_id)
        party.server.rotate_keys()
        broker = party.broker

    with running(database=database, resources=["https://other.lab"], port=port) as party:
        assert party.introspect(second["access_token"], broker) == {
            "active": True,
            "token_type": "Bearer",
            **claims_of(second["access_token"]),
        }
        assert not party.active(revoked)
        assert refused(party.token(removed), "invalid_client")
        assert party.server._state.registry.client(signer.client_id) is not None
        third = party.refresh(device, second["refresh_token"]).json()
        assert third["scope"] == granted["scope"]
        assert refused(party.refresh(device, second["refresh_token"]), "invalid_grant")
        assert not party.active(third["access_token"])
        codes = party.codes(device)
        party.server.approve(codes["user_code"], username="alice")
        assert party.token(device, DEVICE_CODE, device_code=codes["device_code"]).is_success


def test_another_algorithm_keeps_the_old_keys_for_verifying(database: Path) -> None:
    with running(database=database) as party:
        port = urlsplit(party.server.issuer).port
        device = party.device(lifetime=3600)
        token = party.token(device).json()["access_token"]
    for _ in range(2):
        with running(database=database, algorithm="EdDSA", port=port) as party:
            assert party.active(token)
            assert header_of(party.token(device).json()["access_token"])["alg"] == "EdDSA"
            assert len(party.server.keys) == 2 + AHEAD


def test_a_database_keeps_the_keys_and_the_rotation_that_waits(database: Path) -> None:
    with running(database=database) as party:
        before = [(each.role, each.kid) for each in party.server.keys]
    with running(database=database) as party:
        assert sorted((each.role, each.kid) for each in party.server.keys) == sorted(before)
        for _ in range(AHEAD):
            party.server.rotate_keys()
        assert party.server.rotate_keys() == party.clock.now() + LEAD
        before = [(each.role, each.kid) for each in party.server.keys]
    with running(database=database) as party:
        assert sorted((each.role, each.kid) for each in party.server.keys) == sorted(before)
        current = party.server.keys[0].kid
        party.clock.advance(seconds=LEAD - 1)
        assert party.server.keys[0].kid == current
        party.clock.advance(seconds=1)  # as long as it takes, counted from the new start
        assert party.server.keys[0].kid != current


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX thing")
def test_only_the_owner_may_read_the_database(database: Path) -> None:
    with running(database=database):
        assert stat.S_IMODE(database.stat().st_mode) == 0o600
        assert [each.name for each in database.parent.iterdir()] == [database.name]


def test_a_database_holds_no_secret_in_clear(database: Path) -> None:
    with running(database=database) as party:
        device, granted = party.granted()
        signer = party.device(auth="private_key_jwt")
        content = database.read_bytes()
        assert device.client_id.encode() in content
        assert signer.private_key is not None
        for secret in (
            device.client_secret, granted["refresh_token"], granted["access_token"], "wonderland",
            signer.private_key.splitlines()[1],
        ):  # fmt: skip
            assert str(secret).encode() not in content


def test_what_is_no_database_is_refused(tmp_path: Path, clock: Clock) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"no database" * 100)
    for path in (junk, tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(ServiceFailed):
            AuthServer(clock=clock, record=Record(clock.now), database=path)


class _Everything(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def everything() -> Iterator[_Everything]:
    """All that is logged, at DEBUG, by whomever."""
    handler, root = _Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


def test_no_log_line_and_no_event_holds_a_token_or_a_secret(everything: _Everything) -> None:
    with running(password_grant=True) as party:
        device, granted = party.granted()
        owned = party.device(grants=["password"])
        by_password = party.token(owned, "password", username="alice", password="wonderland").json()
        renewed = party.refresh(device, granted["refresh_token"]).json()
        plain = party.device()
        by_secret = party.token(plain).json()
        party.token(Credentials(client_id=plain.client_id, client_secret="a wrong secret"))
        party.token(owned, "password", username="alice", password="a wrong password")
        party.introspect(renewed["access_token"])
        party.revoke(renewed["refresh_token"], device)
        secrets = [
            device.client_secret,
            owned.client_secret,
            plain.client_secret,
            "wonderland",
            "a wrong secret",
        ]
        secrets += ["a wrong password"]
        for each in (granted, by_password, renewed, by_secret):
            secrets += [each["access_token"], each.get("refresh_token", each["access_token"])]
        text = "\n".join([*everything.lines, str(party.record)])
        assert "token.issued" in text
        assert any("Issue token" in line for line in everything.lines)  # Authlib did log
        for secret in secrets:
            assert str(secret) not in text


def test_the_record_tells_the_story() -> None:
    with running() as party:
        device = party.device(lifetime=60)
        token = party.token(device).json()["access_token"]
        issued = party.record.events("token.issued")[-1]
        assert dict(issued.facts) == {
            "client_id": device.client_id,
            "jti": claims_of(token)["jti"],
            "grant": "client_credentials",
            "scopes": 3,
            "lifetime": 60,
            "iat": claims_of(token)["iat"],
        }
        party.token(Credentials(client_id=device.client_id, client_secret="wrong"))
        refused = party.record.events("token.refused", client_id=device.client_id, error="invalid_client")
        assert [(event["status"], event["grant"]) for event in refused] == [(401, "client_credentials")]
        party.http.get(party.server.jwks_uri)
        assert party.record.events("keys.served", keys=1 + AHEAD)
        party.http.get(party.server.metadata_url)
        assert party.record.events("metadata.served", path="/.well-known/oauth-authorization-server")
        party.introspect(token)
        assert party.record.events("introspection", caller=party.broker.client_id, active=True)


def test_the_date_is_the_labs() -> None:
    with running() as party:
        answer = party.http.get(party.server.issuer + "/healthz")
        assert answer.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_a_party_of_one_port_at_a_time() -> None:
    with running() as first, pytest.raises(ServiceFailed, match="port"):
        Party(port=urlsplit(first.server.issuer).port)
