"""Asking the authorization server, against a real HTTP server that answers well and badly."""

import base64
import datetime
import ipaddress
import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from support_tokens import (
    AUDIENCE,
    CLIENT,
    ISSUER,
    MISSING,
    NOW,
    Answers,
    claims,
    frozen,
    http_server,
    private_key,
    token,
)

from labkit.clock import Clock
from labkit.errors import InvalidToken, NotAllowed, TokenRejected, Undecided
from labkit.tokens import INTROSPECTION_CHECKS, IntrospectionClient

OPAQUE = "2YotnFZFEjr1zCsicMWpAA"


def answer(server: Answers, **changes: Any) -> None:
    server.body = json.dumps(claims(**{"active": True, "token_type": "Bearer"} | changes)).encode()


@pytest.fixture
def server() -> Iterator[Answers]:
    with http_server() as answers:
        answer(answers)
        yield answers


@pytest.fixture
def now() -> Clock:
    return frozen()


@pytest.fixture
def client(server: Answers, now: Clock) -> Iterator[IntrospectionClient]:
    with asking(server, now) as asker:
        yield asker


def asking(server: Answers, clock: Clock | None = None, **settings: Any) -> IntrospectionClient:
    settings.setdefault("timeout", 5.0)
    return IntrospectionClient(
        server.url, "broker", "s3cret", ISSUER, AUDIENCE, clock=clock or frozen(), **settings
    )


def refusal(client: IntrospectionClient, text: Any = OPAQUE, client_id: str | None = CLIENT) -> TokenRejected:
    with pytest.raises(TokenRejected) as refused:
        client.validate(text, client_id=client_id)
    explanation = client.explain(text, client_id=client_id)
    assert explanation.refusal is not None
    return refused.value


def test_an_opaque_token_becomes_facts(client: IntrospectionClient, server: Answers) -> None:
    facts = client.validate(OPAQUE.encode(), client_id=CLIENT)
    assert (facts.issuer, facts.client_id, facts.jti) == (ISSUER, CLIENT, "b7a1")
    assert (facts.algorithm, facts.key_id) == ("introspection", None)
    assert facts.permissions.may_publish(f"devices/{CLIENT}/up")
    method, _, headers, body = server.requests[0]
    assert method == "POST"
    assert parse_qs(body.decode()) == {"token": [OPAQUE], "token_type_hint": ["access_token"]}
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"broker:s3cret").decode()
    assert headers["Accept"] == "application/json"


def test_a_jwt_can_be_asked_about_as_well(client: IntrospectionClient) -> None:
    assert client.validate(token(), client_id=CLIENT).subject == CLIENT
    assert str(client.explain(token(), client_id=CLIENT)).endswith("accepted")


def test_the_credentials_are_form_encoded_before_they_go_into_the_header(server: Answers) -> None:
    with IntrospectionClient(server.url, "a:b ü", "p%w+/", ISSUER, AUDIENCE, clock=frozen()) as client:
        client.validate(OPAQUE)
    sent = base64.b64decode(server.requests[0][2]["Authorization"].removeprefix("Basic "))
    assert sent == b"a%3Ab+%C3%BC:p%25w%2B%2F"


@pytest.mark.conformance("RS-31")
@pytest.mark.parametrize(
    "active", [False, "true", "True", 1, 1.0, None, [], [True], {}, "", "active", MISSING]
)
def test_only_json_true_is_active(client: IntrospectionClient, server: Answers, active: Any) -> None:
    answer(server, active=active)
    error = refusal(client)
    assert (error.reason, error.return_code) == ("inactive", 4)
    answer(server)  # a refusal is not kept
    client.validate(OPAQUE, client_id=CLIENT)


