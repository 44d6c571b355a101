"""The device authorization grant and its page.  Spec: RFC 8628."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support_authserver import DEVICE_CODE, Party, claims_of, refused, running

from labkit.authserver import Credentials


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running() as each:
        each.alice()
        yield each


@pytest.fixture
def device(party: Party) -> Credentials:
    return party.device(grants=[DEVICE_CODE])


def poll(party: Party, device: Credentials, codes: dict[str, Any]) -> httpx.Response:
    return party.token(device, DEVICE_CODE, device_code=codes["device_code"])


def answer(party: Party, codes: dict[str, Any], **changed: str) -> httpx.Response:
    form = {
        "user_code": codes["user_code"],
        "username": "alice",
        "password": "wonderland",
        "answer": "approve",
    }
    return party.post(codes["verification_uri"], form | changed)


@pytest.mark.conformance("AS-62", "AS-64")
def test_a_device_gets_codes_that_nobody_guesses(party: Party, device: Credentials) -> None:
    codes = party.codes(device)
    assert set(codes) == {
        "device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval",
    }  # fmt: skip
    assert codes["interval"] == 5
    assert re.fullmatch(r"[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}", codes["user_code"])
    assert len(codes["device_code"]) >= 43
    assert party.http.get(codes["verification_uri_complete"]).is_success


@pytest.mark.conformance("AS-63")
def test_the_device_waits_slows_down_and_gets_its_token_once(party: Party, device: Credentials) -> None:
    codes = party.codes(device)
    assert refused(poll(party, device, codes), "authorization_pending")
    assert refused(poll(party, device, codes), "slow_down")  # 10 seconds from now on
    party.clock.advance(seconds=9)
    assert refused(poll(party, device, codes), "slow_down")  # 15 seconds
    party.clock.advance(seconds=15)
    assert refused(poll(party, device, codes), "authorization_pending")
    party.server.approve(codes["user_code"].lower().replace("-", " "), username="alice")
    body = poll(party, device, codes).json()
    assert claims_of(body["access_token"])["sub"] == "user:alice"
    assert "refresh_token" in body
    assert refused(poll(party, device, codes), "invalid_grant")


@pytest.mark.conformance("AS-63")
def test_the_owner_may_say_no_or_nothing(party: Party, device: Credentials) -> None:
    codes = party.codes(device)
    party.server.deny(codes["user_code"])
    assert refused(poll(party, device, codes), "access_denied")
    assert refused(poll(party, device, codes), "invalid_grant")
    codes = party.codes(device)
    party.clock.advance(seconds=600)
    with pytest.raises(LookupError):
        party.server.approve(codes["user_code"], username="alice")
    assert refused(poll(party, device, codes), "expired_token")
    assert refused(party.token(device, DEVICE_CODE), "invalid_request")


@pytest.mark.conformance("AS-82")
def test_a_client_with_credentials_authenticates_at_both_endpoints(party: Party, device: Credentials) -> None:
    only_a_name = Credentials(client_id=device.client_id)
    url = party.server.device_authorization_endpoint
    assert refused(party.post(url, {}, only_a_name), "invalid_client")
    codes = party.codes(device)
    party.server.approve(codes["user_code"], username="alice")
    assert refused(poll(party, only_a_name, codes), "invalid_client")
    other = party.device(grants=[DEVICE_CODE])
    assert refused(poll(party, other, codes), "invalid_grant")
    assert poll(party, device, codes).is_success
    assert refused(party.post(url, {}, party.device()), "unauthorized_client")
    assert refused(party.post(url, {"scope": "admin"}, device), "invalid_scope")


@pytest.mark.conformance("AS-64")
def test_guessing_a_user_code_is_slowed_down() -> None:
    with running() as party:
        party.alice()
        codes = party.codes(party.device(grants=[DEVICE_CODE]))
        for _ in range(10):
            assert answer(party, codes, user_code="BBBB-BBBB").status_code == 400
        blocked = answer(party, codes)
        assert blocked.status_code == 429
        party.clock.advance(seconds=int(blocked.headers["retry-after"]))
        assert answer(party, codes).status_code == 200


def test_the_page_takes_an_answer_with_the_owners_password(party: Party, device: Credentials) -> None:
    codes = party.codes(device)
    page = party.http.get(codes["verification_uri_complete"])
    assert codes["user_code"] in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert answer(party, codes, password="wrong").status_code == 403
    assert answer(party, codes, username="nobody").status_code == 403
    assert answer(party, codes, answer="maybe").status_code == 400
    assert refused(poll(party, device, codes), "authorization_pending")
    done = answer(party, codes)
    assert (done.status_code, device.client_id in done.text) == (200, True)
    assert poll(party, device, codes).is_success
    assert answer(party, codes).status_code == 400
    codes = party.codes(device)
    assert answer(party, codes, answer="deny").status_code == 200
    assert refused(poll(party, device, codes), "access_denied")


def test_the_page_takes_no_answer_from_another_site(party: Party, device: Credentials) -> None:
    codes = party.codes(device)
    form = {
        "user_code": codes["user_code"],
        "username": "alice",
        "password": "wonderland",
        "answer": "approve",
    }
    url = codes["verification_uri"]
    for origin in ("https://evil.lab", "null"):
        assert party.post(url, form, headers={"origin": origin}).status_code == 403
    assert party.post(url, form, headers={"origin": party.server.issuer}).status_code == 200


def test_the_page_shows_what_it_was_sent_as_text(party: Party) -> None:
    page = party.http.get(party.server.issuer + "/device", params={"user_code": '"><script>$x</script>'})
    assert "<script>" not in page.text
    assert page.is_success


def test_the_owner_must_be_known_and_the_code_pending(party: Party, device: Credentials) -> None:
    codes = party.codes(device)
    with pytest.raises(LookupError, match="register_user"):
        party.server.approve(codes["user_code"], username="nobody")
    with pytest.raises(LookupError):
        party.server.deny("BBBB-BBBB")


def test_a_client_cannot_pile_up_requests(party: Party) -> None:
    device = party.device(auth="none", grants=[DEVICE_CODE])
    for _ in range(100):
        party.codes(device)
    answer = party.post(party.server.device_authorization_endpoint, {}, device)
    assert refused(answer, "slow_down", 429)
    party.clock.advance(hours=1)
    party.codes(device)
