"""The token endpoint: what a request may look like, and what it gets.  Spec: RFC 6749 §3 to §5."""

import re
from collections.abc import Iterator

import pytest
from support_authserver import NEW_YEAR, Party, basic, claims_of, header_of, new_id, refused, running

from labkit.errors import RegistrationRefused, ServiceFailed

OTHER = "https://other.lab"


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running(resources=[OTHER], password_grant=True) as each:
        yield each


@pytest.mark.conformance("AS-01")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_token_comes_by_post_only(party: Party, method: str) -> None:
    device = party.device()
    assert device.client_secret is not None
    answer = party.http.request(
        method,
        party.server.token_endpoint,
        content="grant_type=client_credentials",
        headers={
            "authorization": basic(device.client_id, device.client_secret),
            "content-type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.conformance("AS-02")
def test_parameters_unknown_are_ignored_empty_are_left_out_and_repeated_are_refused(party: Party) -> None:
    device = party.device()
    assert party.token(device, colour="blue").status_code == 200
    assert party.token(device, scope="", resource="").json()["scope"].startswith("mqtt.connect ")
    assert refused(party.token(device, grant=""), "invalid_request")
    for doubled in ("grant_type", "scope", "colour"):
        form = f"grant_type=client_credentials&scope=mqtt.connect&colour=blue&{doubled}="
        assert refused(party.post(party.server.token_endpoint, form, device), "invalid_request")


@pytest.mark.conformance("AS-03")
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_plain_http_is_served_on_loopback_only(party: Party, host: str) -> None:
    from labkit.authserver import AuthServer

    with pytest.raises(ServiceFailed, match="loopback"):
        AuthServer(clock=party.clock, record=party.record, host=host).start()
    assert party.server.issuer.startswith("http://127.0.0.1:")


@pytest.mark.tells_a_secret("puts them into a URL, and httpx logs URLs")
@pytest.mark.conformance("AS-06", "AS-29")
def test_nothing_is_taken_from_the_url(party: Party) -> None:
    device = party.device()
    endpoint = party.server.token_endpoint
    for query in (
        f"grant_type=client_credentials&client_id={device.client_id}&client_secret={device.client_secret}",
        "access_token=x",
        "x",
    ):
        assert refused(
            party.post(f"{endpoint}?{query}", {"grant_type": "client_credentials"}), "invalid_request"
        )
        answer = party.post(f"{endpoint}?{query}", {"grant_type": "client_credentials"}, device)
        assert refused(answer, "invalid_request")
    token = party.token(device).json()["access_token"]
    answer = party.post(f"{party.server.introspection_endpoint}?token={token}", {}, party.broker)
    assert refused(answer, "invalid_request")


@pytest.mark.conformance("AS-07")
def test_client_credentials_are_for_confidential_clients_that_may_use_them(party: Party) -> None:
    assert refused(party.token(None), "invalid_client")
    public = party.device(auth="none", grants=["urn:ietf:params:oauth:grant-type:device_code"])
    assert refused(party.token(public), "unauthorized_client")
    other = party.device(grants=["refresh_token"])
    assert refused(party.token(other), "unauthorized_client")
    with pytest.raises(RegistrationRefused, match="without credentials"):
        party.device(auth="none")


@pytest.mark.conformance("AS-08")
def test_client_credentials_bring_no_refresh_token(party: Party) -> None:
    device = party.device(grants=["client_credentials", "refresh_token"])
    assert set(party.token(device).json()) == {"access_token", "token_type", "expires_in", "scope"}


@pytest.mark.conformance("AS-09", "AS-10")
@pytest.mark.parametrize("lifetime", [1, 300, 3600])
def test_success_is_json_that_nobody_stores_and_says_the_lifetime(party: Party, lifetime: int) -> None:
    answer = party.token(party.device(lifetime=lifetime))
    body = answer.json()
    claims = claims_of(body["access_token"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == claims["exp"] - claims["iat"] == lifetime
    assert type(claims["exp"]) is type(claims["iat"]) is int


@pytest.mark.conformance("AS-10")
def test_errors_are_not_stored_either(party: Party) -> None:
    answer = party.token(None)
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


@pytest.mark.conformance("AS-11")
@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": 'x"y\\z\x00\n'},
        {"grant_type": "grün"},
        {"grant_type": "client_credentials", "scope": 'a"b'},
        {"grant_type": "client_credentials", "scope": "x" * 5000},
        {"grant_type": "client_credentials", "resource": 'urn:"\\'},
    ],
)
def test_error_texts_keep_to_their_characters(party: Party, form: dict[str, str]) -> None:
    answer = party.post(party.server.token_endpoint, form, party.device())
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] in {"unsupported_grant_type", "invalid_scope", "invalid_target"}
    for text in answer.json().values():
        assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,300}", text)