@pytest.mark.conformance("RS-34")
@pytest.mark.parametrize(
    ("changes", "claim", "leaf"),
    [
        ({"iss": "https://other"}, "iss", InvalidToken),
        ({"iss": MISSING}, "iss", InvalidToken),
        ({"aud": "https://other"}, "aud", InvalidToken),
        ({"aud": MISSING}, "aud", InvalidToken),
        ({"aud": [AUDIENCE, 1]}, "aud", InvalidToken),
        ({"exp": NOW}, "exp", InvalidToken),
        ({"exp": MISSING}, "exp", InvalidToken),
        ({"exp": "9999999999"}, "exp", InvalidToken),
        ({"exp": True}, "exp", InvalidToken),
        ({"nbf": NOW + 1}, "nbf", InvalidToken),
        ({"iat": NOW + 1}, "iat", InvalidToken),
        ({"client_id": MISSING}, "client_id", InvalidToken),
        ({"client_id": ""}, "client_id", InvalidToken),
        ({"client_id": "mallory"}, "client_id", NotAllowed),
        ({"sub": MISSING}, "sub", InvalidToken),
        ({"jti": 5}, "jti", InvalidToken),
        ({"scope": ["mqtt.connect"]}, "scope", InvalidToken),
        ({"scope": MISSING}, "scope", NotAllowed),
        ({"token_type": "DPoP"}, "token_type", InvalidToken),
        ({"token_type": None}, "token_type", InvalidToken),
        ({"cnf": {"jkt": "a"}}, "cnf", InvalidToken),
    ],
)
def test_the_answer_is_checked_like_the_claims_of_a_jwt(
    client: IntrospectionClient,
    server: Answers,
    changes: dict[str, Any],
    claim: str,
    leaf: type[TokenRejected],
) -> None:
    answer(server, **changes)
    error = refusal(client)
    assert (error.claim, type(error)) == (claim, leaf)


def test_what_a_server_may_leave_out_or_write_otherwise(client: IntrospectionClient, server: Answers) -> None:
    answer(server, token_type="bearer", jti=MISSING, nbf=NOW, username="x", extension=[1])
    facts = client.validate(OPAQUE, client_id=CLIENT)
    assert facts.jti.startswith("sha256:")
    assert OPAQUE not in facts.jti
    answer(server, token_type=MISSING)
    client.validate("another", client_id=CLIENT)


@pytest.mark.conformance("RS-32")
def test_an_answer_is_kept_for_a_while_and_never_past_exp(
    client: IntrospectionClient, server: Answers, now: Clock
) -> None:
    answer(server, exp=NOW + 15)
    for _ in range(5):
        client.validate(OPAQUE, client_id=CLIENT)
    assert len(server.requests) == 1
    assert client.ready_for(OPAQUE)
    now.advance(seconds=9)
    client.validate(OPAQUE, client_id=CLIENT)
    assert len(server.requests) == 1
    now.advance(seconds=1)
    assert not client.ready_for(OPAQUE)
    client.validate(OPAQUE, client_id=CLIENT)
    assert len(server.requests) == 2
    now.advance(seconds=5)  # exp comes before the ttl has passed
    assert not client.ready_for(OPAQUE)
    assert refusal(client).reason == "expired"


@pytest.mark.conformance("RS-32")
def test_a_kept_answer_is_judged_anew_each_time(client: IntrospectionClient, server: Answers) -> None:
    client.validate(OPAQUE, client_id=CLIENT)
    assert refusal(client, client_id="mallory").reason == "wrong-client"
    assert len(server.requests) == 1


@pytest.mark.conformance("RS-32")
def test_what_is_kept_is_bounded_and_names_no_token(server: Answers, now: Clock) -> None:
    with asking(server, now, max_answers=5) as client:
        for number in range(50):
            client.validate(f"token-{number}", client_id=CLIENT)
        assert len(client._answers) == 5
        assert all(isinstance(name, bytes) and len(name) == 32 for name in client._answers)
        assert client.ready_for("token-49")
        assert not client.ready_for("token-0")
    with asking(server, now, ttl=0) as client:
        client.validate(OPAQUE)
        client.validate(OPAQUE)
        assert len(client._answers) == 0
    assert len(server.requests) == 52


def test_a_revoked_token_dies_with_the_kept_answer(
    client: IntrospectionClient, server: Answers, now: Clock
) -> None:
    client.validate(OPAQUE, client_id=CLIENT)
    answer(server, active=False)
    now.advance(seconds=10)
    assert refusal(client).reason == "inactive"


