"""How a client proves who it is.  Spec: RFC 6749 §2.3, RFC 7523 §3."""

import base64
import statistics
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support_authserver import JWT_BEARER, Party, basic, new_id, refused, running

from labkit.authserver import Credentials
from labkit.authserver.refusals import Refused
from labkit.authserver.requests import Request
from labkit.errors import RegistrationRefused


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running() as each:
        yield each


def signed(
    party: Party, device: Credentials, key: Any = None, algorithm: str = "ES256", **claims: Any
) -> str:
    """A client assertion; ``None`` leaves a claim out."""
    now = int(party.clock.now())
    everything = {
        "iss": device.client_id,
        "sub": device.client_id,
        "aud": party.server.issuer,
        "exp": now + 60,
        "jti": new_id(),
    } | claims
    present = {name: value for name, value in everything.items() if value is not None}
    return jwt.encode(present, key or device.private_key, algorithm=algorithm)


def assert_with(party: Party, assertion: str, **form: str) -> Any:
    body = {"client_assertion_type": JWT_BEARER, "client_assertion": assertion} | form
    return party.token(None, **body)


@pytest.mark.conformance("AS-04")
def test_basic_credentials_are_form_decoded() -> None:
    with running() as party:
        name, secret = "dev:ice%41~1", "a:b%2B+c d&="
        party.server.register(name, publish=[], subscribe=[], secret=secret)
        assert party.http.post(
            party.server.token_endpoint,
            data={"grant_type": "client_credentials"},
            headers={"authorization": basic(name, secret)},
        ).is_success
        undecoded = base64.b64encode(f"{name}:{secret}".encode()).decode()
        answer = party.http.post(
            party.server.token_endpoint,
            data={"grant_type": "client_credentials"},
            headers={"authorization": "Basic " + undecoded},
        )
        assert refused(answer, "invalid_client")


def test_the_secret_may_come_in_the_body(party: Party) -> None:
    device = party.device()
    form = {"client_id": device.client_id, "client_secret": str(device.client_secret)}
    assert party.token(None, **form).is_success


@pytest.mark.conformance("AS-05")
def test_two_ways_to_authenticate_are_one_too_many(party: Party) -> None:
    device = party.device()
    assert refused(party.token(device, client_secret=str(device.client_secret)), "invalid_request")
    assert refused(party.token(device, client_assertion="x"), "invalid_request")
    assert refused(party.token(device, client_id="another"), "invalid_request")
    assert party.token(device, client_id=device.client_id).is_success
    assert refused(party.token(None, client_secret="x", client_assertion_type="y"), "invalid_request")


@pytest.mark.conformance("AS-12")
@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic /////w==", "Basic eA==", "Basic eDp5", "Basic JWZmOiVmZg==", "basic eDp5",
     "Bearer x", "Digest a=b"],
)  # fmt: skip
def test_a_failed_authorization_header_is_401_with_a_challenge(party: Party, header: str) -> None:
    answer = party.http.post(
        party.server.token_endpoint,
        data={"grant_type": "client_credentials"},
        headers={b"authorization": header.encode("latin-1")},
    )
    assert refused(answer, "invalid_client")
    assert answer.headers["www-authenticate"].startswith('Basic realm="')


def test_an_unknown_client_and_a_wrong_secret_look_the_same(party: Party) -> None:
    device = party.device()
    answers = [
        party.token(Credentials(client_id=name, client_secret="wrong"))
        for name in (device.client_id, "nobody")
    ]
    assert answers[0].content == answers[1].content
    assert dict(answers[0].headers) == dict(answers[1].headers)


def test_an_unknown_client_and_a_wrong_secret_take_as_long(party: Party) -> None:
    device = party.device()
    auth = party.server._core._authenticate

    times: dict[str, list[float]] = {device.client_id: [], "nobody-of-that-name": []}
    for number in range(600):
        for name, taken in times.items():  # in turn, so that a busy machine slows both
            request = Request(form={"client_id": name, "client_secret": "x" * 43}, peer=f"p{number}")
            start = time.perf_counter()
            with pytest.raises(Refused):
                auth(request)
            taken.append(time.perf_counter() - start)
    known, unknown = map(statistics.median, times.values())
    assert abs(known - unknown) < 20e-6


@pytest.mark.conformance("AS-73")
@pytest.mark.parametrize("endpoint", ["token_endpoint", "introspection_endpoint", "revocation_endpoint"])
def test_guessing_a_secret_is_slowed_down_everywhere(party: Party, endpoint: str) -> None:
    device = party.device(secret=f"chosen by a person for {new_id()}")
    url = getattr(party.server, endpoint)
    form = {"grant_type": "client_credentials", "token": "x"}
    guess = Credentials(client_id=device.client_id, client_secret="guess")
    for _ in range(10):
        assert refused(party.post(url, form, guess), "invalid_client")
    answer = party.post(url, form, guess)
    assert refused(answer, "invalid_client", 429)
    assert refused(party.post(url, form, device), "invalid_client", 429)  # right, but not now
    party.clock.advance(seconds=int(answer.headers["retry-after"]))
    assert party.post(url, form, device).is_success


