"""Asking about tokens, and giving them back.  Spec: RFC 7662, RFC 7009."""

import json
from collections.abc import Iterator

import jwt
import pytest
from support_authserver import DEVICE_CODE, Party, claims_of, refused, running

from labkit.authserver import Credentials
from labkit.authserver.keys import SigningKey, new_private_key
from labkit.errors import RegistrationRefused


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running(resources=["https://other.lab"]) as each:
        yield each


@pytest.fixture
def token(party: Party) -> str:
    return str(party.token(party.device()).json()["access_token"])


@pytest.mark.tells_a_secret("puts a token into a URL, and httpx logs URLs")
@pytest.mark.conformance("AS-35")
def test_only_an_authenticated_caller_hears_anything(party: Party, token: str) -> None:
    url = party.server.introspection_endpoint
    wrong = Credentials(client_id=party.broker.client_id, client_secret="wrong")
    for caller in (None, wrong):
        answer = party.post(url, {"token": token}, caller)
        assert refused(answer, "invalid_client")
        assert "active" not in answer.json()
    assert party.http.get(url, params={"token": token}).status_code == 405
    assert refused(party.post(url, {}, party.broker), "invalid_request")


@pytest.mark.conformance("AS-35")
def test_a_name_alone_is_no_authorization(party: Party, token: str) -> None:
    public = party.device(auth="none", grants=[DEVICE_CODE])
    answer = party.post(party.server.introspection_endpoint, {"token": token}, public)
    assert refused(answer, "invalid_client")


@pytest.mark.conformance("AS-36", "AS-39")
def test_a_good_token_is_active_with_its_own_claims(party: Party, token: str) -> None:
    answer = party.post(party.server.introspection_endpoint, {"token": token}, party.broker)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"active": True, "token_type": "Bearer", **claims_of(token)}


@pytest.mark.conformance("AS-36", "AS-37")
@pytest.mark.parametrize(
    "junk", ["x", "a.b.c", "eyJ.eyJ.x", "é", ".." * 9000, "\x00", "eyJhbGciOiJub25lIn0.e30."]
)
def test_junk_is_inactive_and_nothing_else(party: Party, junk: str) -> None:
    assert party.introspect(junk) == {"active": False}


@pytest.mark.conformance("AS-37", "AS-38")
def test_a_token_that_is_not_good_for_this_caller_is_inactive(party: Party, token: str) -> None:
    inactive = {"active": False}
    other = party.server.register_resource_server("broker-2", audience="https://other.lab")
    device, granted = party.granted()
    elsewhere = party.token(party.device(), resource="https://other.lab").json()["access_token"]
    assert party.introspect(token, other) == inactive
    assert party.introspect(elsewhere, other)["active"] is True
    assert party.introspect(elsewhere) == inactive
    assert party.introspect(token, device) == inactive  # a device is no resource server
    assert party.introspect(granted["refresh_token"]) == inactive
    with pytest.raises(RegistrationRefused, match="resources="):
        party.server.register_resource_server("broker-3", audience="https://unknown.lab")


@pytest.mark.conformance("AS-38")
def test_a_forged_expired_or_revoked_token_is_inactive(party: Party, token: str) -> None:
    current = party.server._state.keys.current
    payload = claims_of(token)

    def told(key: SigningKey, **changed: object) -> bool:
        return party.active(key.sign(json.dumps(payload | changed).encode()))

    assert told(current)
    assert not told(SigningKey.of("ES256", new_private_key("ES256")))
    assert not told(current, iss="https://evil.lab")
    assert not told(current, exp=payload["iat"])
    assert not told(current, jti="no-such-grant.x")
    other_type = jwt.encode(payload, current.private, algorithm="ES256", headers={"kid": current.kid})
    assert not party.active(other_type)
    assert not party.active(token + "=")
    assert not party.active(token[:-8] + "AAAAAAAA")
    assert party.server.revoke(payload["jti"])
    assert not party.active(token)
    assert not party.server.revoke("no-such-grant.x")