@pytest.mark.conformance("RS-33")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: setattr(s, "status", 500),
        lambda s: setattr(s, "status", 400),
        lambda s: setattr(s, "status", 201),
        lambda s: s.__dict__.update(status=307, headers={"Location": s.url}),
        lambda s: setattr(s, "body", b""),
        lambda s: setattr(s, "body", b"true"),
        lambda s: setattr(s, "body", b'{"active":true'),
        lambda s: setattr(s, "body", b'{"active":false,"active":true}'),
        lambda s: setattr(s, "body", b'{"active":true,"x":"' + b"y" * 300_000 + b'"}'),
        lambda s: setattr(s, "body", '{"active":true}'.encode("utf-16")),
        lambda s: setattr(s, "headers", {"Content-Encoding": "deflate"}),
        lambda s: setattr(s, "headers", {"Content-Length": "9999"}),
    ],
)
def test_without_an_answer_the_door_stays_shut_and_nothing_is_kept(
    server: Answers, now: Clock, spoil: Callable[[Answers], None]
) -> None:
    good = (server.status, server.headers, server.body)
    with asking(server, now, timeout=1.0) as client:
        spoil(server)
        error = refusal(client)
        assert isinstance(error, Undecided)
        assert (error.reason, error.return_code) == ("introspection-unavailable", 3)
        server.status, server.headers, server.body = good
        client.validate(OPAQUE, client_id=CLIENT)


@pytest.mark.conformance("RS-33")
def test_a_server_that_is_gone_or_silent_is_given_up(server: Answers) -> None:
    with http_server() as gone:
        pass
    with asking(gone) as client:
        assert refusal(client).reason == "introspection-unavailable"
    server.gate.clear()
    with asking(server, timeout=0.2) as client:
        started = time.monotonic()
        assert refusal(client).reason == "introspection-unavailable"
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_secret_of_the_broker_is_told_apart(
    client: IntrospectionClient, server: Answers, status: int
) -> None:
    server.status = status
    error = refusal(client)
    assert isinstance(error, Undecided)
    assert "client_secret" in error.hint


@pytest.mark.parametrize("text", ["", "a\nb", "é", b"\xff", "a\0", "\ud800", None, 5, "x" * 16_385])
def test_what_is_no_token_is_refused_without_asking(
    client: IntrospectionClient, server: Answers, text: Any
) -> None:
    assert client.ready_for(text)
    assert refusal(client, text).reason in ("malformed", "too-long")
    assert server.requests == []


@pytest.mark.conformance("RS-35")
def test_no_secret_and_no_token_in_any_text(client: IntrospectionClient, server: Answers) -> None:
    jwt = token()
    texts = [repr(client), repr(client.validate(jwt)), str(client.explain(jwt))]
    server.body = b"no"
    for text in (OPAQUE, jwt + "x"):
        texts += [str(refusal(client, text)), repr(vars(refusal(client, text))), str(client.explain(text))]
    for text in texts:
        for secret in (OPAQUE, jwt, jwt.rpartition(".")[2], "s3cret"):
            assert secret not in text


def test_the_rows_are_those_of_the_table() -> None:
    names = [check.name for check in INTROSPECTION_CHECKS]
    assert names[:4] == ["length", "text", "active", "token_type"]
    assert names[4:] == [
        "iss", "exp", "nbf", "iat", "lifetime", "aud", "sub", "client_id", "jti", "scope", "cnf",
        "required scopes", "client binding",
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["http://example.org/introspect", "ftp://a", "", "https://u:p@example.org/"])
def test_the_secret_is_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        IntrospectionClient(url, "broker", "s3cret", ISSUER, AUDIENCE)


def certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate for ``host`` that is its own authority, and a server's context with it."""
    key = private_key("ES256", "tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{host}.pem", folder / f"{host}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


@pytest.mark.conformance("RS-34")
def test_the_certificate_of_the_server_is_checked_before_the_secret_is_sent(tmp_path: Path) -> None:
    trusted, context = certificate(tmp_path, "127.0.0.1")
    other, wrong_host = certificate(tmp_path, "127.0.0.2")
    with http_server(context) as server:
        answer(server)
        with asking(server, ca_file=trusted) as client:
            assert client.validate(OPAQUE).client_id == CLIENT
        for settings in ({}, {"ca_file": other}):
            with asking(server, **settings) as client:
                assert refusal(client).reason == "introspection-unavailable"
        assert len(server.requests) == 1
    with http_server(wrong_host) as server, asking(server, ca_file=other) as client:
        assert refusal(client).reason == "introspection-unavailable"
        assert server.requests == []


def test_a_token_that_expires_while_the_server_thinks_is_refused(
    client: IntrospectionClient, server: Answers, now: Clock
) -> None:
    slow = json.dumps(claims(active=True, exp=NOW + 5)).encode()

    def thinks(_: bytes) -> bytes:
        now.advance(seconds=5)
        return slow

    server.body = thinks
    with pytest.raises(InvalidToken, match="expired"):
        client.validate(OPAQUE, client_id=CLIENT)
