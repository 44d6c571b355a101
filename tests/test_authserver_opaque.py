"""Tokens that say nothing: random, looked up by asking, and forgotten in time.  Spec: RFC 7662."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support_authserver import Party, refused, running

from labkit.authserver import AuthServer, Credentials
from labkit.authserver.opaque import MOST_PER_CLIENT
from labkit.clock import Clock
from labkit.errors import ServiceFailed
from labkit.record import Record


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running(token_format="opaque") as each:
        yield each


def token(party: Party, device: Credentials, **form: str) -> str:
    return str(party.token(device, **form).json()["access_token"])


@pytest.mark.conformance("AS-19")
def test_it_is_random_says_nothing_and_is_never_the_same_twice(party: Party) -> None:
    tokens = {token(party, party.device()) for _ in range(200)}
    assert len(tokens) == 200
    for each in tokens:
        assert re.fullmatch(r"[\w-]{43}", each)  # 256 bits, base64url
        assert "." not in each


@pytest.mark.conformance("AS-36", "AS-39")
def test_what_it_stands_for_is_told_to_who_may_ask(party: Party) -> None:
    device = party.device(lifetime=60)
    answer = party.introspect(text := token(party, device))
    assert answer == {
        "active": True,
        "token_type": "Bearer",
        "iss": party.server.issuer,
        "sub": device.client_id,
        "aud": party.server.audience,
        "client_id": device.client_id,
        "iat": party.clock.now(),
        "exp": party.clock.now() + 60,
        "jti": answer["jti"],
        "scope": " ".join(answer["scope"].split(" ")),
    }
    assert text not in answer["jti"]
    assert party.introspect(text, device) == {"active": False}  # a device is no resource server
    assert party.introspect(text + "x") == {"active": False}
    assert party.introspect(text[:-1]) == {"active": False}


@pytest.mark.conformance("AS-38")
def test_it_dies_by_time_by_revocation_and_with_its_registration() -> None:
    with running(token_format="opaque") as party:
        device = party.device(lifetime=60)
        expiring, returned, revoked = (token(party, device) for _ in range(3))
        assert party.revoke(returned, device).status_code == 200
        assert not party.active(returned)
        assert party.server.revoke(party.introspect(revoked)["jti"])
        assert not party.active(revoked)
        assert refused(party.revoke(expiring, party.device()), "invalid_grant")
        party.clock.advance(seconds=59.999)
        assert party.active(expiring)
        party.clock.advance(seconds=0.001)
        assert not party.active(expiring)
        fresh = token(party, device)
        assert party.server.revoke_client(device.client_id)
        assert not party.active(fresh)
        assert token(party, device)
        party.server.remove(device.client_id)
        assert not party.server._state.tokens._opaque._claims


def test_a_family_of_refresh_tokens_takes_its_opaque_tokens_along() -> None:
    with running(token_format="opaque") as party:
        device, granted = party.granted()
        second = party.refresh(device, granted["refresh_token"]).json()
        assert party.active(granted["access_token"])
        assert refused(party.refresh(device, granted["refresh_token"]), "invalid_grant")  # reuse
        assert not party.active(granted["access_token"])
        assert not party.active(second["access_token"])


def test_a_client_holds_a_bounded_number_and_the_oldest_makes_room() -> None:
    with running(token_format="opaque") as party:
        device, other = party.device(lifetime=300), party.device(lifetime=300)
        kept = token(party, other)
        tokens = [token(party, device) for _ in range(MOST_PER_CLIENT + 1)]
        assert not party.active(tokens[0])
        assert all(map(party.active, (tokens[1], tokens[-1], kept)))
        party.clock.advance(seconds=300)
        token(party, device)
        assert len(party.server._state.tokens._opaque._claims) == 2  # the other's, and the newest


def test_a_database_keeps_them_as_hashes(tmp_path: Path) -> None:
    database = tmp_path / "auth.sqlite"
    with running(token_format="opaque", database=database) as party:
        port = urlsplit(party.server.issuer).port
        device, broker = party.device(), party.broker
        text = token(party, device)
        returned = token(party, device)
        party.revoke(returned, device)
        assert text.encode() not in database.read_bytes()
    with running(database=database, port=port) as party:  # the format may change: both are understood
        assert party.introspect(text, broker)["active"] is True
        assert party.introspect(returned, broker) == {"active": False}
        assert party.introspect(token(party, device), broker)["active"] is True
        assert party.revoke(text, device).status_code == 200
        assert party.introspect(text, broker) == {"active": False}


def test_there_are_two_formats(clock: Clock) -> None:
    with pytest.raises(ServiceFailed, match="jwt or opaque"):
        AuthServer(clock=clock, record=Record(clock.now), token_format="paseto")
