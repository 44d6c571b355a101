"""Whatever is sent, the answer is one a client can read, and never a 5xx."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_authserver import DEVICE_CODE, JWT_BEARER, Party, basic, refused, running

from labkit.authserver import listener, requests

PATHS = [
    "/oauth2/token",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/device_authorization",
    "/device",
]
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def party() -> Iterator[Party]:
    with running() as each:
        yield each


@pytest.fixture(scope="module")
def device(party: Party) -> Any:
    return party.device(grants=["client_credentials", DEVICE_CODE])


def post(body: bytes, *headers: bytes, path: str = "/oauth2/token", length: int | None = None) -> bytes:
    lines = [
        b"POST " + path.encode() + b" HTTP/1.1",
        b"Host: localhost",
        b"Content-Length: %d" % (len(body) if length is None else length),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer[9:12])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"grant_type": "client_credentials"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("text/plain", b"grant_type=client_credentials"),
        ("", b"grant_type=client_credentials"),
        (FORM, b"grant_type=client_credentials&x=%ff"),
        (FORM, b"grant_type=client_credentials&x=%ed%a0%80"),
        (FORM, "grant_type=client_credentials&x=é".encode()),
        (FORM, b"\x1f\x8b\x08\x00"),
        (FORM, b"&".join(b"a%d=1" % n for n in range(101))),
        (FORM, b""),
    ],
)
def test_what_is_no_form_is_an_invalid_request(
    party: Party, device: Any, content_type: str, body: bytes
) -> None:
    answer = party.http.post(
        party.server.token_endpoint,
        content=body,
        headers={
            "content-type": content_type,
            "authorization": basic(device.client_id, device.client_secret),
        },
    )
    assert refused(answer, "invalid_request")


def test_parameters_of_the_content_type_do_no_harm(party: Party, device: Any) -> None:
    answer = party.post(
        party.server.token_endpoint,
        {"grant_type": "client_credentials"},
        device,
        headers={"content-type": "Application/X-WWW-Form-Urlencoded ; charset=UTF-8"},
    )
    assert answer.is_success


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_too_long_is_413(party: Party, path: str) -> None:
    form_type = b"Content-Type: " + FORM.encode()
    announced = party.raw(post(b"x=1", form_type, path=path, length=10**12))
    assert status(announced) == 413
    assert json.loads(announced.partition(b"\r\n\r\n")[2])["error"] == "invalid_request"
    chunk = b"x" * 40_000
    chunked = (
        b"POST "
        + path.encode()
        + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + form_type
        + b"\r\n\r\n"
    )
    chunked += (b"%x\r\n" % len(chunk) + chunk + b"\r\n") * 2 + b"0\r\n\r\n"
    assert status(party.raw(chunked)) == 413


def test_two_of_a_header_are_refused(party: Party, device: Any) -> None:
    credentials = basic(device.client_id, device.client_secret).encode()
    answer = party.raw(
        post(
            b"grant_type=client_credentials",
            b"Content-Type: " + FORM.encode(),
            b"Authorization: " + credentials,
            b"Authorization: Basic eDp5",
        )
    )
    assert status(answer) == 400


def test_half_a_form_does_not_count(party: Party) -> None:
    owner, granted = party.granted()
    form = f"grant_type=refresh_token&refresh_token={granted['refresh_token']}".encode()
    credentials = b"Authorization: " + basic(owner.client_id, str(owner.client_secret)).encode()
    request = post(form, b"Content-Type: " + FORM.encode(), credentials, length=len(form) + 10)
    assert party.raw(request) == b""
    assert party.refresh(owner, granted["refresh_token"]).is_success


def test_a_token_nested_too_deep_is_only_inactive(party: Party) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=")
    assert party.introspect(f"{deep}.{deep}.{deep}") == {"active": False}
    assertion = {"client_assertion_type": JWT_BEARER, "client_assertion": f"{deep[:4000]}.{deep[:4000]}.x"}
    assert refused(party.token(None, **assertion), "invalid_client")


def test_what_is_not_there_is_said_in_json(party: Party) -> None:
    for path in ("/", "/oauth2", "/oauth2/token/", "/%2e%2e/etc/passwd", "/oauth2/authorize"):
        answer = party.http.get(party.server.issuer + path)
        assert answer.status_code == 404
        assert answer.json()["error"] == "not_found"
    assert party.http.get(party.server.issuer + "/healthz").json() == {"status": "ok"}
    assert set(party.http.post(party.server.jwks_uri).headers["allow"].split(", ")) == {"GET", "HEAD"}


NAMES = [
    "grant_type", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type",
    "resource", "refresh_token", "device_code", "token", "token_type_hint", "user_code", "username", "answer",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["client_credentials", "refresh_token", "password", DEVICE_CODE, JWT_BEARER, "approve", "a.b.c"]
    ),
    st.text(max_size=40),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    form=st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=10)), VALUES), max_size=6),
    known=st.booleans(),
)
def test_any_form_gets_a_proper_answer(
    party: Party, device: Any, path: str, form: list[tuple[str, str]], known: bool
) -> None:
    from urllib.parse import urlencode

    body = urlencode(form, errors="surrogatepass")
    answer = party.post(party.server.issuer + path, body, device if known else None)
    assert answer.status_code < 500
    if path != "/device" and not answer.is_success:
        assert set(answer.json()) <= {"error", "error_description"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=200),
    authorization=st.binary(max_size=60),
    content_type=st.one_of(st.just(FORM.encode()), st.binary(max_size=40)),
)
def test_any_bytes_get_an_answer_below_500(
    party: Party, path: str, body: bytes, authorization: bytes, content_type: bytes
) -> None:
    request = post(body, b"Authorization: " + authorization, b"Content-Type: " + content_type, path=path)
    answer = party.raw(request)
    assert status(answer) < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_at_all_do_no_harm(party: Party, junk: bytes) -> None:
    answer = party.raw(junk)
    assert answer == b"" or status(answer) < 500
    assert party.http.get(party.server.issuer + "/healthz").is_success


def test_an_endless_head_is_cut_off(party: Party) -> None:
    answer = party.raw(b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 1000 + b"\r\nX-Long: " + b"z" * 100_000)
    assert answer == b""


async def hang(party: Party, start: bytes, then: bytes = b"") -> bytes:
    """Send ``start``, after the first answer ``then``, and stay; what comes until the server hangs up."""
    parts = urlsplit(party.server.issuer)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(start)
    try:
        async with asyncio.timeout(5):
            answer = b""
            if then:
                answer = await reader.readuntil(b"}")
                writer.write(then)
            return answer + await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_a_head_that_never_ends_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_HEAD_TIME", 0.05)
    with running() as party:
        for start in (b"", b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nX: "):
            assert asyncio.run(hang(party, start)) == b""
        whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        assert status(asyncio.run(hang(party, whole + b"GET /healthz HTTP/1.1\r\n"))) == 200


@pytest.mark.parametrize("rest", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    monkeypatch.setattr(requests, "MAX_BODY_TIME", 0.05)
    monkeypatch.setattr(listener, "MAX_HEAD_TIME", 0.05)
    head = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: " + FORM.encode() + b"\r\n"
    with running() as party:
        assert status(asyncio.run(hang(party, head + rest + b"\r\n"))) == 408


@pytest.mark.parametrize(
    ("start", "then"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", b"a"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na", b"a"),
    ],
)
def test_whoever_says_little_after_an_answer_does_not_stay(
    monkeypatch: pytest.MonkeyPatch, start: bytes, then: bytes
) -> None:
    monkeypatch.setattr(listener, "MAX_HEAD_TIME", 0.05)
    monkeypatch.setattr(listener, "MAX_IDLE_TIME", 0.05)
    with running() as party:
        assert asyncio.run(hang(party, start, then)).count(b"HTTP/1.1") == 1


def test_trailers_are_no_headers(party: Party, device: Any) -> None:
    head = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: " + FORM.encode()
    form = b"grant_type=client_credentials"
    chunked = b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(form), form)
    trailer = b"Authorization: " + basic(device.client_id, device.client_secret).encode() + b"\r\n\r\n"
    assert status(party.raw(head + chunked + trailer)) == 401