@pytest.mark.conformance("AS-13")
def test_an_unknown_grant_and_a_grant_that_is_not_allowed_are_told_apart(party: Party) -> None:
    device = party.device()
    assert refused(party.token(device, grant="authorization_code"), "unsupported_grant_type")
    assert refused(party.token(device, grant="refresh_token", refresh_token="x"), "unauthorized_client")
    assert refused(party.post(party.server.token_endpoint, {}, device), "invalid_request")


@pytest.mark.conformance("AS-14")
def test_the_answer_says_which_scope_was_granted(party: Party) -> None:
    device = party.device(publish=["a/#"], subscribe=["b"])
    everything = "mqtt.connect mqtt.publish:a/# mqtt.subscribe:b"
    assert party.token(device).json()["scope"] == everything
    assert party.token(device, scope="mqtt.connect").json()["scope"] == "mqtt.connect"
    claims = claims_of(party.token(device, scope="mqtt.connect").json()["access_token"])
    assert claims["scope"] == "mqtt.connect"


def test_no_token_is_made_that_nobody_would_read(party: Party) -> None:
    topics = [f"devices/{number:04}/{'x' * 40}" for number in range(200)]
    with pytest.raises(RegistrationRefused, match="name fewer topics"):
        party.device(publish=topics)
    device = party.device(publish=["devices/#"])
    wanted = " ".join(f"mqtt.publish:{topic}" for topic in topics)
    assert refused(party.token(device, scope=wanted), "invalid_scope")


@pytest.mark.conformance("AS-15")
@pytest.mark.parametrize(
    "scope",
    ["MQTT.connect", "mqtt.connect  mqtt.publish:a/#", " mqtt.connect", "mqtt.connect ", "mqtt.connect\tx",
     'mqtt.publish:"', "mqtt.publish:\\", "mqtt.publish:ü", "mqtt.connect\u00a0mqtt.publish:a/#", "admin"],
)  # fmt: skip
def test_scope_names_are_exact(party: Party, scope: str) -> None:
    device = party.device(publish=["a/#"])
    assert refused(party.token(device, scope=scope), "invalid_scope")


@pytest.mark.conformance("AS-15")
def test_scope_order_is_free_and_topics_that_are_no_scope_cannot_be_registered(party: Party) -> None:
    device = party.device(publish=["a/#"], subscribe=[])
    assert (
        party.token(device, scope="mqtt.publish:a/# mqtt.connect").json()["scope"]
        == "mqtt.publish:a/# mqtt.connect"
    )
    for topic in ("a b", 'a"', "a\\b", "ä", "a/#/b", "", "a+"):
        with pytest.raises(RegistrationRefused):
            party.device(publish=[topic])


@pytest.mark.conformance("AS-25")
def test_a_device_may_ask_for_less_but_not_for_more(party: Party) -> None:
    device = party.device(publish=["devices/x/#"], subscribe=["cmd/+/x"])
    for less in ("mqtt.publish:devices/x/up", "mqtt.publish:devices/x/+/#", "mqtt.subscribe:cmd/a/x"):
        answer = party.token(device, scope=less).json()
        assert answer["scope"] == less
        assert claims_of(answer["access_token"])["aud"] == "https://mqtt.lab"  # one broker
    for more in (
        "mqtt.publish:devices/#",
        "mqtt.publish:#",
        "mqtt.publish:devices/y",
        "mqtt.publish:devices/x/#/a",
        "mqtt.publish:",
        "mqtt.subscribe:cmd/#",
        "mqtt.subscribe:devices/x/up",
        "mqtt.connect:a",
    ):
        assert refused(party.token(device, scope=more), "invalid_scope")


@pytest.mark.conformance("AS-20")
def test_guessing_a_users_password_is_slowed_down(party: Party) -> None:
    device = party.device(grants=["password"])
    party.server.register_user("bob", "builder")
    for _ in range(5):
        assert refused(party.token(device, "password", username="bob", password="wrong"), "invalid_grant")
    answer = party.token(device, "password", username="bob", password="builder")
    assert refused(answer, "invalid_grant", 429)
    party.clock.advance(seconds=int(answer.headers["retry-after"]))
    assert party.token(device, "password", username="bob", password="builder").status_code == 200
    assert refused(party.token(device, "password", username="nobody", password="x"), "invalid_grant")
    assert refused(party.token(device, "password", username="bob"), "invalid_request")


@pytest.mark.conformance("AS-21")
def test_the_password_grant_is_off_by_default() -> None:
    with running() as party:
        device = party.device(grants=["password", "client_credentials"])
        party.server.register_user("bob", "builder")
        answer = party.token(device, "password", username="bob", password="builder")
        assert refused(answer, "unsupported_grant_type")


