"""Refresh tokens: one use each, and a family that dies of a second.  Spec: RFC 6749 §6, RFC 9700 §4.14.2."""

import concurrent.futures
from collections.abc import Iterator

import pytest
from support_authserver import DEVICE_CODE, Party, claims_of, refused, running


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running(resources=["https://other.lab"], password_grant=True) as each:
        yield each


@pytest.mark.conformance("AS-16")
def test_a_refresh_token_belongs_to_its_client(party: Party) -> None:
    device, first = party.granted()
    other, _ = party.granted()
    assert refused(party.refresh(other, first["refresh_token"]), "invalid_grant")
    assert party.refresh(device, first["refresh_token"]).is_success  # not used up by the thief
    assert refused(party.refresh(device, "unknown"), "invalid_grant")
    assert refused(party.token(device, "refresh_token"), "invalid_request")


@pytest.mark.conformance("AS-17", "AS-74")
def test_a_refresh_may_ask_for_less_for_once_but_never_for_more(party: Party) -> None:
    device, first = party.granted(publish=["a/#"], subscribe=[])
    assert refused(party.refresh(device, first["refresh_token"], scope="mqtt.publish:#"), "invalid_scope")
    second = party.refresh(device, first["refresh_token"], scope="mqtt.connect").json()
    assert second["scope"] == claims_of(second["access_token"])["scope"] == "mqtt.connect"
    third = party.refresh(device, second["refresh_token"]).json()
    assert third["scope"] == first["scope"] == "mqtt.connect mqtt.publish:a/#"


@pytest.mark.conformance("AS-18")
def test_a_confidential_client_authenticates_to_refresh(party: Party) -> None:
    device, first = party.granted()
    form = {"refresh_token": first["refresh_token"], "client_id": device.client_id}
    assert refused(party.token(None, "refresh_token", **form), "invalid_client")
    assert party.refresh(device, first["refresh_token"]).is_success


@pytest.mark.conformance("AS-19")
def test_secrets_are_long_and_random(party: Party) -> None:
    device, first = party.granted()
    codes = party.codes(device)
    assert device.client_secret is not None
    for text in (device.client_secret, first["refresh_token"], codes["device_code"]):
        assert len(text) >= 43  # 256 bits of base64url


@pytest.mark.conformance("AS-22")
def test_the_refresh_token_of_a_public_client_rotates(party: Party) -> None:
    device, first = party.granted(auth="none")
    second = party.refresh(device, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert refused(party.refresh(device, first["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("AS-23")
def test_a_second_use_kills_the_family(party: Party) -> None:
    device, first = party.granted()
    second = party.refresh(device, first["refresh_token"]).json()
    assert party.active(second["access_token"])
    assert refused(party.refresh(device, first["refresh_token"]), "invalid_grant")
    assert refused(party.refresh(device, second["refresh_token"]), "invalid_grant")
    assert not party.active(second["access_token"])
    assert not party.active(first["access_token"])
    assert party.record.events("refresh.reused", client_id=device.client_id)


@pytest.mark.conformance("AS-23")
def test_of_twelve_at_once_one_wins_and_the_rest_kill_the_family(party: Party) -> None:
    for _ in range(5):
        device, first = party.granted()
        with concurrent.futures.ThreadPoolExecutor(12) as crowd:
            uses = [crowd.submit(party.refresh, device, first["refresh_token"]) for _ in range(12)]
        answers = [use.result() for use in uses]
        won = [answer.json() for answer in answers if answer.is_success]
        assert len(won) == 1
        assert all(refused(answer, "invalid_grant") for answer in answers if not answer.is_success)
        assert refused(party.refresh(device, won[0]["refresh_token"]), "invalid_grant")
        assert not party.active(won[0]["access_token"])


@pytest.mark.conformance("AS-24")
def test_a_refresh_token_that_rests_or_serves_too_long_ends(party: Party) -> None:
    with running() as fresh:
        device, first = fresh.granted()
        fresh.clock.advance(hours=24)
        assert refused(fresh.refresh(device, first["refresh_token"]), "invalid_grant")
        device, last = fresh.granted()
        for _ in range(31):
            fresh.clock.advance(hours=23)
            last = fresh.refresh(device, last["refresh_token"]).json()
        fresh.clock.advance(hours=23)
        assert refused(fresh.refresh(device, last["refresh_token"]), "invalid_grant")
        fresh.granted()  # sweeps
        assert not fresh.server._state.families.find(first["refresh_token"])


@pytest.mark.conformance("AS-24")
def test_a_new_secret_a_new_password_or_a_removal_ends_what_was_granted(party: Party) -> None:
    heard: list[tuple[str | None, str]] = []
    party.server.on_revoked.append(lambda jti, client_id: heard.append((jti, client_id)))

    device, first = party.granted()
    party.server.register(device.client_id, grants=[DEVICE_CODE])
    assert not party.active(first["access_token"])
    assert heard[-1] == (None, device.client_id)

    device, first = party.granted()
    party.server.remove(device.client_id)
    assert not party.active(first["access_token"])
    assert heard[-1] == (None, device.client_id)

    device, first = party.granted()
    assert party.server.revoke_client(device.client_id)
    assert refused(party.refresh(device, first["refresh_token"]), "invalid_grant")
    assert heard[-1] == (None, device.client_id)

    party.server.register_user("dora", "explorer")
    device = party.device(grants=["password"])
    first = party.token(device, "password", username="dora", password="explorer").json()
    party.server.register_user("dora", "another")
    assert refused(party.refresh(device, first["refresh_token"]), "invalid_grant")
    assert heard[-1] == (claims_of(first["access_token"])["jti"], device.client_id)
    party.server.on_revoked.clear()


def test_a_refresh_keeps_to_the_resource_of_the_grant(party: Party) -> None:
    device, first = party.granted()
    answer = party.refresh(device, first["refresh_token"], resource="https://other.lab")
    assert refused(answer, "invalid_target")
    again = party.refresh(device, first["refresh_token"], resource="https://mqtt.lab").json()
    assert claims_of(again["access_token"])["aud"] == "https://mqtt.lab"
    assert claims_of(again["access_token"])["sub"] == "user:alice"