@pytest.mark.conformance("AS-38")
def test_a_token_is_active_until_the_second_it_expires(party: Party) -> None:
    token = party.token(party.device(lifetime=60)).json()["access_token"]
    party.clock.advance(seconds=claims_of(token)["exp"] - party.clock.now() - 0.001)
    assert party.active(token)
    party.clock.advance(seconds=0.001)
    assert not party.active(token)


@pytest.mark.conformance("AS-78")
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense", "é"])
def test_a_wrong_hint_does_not_hide_a_token(party: Party, token: str, hint: str) -> None:
    assert party.introspect(token, token_type_hint=hint)["active"] is True


@pytest.mark.conformance("AS-30")
@pytest.mark.parametrize("auth", ["client_secret_basic", "none"])
def test_a_client_gives_back_what_is_its_own(party: Party, auth: str) -> None:
    device, granted = party.granted(auth=auth)
    assert refused(party.revoke(granted["access_token"], None), "invalid_client")
    assert party.http.get(party.server.revocation_endpoint).status_code == 405
    assert refused(party.revoke("", device), "invalid_request")
    assert party.revoke(granted["access_token"], device).status_code == 200
    assert not party.active(granted["access_token"])
    again = party.refresh(device, granted["refresh_token"])
    assert again.is_success
    assert party.revoke(again.json()["refresh_token"], device).status_code == 200
    assert refused(party.refresh(device, again.json()["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("AS-31")
def test_nobody_gives_back_what_is_anothers(party: Party) -> None:
    device, granted = party.granted()
    thief = party.device()
    for name in ("access_token", "refresh_token"):
        assert refused(party.revoke(granted[name], thief), "invalid_grant")
    assert party.active(granted["access_token"])
    assert party.refresh(device, granted["refresh_token"]).is_success


@pytest.mark.conformance("AS-32")
def test_giving_back_what_is_no_longer_good_is_fine(party: Party) -> None:
    device = party.device(lifetime=60)
    token = party.token(device).json()["access_token"]
    for _ in range(2):
        assert party.revoke(token, device).status_code == 200
    expired = party.token(device).json()["access_token"]
    party.clock.advance(seconds=60)
    for each in (expired, "unknown", "a.b.c", "é"):
        assert party.revoke(each, device).status_code == 200


@pytest.mark.conformance("AS-33")
def test_with_the_refresh_token_goes_the_whole_grant(party: Party) -> None:
    heard: list[tuple[str | None, str]] = []
    party.server.on_revoked.append(lambda jti, client_id: heard.append((jti, client_id)))
    device, granted = party.granted()
    second = party.refresh(device, granted["refresh_token"]).json()
    assert party.revoke(second["refresh_token"], device).status_code == 200
    tokens = [granted["access_token"], second["access_token"]]
    assert not any(map(party.active, tokens))
    assert heard == [(claims_of(each)["jti"], device.client_id) for each in tokens]
    party.server.on_revoked.clear()


@pytest.mark.conformance("AS-34")
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense"])
@pytest.mark.parametrize("name", ["refresh_token", "access_token"])
def test_a_wrong_hint_does_not_save_a_token(party: Party, name: str, hint: str) -> None:
    device, granted = party.granted()
    assert party.revoke(granted[name], device, token_type_hint=hint).status_code == 200
    assert not party.active(granted["access_token"])


def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(party: Party) -> None:
    def fails(jti: str | None, client_id: str) -> None:
        raise RuntimeError("a listener's own trouble")

    heard: list[str] = []
    party.server.on_revoked[:] = [fails, lambda jti, client_id: heard.append(client_id)]
    device = party.device()
    token = party.token(device).json()["access_token"]
    assert party.revoke(token, device).status_code == 200
    assert heard == [device.client_id]
    assert party.record.events("token.revoked", client_id=device.client_id)
    party.server.on_revoked.clear()
