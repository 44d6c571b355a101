"""What the server publishes: keys and metadata.  Spec: RFC 7517, RFC 7638, RFC 8414."""

import base64
import math
from collections.abc import Iterator
from random import Random
from typing import Any

import jwt
import pytest
from support_authserver import DEVICE_CODE, Party, header_of, running

from labkit.authserver.keys import (
    AHEAD,
    ALGORITHMS,
    JWKS_MAX_AGE,
    LEAD,
    KeyRing,
    SigningKey,
    new_private_key,
    thumbprint,
)
from labkit.authserver.store import Journal
from labkit.clock import Clock


@pytest.fixture(scope="module", params=["ES256", "RS256", "EdDSA"])
def party(request: pytest.FixtureRequest) -> Iterator[Party]:
    with running(algorithm=request.param) as each:
        yield each


def jwks(party: Party) -> list[dict[str, Any]]:
    return party.http.get(party.server.jwks_uri).json()["keys"]  # type: ignore[no-any-return]


@pytest.mark.conformance("AS-45")
def test_every_key_has_its_type_its_id_and_its_one_use(party: Party) -> None:
    keys = jwks(party)
    assert (
        len({key["kid"] for key in keys}) == len(keys) == 1 + AHEAD
    )  # the current one and those that come next
    for key in keys:
        assert (key["use"], key["alg"]) == ("sig", party.server._state.keys.algorithm)
        assert key["kty"] in ("EC", "RSA", "OKP")


@pytest.mark.conformance("AS-46")
def test_no_private_member_is_published(party: Party) -> None:
    for key in jwks(party):
        assert not set(key) & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.mark.conformance("AS-47")
def test_keys_may_be_kept_for_a_stated_time(party: Party) -> None:
    answer = party.http.get(party.server.jwks_uri)
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert party.http.head(party.server.jwks_uri).headers["content-length"] == str(len(answer.content))