@pytest.mark.conformance("AS-28")
def test_no_client_can_be_named_like_a_user(party: Party) -> None:
    device = party.device(grants=["password"])
    party.server.register_user("carol", "secret")
    answer = party.token(device, "password", username="carol", password="secret").json()
    assert claims_of(answer["access_token"])["sub"] == "user:carol"
    with pytest.raises(RegistrationRefused, match="marks the users"):
        party.server.register("user:carol")


@pytest.mark.parametrize("name", ["", "a/b", "a+b", "#", "a b", "ü", "a\n", "a\x00", 'a"', "a\\", "x" * 129])
def test_a_client_id_that_could_be_mistaken_is_refused(party: Party, name: str) -> None:
    with pytest.raises(RegistrationRefused):
        party.server.register(name)


@pytest.mark.conformance("AS-52", "AS-54")
def test_the_header_says_access_token_and_the_subject_is_the_client(party: Party) -> None:
    device = party.device()
    token = party.token(device).json()["access_token"]
    assert header_of(token) == {"alg": "ES256", "typ": "at+jwt", "kid": party.server._state.keys.current.kid}
    assert claims_of(token)["sub"] == claims_of(token)["client_id"] == device.client_id


@pytest.mark.conformance("AS-53")
def test_every_token_has_all_claims_and_a_jti_of_its_own(party: Party) -> None:
    device = party.device()
    state = party.server._state
    client = state.registry.client(device.client_id)
    assert client is not None
    assert len({state.grant_to_client(client, None, None).jti for _ in range(10_000)}) == 10_000
    claims = claims_of(party.token(device).json()["access_token"])
    assert set(claims) == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope"}
    assert claims["iss"] == party.server.issuer
    assert claims["iat"] >= NEW_YEAR


@pytest.mark.conformance("AS-55", "AS-69")
def test_the_audience_is_the_resource_asked_for_or_the_default(party: Party) -> None:
    device = party.device()
    assert claims_of(party.token(device).json()["access_token"])["aud"] == "https://mqtt.lab"
    for resource in ("https://mqtt.lab", OTHER):
        assert claims_of(party.token(device, resource=resource).json()["access_token"])["aud"] == resource


@pytest.mark.conformance("AS-68")
@pytest.mark.parametrize(
    "resource", ["mqtt.lab", "/x", "https://mqtt.lab/", "https://mqtt.lab#a", "https://evil.lab", "%"]
)
def test_a_resource_that_is_none_of_ours_is_an_invalid_target(party: Party, resource: str) -> None:
    assert refused(party.token(party.device(), resource=resource), "invalid_target")


@pytest.mark.conformance("AS-80", "AS-56")
def test_no_token_is_for_two_audiences_at_once(party: Party) -> None:
    form = f"grant_type=client_credentials&resource=https://mqtt.lab&resource={OTHER}"
    assert refused(party.post(party.server.token_endpoint, form, party.device()), "invalid_target")
    # What is not a scope of the audience is not granted at all.
    assert refused(party.token(party.device(), scope="mqtt.connect mail.read"), "invalid_scope")
    claims = claims_of(party.token(party.device(), scope="mqtt.connect").json()["access_token"])
    assert claims["scope"] == "mqtt.connect"


@pytest.mark.conformance("AS-81")
def test_two_resources_never_share_an_audience(party: Party) -> None:
    from labkit.authserver import AuthServer

    for names in (["https://mqtt.lab"], [OTHER, OTHER]):
        with pytest.raises(ServiceFailed, match="twice"):
            AuthServer(clock=party.clock, record=party.record, resources=names)
    for bad in ("mqtt.lab", "https://x#y", ""):
        with pytest.raises(ServiceFailed, match="audience"):
            AuthServer(clock=party.clock, record=party.record, audience=bad)


@pytest.mark.conformance("AS-76")
@pytest.mark.parametrize("lifetime", [0, -1, 3601, 1.5, True, "300", None])
def test_a_token_lives_an_hour_at_most(party: Party, lifetime: object) -> None:
    with pytest.raises(RegistrationRefused, match="3600"):
        party.server.register(new_id(), lifetime=lifetime)  # type: ignore[arg-type]


@pytest.mark.conformance("AS-57", "AS-48")
def test_rs256_is_on_offer_with_keys_of_2048_bits() -> None:
    with running(algorithm="RS256") as party:
        token = party.token(party.device()).json()["access_token"]
        assert header_of(token)["alg"] == "RS256"
        assert party.active(token)
        assert all(key.private.key_size >= 2048 for key in party.server._state.keys.published())


@pytest.mark.conformance("AS-49")
def test_no_symmetric_algorithm_is_on_offer(party: Party) -> None:
    from labkit.authserver import AuthServer

    for algorithm in ("HS256", "none", "es256"):
        with pytest.raises(ServiceFailed, match="ES256"):
            AuthServer(clock=party.clock, record=party.record, algorithm=algorithm)