def test_nobody_can_lock_a_device_with_a_random_secret_out(party: Party) -> None:
    device = party.device()
    for _ in range(30):
        answer = party.token(Credentials(client_id=device.client_id, client_secret="guess"))
    assert refused(answer, "invalid_client", 429)
    assert party.token(device).is_success
    party.clock.advance(hours=1)
    assert refused(party.token(Credentials(client_id=device.client_id, client_secret="x")), "invalid_client")


def test_an_unknown_client_is_slowed_down_like_a_known_one(party: Party) -> None:
    stranger = Credentials(client_id=new_id(), client_secret="guess")
    statuses = [party.token(stranger).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


@pytest.mark.conformance("AS-75")
def test_no_two_devices_share_a_secret(party: Party) -> None:
    secrets = {party.device().client_secret for _ in range(50)}
    assert len(secrets) == 50
    party.device(secret="one of a kind")
    with pytest.raises(RegistrationRefused, match="its own"):
        party.device(secret="one of a kind")


@pytest.mark.conformance("AS-27", "AS-58")
def test_a_device_can_sign_instead_of_sending_a_secret(party: Party) -> None:
    device = party.device(auth="private_key_jwt")
    assert device.client_secret is None
    assert assert_with(party, signed(party, device)).is_success
    assert assert_with(party, signed(party, device, aud=party.server.token_endpoint)).is_success
    assert assert_with(party, signed(party, device, aud=["x", party.server.issuer])).is_success
    assert assert_with(party, signed(party, device), client_id=device.client_id).is_success


@pytest.mark.conformance("AS-58", "AS-77")
@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "other"}, {"iss": None}, {"sub": None}, {"sub": "other"}, {"aud": "https://evil.lab"},
        {"aud": None}, {"aud": []}, {"aud": 5}, {"exp": None}, {"exp": 0}, {"exp": "9999999999"},
        {"exp": True}, {"exp": 10**30}, {"exp": 4e9}, {"nbf": 4e9}, {"iat": 4e9}, {"iat": "x"}, {"jti": None},
        {"jti": ""}, {"jti": 5}, {"jti": "x" * 257},
    ],
    ids=str,
)  # fmt: skip
def test_an_assertion_that_fails_any_check_is_an_invalid_client(party: Party, claims: dict[str, Any]) -> None:
    device = party.device(auth="private_key_jwt")
    assert refused(assert_with(party, signed(party, device, **claims)), "invalid_client")


@pytest.mark.conformance("AS-58", "AS-77")
def test_a_forged_assertion_is_an_invalid_client(party: Party) -> None:
    device = party.device(auth="private_key_jwt")
    good = signed(party, device)
    evil = ec.generate_private_key(ec.SECP256R1())
    for assertion in (
        signed(party, device, key=evil),
        signed(party, device, key="x" * 32, algorithm="HS256"),
        jwt.encode({"sub": device.client_id}, None, algorithm="none"),
        good[:-4] + "AAAA",
        good + ".x",
        "é" + good,
        "",
        "..",
        "x" * 10_000,
    ):
        assert refused(assert_with(party, assertion), "invalid_client")
    assert refused(assert_with(party, good, client_assertion_type="urn:x"), "invalid_client")
    assert refused(assert_with(party, good, client_id=party.device().client_id), "invalid_client")
    expired = signed(party, device, exp=int(party.clock.now()))
    assert refused(assert_with(party, expired), "invalid_client")
    stranger = Credentials(client_id="nobody", private_key=device.private_key)
    assert refused(assert_with(party, signed(party, stranger)), "invalid_client")


@pytest.mark.conformance("AS-59")
def test_an_assertion_is_good_once(party: Party) -> None:
    device = party.device(auth="private_key_jwt")
    assertion = signed(party, device)
    assert assert_with(party, assertion).is_success
    assert refused(assert_with(party, assertion), "invalid_client")


def test_each_client_keeps_to_the_way_it_was_registered_for(party: Party) -> None:
    signer = party.device(auth="private_key_jwt")
    assert refused(party.token(Credentials(client_id=signer.client_id, client_secret="x")), "invalid_client")
    assert refused(party.token(Credentials(client_id=signer.client_id)), "invalid_client")
    assert refused(party.token(Credentials(client_id=party.device().client_id)), "invalid_client")


def test_a_repr_shows_no_secret(party: Party) -> None:
    device, signer = party.device(), party.device(auth="private_key_jwt")
    assert str(device.client_secret) not in repr(device)
    assert "PRIVATE" not in repr(signer)


@pytest.mark.parametrize(
    "options",
    [{"auth": "client_secret_jwt"}, {"grants": ["implicit"]}, {"secret": ""}, {"secret": "ü"},
     {"publish": "a/#"}, {"publish": [5]}, {"auth": "private_key_jwt", "secret": "x"}],
    ids=str,
)  # fmt: skip
def test_a_registration_that_makes_no_sense_is_refused(party: Party, options: dict[str, Any]) -> None:
    with pytest.raises(RegistrationRefused):
        party.device(**options)