@pytest.mark.conformance("AS-50")
def test_numbers_have_their_full_length_and_no_more() -> None:
    def octets(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    for _ in range(600):  # one in 256 begins with a zero octet
        key = SigningKey.of("ES256", new_private_key("ES256"))
        assert len(octets(key.jwk["x"])) == len(octets(key.jwk["y"])) == 32
    rsa = SigningKey.of("RS256", new_private_key("RS256")).jwk
    assert octets(rsa["n"])[0] != 0
    assert rsa["e"] == "AQAB"


@pytest.mark.conformance("AS-51")
def test_the_thumbprint_is_that_of_the_standard(party: Party) -> None:
    example = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebW"
        "KRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJ"
        "ZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniI"
        "qbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert thumbprint(example) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    ed25519 = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }  # RFC 8037 A.3
    assert thumbprint(ed25519) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert all(thumbprint(key) == key["kid"] for key in jwks(party))


def test_a_token_verifies_with_the_published_keys(party: Party) -> None:
    token = party.token(party.device()).json()["access_token"]
    key = next(key for key in jwks(party) if key["kid"] == header_of(token)["kid"])
    jwt.PyJWS().decode(token, jwt.PyJWK(key), algorithms=[key["alg"]])


def test_a_key_is_published_before_it_is_used_and_until_its_last_token_has_expired() -> None:
    with running() as party:
        device = party.device(lifetime=3600)
        before = {key["kid"] for key in jwks(party)}
        old = party.token(device).json()["access_token"]
        party.server.rotate_keys()
        new = party.token(device).json()["access_token"]
        assert header_of(new)["kid"] in before - {header_of(old)["kid"]}
        assert party.active(old)
        assert len(jwks(party)) == 2 + AHEAD
        party.clock.advance(seconds=3599)
        assert party.active(old)
        party.clock.advance(seconds=1)
        assert header_of(old)["kid"] not in {key["kid"] for key in jwks(party)}
        party.server.rotate_keys()
        assert len(party.server._state.keys._retired) == 1


def test_a_ring_has_keys_of_its_algorithm_to_use_now_and_next() -> None:
    for algorithm in ALGORITHMS:
        ring = KeyRing(algorithm, lambda: 0.0, Journal())
        assert {key.algorithm for key in ring.published()} == {algorithm}
        assert ring.current.kid != ring.next.kid
        assert ring.find("unknown") is None
        assert [each.role for each in ring.roles()] == ["current", *["next"] * AHEAD]


class World:
    """A ring, and every set that a relying party may hold.

    It holds one for ``JWKS_MAX_AGE`` seconds in which it could have fetched another, and for as long as it
    likes while the server is down (stale if error).
    """

    def __init__(self) -> None:
        self.now, self.served = 0.0, 0.0
        self.ring = KeyRing("EdDSA", lambda: self.now, Journal())
        self.serving = True
        self.sets: list[tuple[float, set[str]]] = []
        self.ring.serve()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.served += seconds if self.serving else 0

    def turn(self) -> None:
        self.serving = not self.serving
        (self.ring.serve if self.serving else self.ring.pause)()

    def fetch(self) -> None:
        self.sets.append((self.served, {key.kid for key in self.ring.published()}))

    def check(self) -> None:
        kid = self.ring.current.kid
        assert all(kid in kids for at, kids in self.sets if self.served - at < JWKS_MAX_AGE)


@pytest.mark.conformance("RS-44")
def test_however_often_keys_rotate_nobody_meets_a_key_that_they_cannot_know() -> None:
    """Rotations at any pace, relying parties that fetched at any moment, and outages in between."""
    for seed in range(40):
        random, world = Random(seed), World()
        used, most = set(), 0
        for _ in range(300):
            world.wait(random.choice([0, 0, 1, 10, 100, 400]))
            step = random.random()
            if step < 0.4:
                assert world.ring.rotate() >= world.now
            elif step < 0.5:
                world.turn()
            elif world.serving:
                world.fetch()
            if world.serving:
                world.check()
            used.add(world.ring.current.kid)
            most = max(most, len(world.ring.published()))
        assert len(used) > 10  # they do rotate
        assert most <= 2 + AHEAD + AHEAD * (3600 // LEAD + 1) < 50  # and the set stays small


def test_three_rotations_in_a_row_happen_at_once_and_the_fourth_waits_for_its_key(clock: Clock) -> None:
    ring = KeyRing("EdDSA", clock.now, Journal())
    ring.serve()
    seen = [ring.current.kid]
    for _ in range(AHEAD):
        assert ring.rotate() == clock.now()
        seen.append(ring.current.kid)
    assert len(set(seen)) == 1 + AHEAD
    due = ring.rotate()
    assert due == ring.rotate() == clock.now() + LEAD  # asking again changes nothing
    assert ring.current.kid == seen[-1]
    roles = [each.role for each in ring.roles()]
    assert roles == ["current", *["next"] * (AHEAD + 1), *["retired"] * AHEAD]
    clock.advance(seconds=LEAD - 1)
    assert ring.current.kid == seen[-1]
    expected = ring.next.kid
    clock.advance(seconds=1)
    assert ring.current.kid == expected
    assert [each.role for each in ring.roles()].count("next") == AHEAD


def test_a_key_that_nobody_could_fetch_has_not_been_published(clock: Clock) -> None:
    ring = KeyRing("EdDSA", clock.now, Journal())
    ring.serve()
    for _ in range(AHEAD):
        ring.rotate()
    ring.pause()
    clock.advance(hours=1)
    assert ring.rotate() == math.inf  # the server is down: not before it runs
    ring.serve()
    before = ring.current.kid
    clock.advance(seconds=LEAD - 1)
    ring.pause()  # a second too early: it starts again
    ring.serve()
    clock.advance(seconds=LEAD - 1)
    assert ring.current.kid == before
    clock.advance(seconds=1)
    assert ring.current.kid != before


def test_the_server_tells_when_the_new_key_signs(clock: Clock) -> None:
    with running(algorithm="EdDSA") as party:
        device = party.device()
        kids = []
        for _ in range(AHEAD + 1):
            kids.append(header_of(party.token(device).json()["access_token"])["kid"])
            starts_at = party.server.rotate_keys()
        assert len(set(kids)) == AHEAD + 1
        assert starts_at == party.clock.now() + LEAD
        assert [event["wait"] for event in party.record.events("keys.rotation")] == [0.0] * AHEAD + [LEAD]
        party.clock.advance(seconds=LEAD)
        assert header_of(party.token(device).json()["access_token"])["kid"] not in kids
        roles = {each.kid: each.role for each in party.server.keys}
        assert [roles[kid] for kid in kids] == ["retired"] * len(kids)
        assert set(roles) == {key["kid"] for key in jwks(party)}


@pytest.mark.conformance("AS-42")
def test_the_metadata_is_where_the_standard_puts_it(party: Party) -> None:
    answer = party.http.get(party.server.issuer + "/.well-known/oauth-authorization-server")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert party.server.metadata_url == str(answer.url)
    alias = party.http.get(party.server.issuer + "/.well-known/openid-configuration")
    assert alias.json() == answer.json()


@pytest.mark.conformance("AS-43", "AS-29", "AS-79")
@pytest.mark.parametrize("password_grant", [False, True])
def test_all_that_is_listed_works_and_all_that_works_is_listed(password_grant: bool) -> None:
    with running(password_grant=password_grant) as party:
        metadata = party.http.get(party.server.metadata_url).json()
        assert metadata["issuer"] == party.server.issuer
        for name in ("token", "introspection", "revocation", "device_authorization"):
            url = metadata[f"{name}_endpoint"]
            assert url == getattr(party.server, f"{name}_endpoint")
            assert party.post(url, {}).json()["error"] in ("invalid_client", "invalid_request")
        assert metadata["jwks_uri"] == party.server.jwks_uri
        device = party.device(grants=["client_credentials", "refresh_token", "password", DEVICE_CODE])
        for grant in ("client_credentials", "refresh_token", "password", DEVICE_CODE, "authorization_code"):
            error = party.token(device, grant).json().get("error")
            assert (error != "unsupported_grant_type") is (grant in metadata["grant_types_supported"])
        assert metadata["scopes_supported"] == ["mqtt.connect"]
        for name in ("token", "introspection", "revocation"):
            methods = metadata[f"{name}_endpoint_auth_methods_supported"]
            assert {"client_secret_basic", "client_secret_post", "private_key_jwt"} <= set(methods)
            assert metadata[f"{name}_endpoint_auth_signing_alg_values_supported"] == ["ES256"]


@pytest.mark.conformance("AS-44")
def test_only_the_required_member_may_be_empty(party: Party) -> None:
    metadata = party.http.get(party.server.metadata_url).json()
    assert [name for name, value in metadata.items() if not value] == ["response_types_supported"]
