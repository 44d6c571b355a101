"""The device, against peers that misbehave by script, and against the real server and broker."""

import contextlib
import doctest
import json
import logging
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import httpx
import jwt
import pytest
from support_device import PATIENCE, Authority, FakeAuthServer, FakeBroker

import labkit.device
from labkit.authserver import AuthServer
from labkit.broker import Broker
from labkit.clock import Clock
from labkit.device import Connection, Device, Message, SystemClock, TokenSource, _tls_context
from labkit.errors import ConnectionFailed, TokenRequestFailed
from labkit.record import Record
from labkit.tokens import TokenValidator

SECRET = "s3cret of: ünï/+&"  # with every character that Basic and form-encoding could trip over
SECRET_ON_THE_WIRE = ("s3cret", "dGhlcm1vc3RhdC0x")  # as it is or form-encoded; in the Basic header

NewDevice = Callable[..., Device]


class Highest(Random):
    """A generator that always draws the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def authserver() -> Iterator[FakeAuthServer]:
    with FakeAuthServer() as server:
        yield server


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as server:
        yield server


@pytest.fixture
def record(clock: Clock) -> Record:
    return Record(clock.now)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def source(authserver: FakeAuthServer, clock: Clock) -> TokenSource:
    return TokenSource(authserver.token_endpoint, "thermostat-1", SECRET, now=clock.now, random=Random(1))


@pytest.fixture
def new_device(
    authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> Iterator[NewDevice]:
    with contextlib.ExitStack() as leaving:

        def new(client_id: str = "thermostat-1", **options: Any) -> Device:
            usual = {
                "token_endpoint": authserver.token_endpoint,
                "host": broker.host,
                "port": broker.port,
                "clock": clock,
                "random": Highest(),
                "record": record,
            }
            device = Device(client_id, SECRET, **(usual | options))
            leaving.callback(device.disconnect)
            return device

        yield new


@pytest.fixture
def device(new_device: NewDevice) -> Device:
    return new_device()


def test_the_example_at_the_top_runs() -> None:
    assert doctest.testmod(labkit.device) == (0, 2)


# What a token source asks, and when


def test_client_credentials_travel_in_the_basic_header_form_encoded(
    source: TokenSource, authserver: FakeAuthServer
) -> None:
    source.current()
    (asked,) = authserver.asked
    assert (asked.method, asked.form) == ("POST", {"grant_type": "client_credentials"})
    pair = httpx.BasicAuth("thermostat-1", "s3cret+of%3A+%C3%BCn%C3%AF%2F%2B%26")  # RFC 6749 §2.3.1
    expected = next(pair.auth_flow(httpx.Request("GET", "http://x"))).headers["Authorization"]
    assert asked.headers["Authorization"] == expected


def test_a_public_client_names_itself_in_the_body(authserver: FakeAuthServer) -> None:
    TokenSource(authserver.token_endpoint, "cam-1").current()
    assert authserver.asked[0].form["client_id"] == "cam-1"
    assert "Authorization" not in authserver.asked[0].headers


def test_the_password_grant_is_one_dictionary_away(authserver: FakeAuthServer) -> None:
    grant = {"grant_type": "password", "username": "ada", "password": "hunter2"}
    TokenSource(authserver.token_endpoint, "cam-1", SECRET, grant=grant).current()
    assert authserver.asked[0].form == grant


def test_a_token_is_used_until_it_is_due(
    source: TokenSource, authserver: FakeAuthServer, clock: Clock
) -> None:
    first = source.current()
    assert source.current() is first
    clock.advance(seconds=0.9 * 300)
    assert source.current() is not first
    assert len(authserver.asked) == 2


def test_an_ageing_token_is_better_than_none(
    source: TokenSource, authserver: FakeAuthServer, clock: Clock
) -> None:
    first = source.current()
    clock.advance(seconds=299)
    authserver.will_answer(503)
    assert source.current() is first
    clock.advance(seconds=1)
    authserver.will_answer(503)
    with pytest.raises(TokenRequestFailed):
        source.current()


def test_many_threads_make_one_request(source: TokenSource, authserver: FakeAuthServer) -> None:
    authserver.may_answer.clear()
    with ThreadPoolExecutor(16) as threads:
        waiting = [threads.submit(source.current) for _ in range(16)]
        authserver.wait(1)
        authserver.may_answer.set()
        assert {future.result(PATIENCE).access_token for future in waiting} == {"opaque-1"}
    assert len(authserver.asked) == 1


def test_a_token_that_lands_while_another_thread_is_on_its_way_is_shared(authserver: FakeAuthServer) -> None:
    errands: list[Callable[[], object]] = []

    def now() -> float:
        while errands:
            errands.pop()()
        return 1000.0 * len(authserver.asked)  # every token is due as soon as it is there

    source = TokenSource(authserver.token_endpoint, "thermostat-1", SECRET, now=now)
    assert source.current().access_token == "opaque-1"
    errands.append(source.fetch)  # as another thread would, just when this one looks at the time
    assert source.current().access_token == "opaque-2"
    assert len(authserver.asked) == 2


@pytest.mark.conformance("CL-01")
@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_the_token_type_is_compared_without_case(
    source: TokenSource, authserver: FakeAuthServer, token_type: str
) -> None:
    authserver.will_give("abc", token_type=token_type)
    assert source.current().access_token == "abc"


@pytest.mark.conformance("CL-01")
@pytest.mark.parametrize("token_type", ["DPoP", "mac", "Bearer ", "", None, 7])
def test_a_token_of_unknown_type_is_not_used(
    source: TokenSource, authserver: FakeAuthServer, token_type: object
) -> None:
    authserver.will_give("abc", token_type=token_type)
    with pytest.raises(TokenRequestFailed, match="Bearer"):
        source.current()


@pytest.mark.conformance("CL-02")
def test_unknown_members_are_ignored(source: TokenSource, authserver: FakeAuthServer) -> None:
    authserver.will_give("abc", id_token={"odd": []}, mac_key=None, expires_on="soon")
    assert source.current().access_token == "abc"


@pytest.mark.conformance("CL-02")
def test_without_expires_in_a_token_lives_until_the_broker_says_otherwise(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    authserver.life = None
    device.connect()
    clock.advance(hours=24)
    assert len(authserver.asked) == 1
    broker.cut()
    record.wait("backing-off")
    broker.refuse(4)
    clock.advance(seconds=60)
    assert device.connected
    assert [packet.password for packet in broker.of("CONNECT")] == ["opaque-1", "opaque-1", "opaque-2"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'"abc"',
        b"null",
        b"{}",
        b'{"access_token": "abc", "token_type": "Bearer", "expires_in": NaN}',
        b'{"access_token": "abc", "token_type": "Bearer", "expires_in": 1e400}',
        *(
            json.dumps({"access_token": "abc", "token_type": "Bearer", "expires_in": 300} | change).encode()
            for change in [
                {"access_token": ""},
                {"access_token": None},
                {"access_token": ["abc"]},
                {"access_token": "a\r\nb"},
                {"access_token": "tökén"},
                {"expires_in": "300"},
                {"expires_in": True},
                {"expires_in": 0},
                {"expires_in": -1},
                {"expires_in": 10**12},
                {"refresh_token": 7},
                {"refresh_token": ""},
                {"scope": ["a"]},
            ]
        ),
    ],
    ids=range(23),
)
def test_a_malformed_answer_is_no_token(source: TokenSource, authserver: FakeAuthServer, body: bytes) -> None:
    authserver.will_answer(200, body)
    with pytest.raises(TokenRequestFailed) as failed:
        source.current()
    assert "abc" not in str(failed.value)
    assert source.current().access_token == "opaque-2"


def test_an_endless_answer_is_cut_short(source: TokenSource, authserver: FakeAuthServer) -> None:
    authserver.will_answer(200, b" " * 5_000_000)
    with pytest.raises(TokenRequestFailed, match="too long"):
        source.current()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(source: TokenSource, authserver: FakeAuthServer, status: int) -> None:
    authserver.will_answer(status, b"", Location=authserver.url + "/elsewhere")
    with pytest.raises(TokenRequestFailed) as failed:
        source.current()
    assert failed.value.status == status
    assert [asked.target for asked in authserver.asked] == ["/token"]


def test_a_proxy_of_the_environment_never_sees_what_stays_on_this_machine(
    source: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeAuthServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        source.current()
        assert proxy.asked == []


def test_a_refusal_says_what_to_do(source: TokenSource, authserver: FakeAuthServer) -> None:
    authserver.will_answer(401, {"error": "invalid_client", "error_description": "no such luck"})
    with pytest.raises(
        TokenRequestFailed, match=r"invalid_client \(HTTP 401\); check the client id"
    ) as failed:
        source.current()
    assert (failed.value.error, failed.value.status) == ("invalid_client", 401)


def test_a_server_that_is_away_is_named(clock: Clock) -> None:
    with FakeAuthServer() as server:
        endpoint = server.token_endpoint
    with pytest.raises(TokenRequestFailed, match=r"no answer from 127\.0\.0\.1") as failed:
        TokenSource(endpoint, "thermostat-1", SECRET).current()
    assert failed.value.status is None


# Refresh tokens


@pytest.mark.conformance("CL-03")
def test_a_new_refresh_token_is_kept_before_the_old_one_goes(
    authserver: FakeAuthServer, clock: Clock
) -> None:
    kept: list[tuple[str, int]] = []
    source = TokenSource(
        authserver.token_endpoint,
        "cam-1",
        refresh_token="r1",
        on_refresh_token=lambda token: kept.append((token, len(authserver.asked))),
        now=clock.now,
    )
    authserver.will_give("a1", refresh_token="r2")
    authserver.will_give("a2")  # the server may leave the refresh token as it is
    authserver.will_give("a3", refresh_token="r3")
    for _ in range(3):
        source.fetch()
    assert [asked.form["refresh_token"] for asked in authserver.asked] == ["r1", "r2", "r2"]
    assert kept == [("r2", 1), ("r3", 3)]  # each before the next request went out


@pytest.mark.conformance("CL-03")
def test_a_refresh_token_that_cannot_be_kept_is_an_error_and_yet_replaces_the_spent_one(
    authserver: FakeAuthServer,
) -> None:
    def full(_: str) -> None:
        raise OSError("no space left on device")

    source = TokenSource(authserver.token_endpoint, "cam-1", refresh_token="r1", on_refresh_token=full)
    authserver.will_give("a1", refresh_token="r2")
    with pytest.raises(TokenRequestFailed, match="no space left"):
        source.fetch()
    source.fetch()
    assert authserver.asked[-1].form["refresh_token"] == "r2"


def test_a_dead_refresh_token_leads_back_to_the_first_grant(authserver: FakeAuthServer) -> None:
    source = TokenSource(authserver.token_endpoint, "cam-1", SECRET, refresh_token="r1")
    authserver.will_answer(400, {"error": "invalid_grant"})
    source.fetch()
    source.fetch()
    grants = [asked.form["grant_type"] for asked in authserver.asked]
    assert grants == ["refresh_token", "client_credentials", "client_credentials"]


def test_a_refresh_token_survives_other_errors(authserver: FakeAuthServer) -> None:
    source = TokenSource(authserver.token_endpoint, "cam-1", refresh_token="r1")
    authserver.will_answer(503)
    with pytest.raises(TokenRequestFailed):
        source.fetch()
    source.fetch()
    assert authserver.asked[-1].form["refresh_token"] == "r1"


@pytest.mark.parametrize("secret", [None, SECRET], ids=["public client", "confidential client"])
def test_after_the_device_code_only_the_owner_can_replace_a_dead_refresh_token(
    authserver: FakeAuthServer, clock: Clock, secret: str | None
) -> None:
    source = TokenSource(authserver.token_endpoint, "cam-1", secret, now=clock.now)
    _owner_says_yes(source, authserver)
    _only_the_owner_can_help(source, authserver)


def test_a_public_client_with_a_dead_refresh_token_must_ask_its_owner(authserver: FakeAuthServer) -> None:
    source = TokenSource(authserver.token_endpoint, "cam-1", refresh_token="from an earlier life")
    _only_the_owner_can_help(source, authserver)


def _owner_says_yes(source: TokenSource, authserver: FakeAuthServer) -> None:
    authserver.will_answer(200, OFFER)
    authserver.will_give("granted", refresh_token="r2")
    source.ask_owner(authserver.url + "/device", lambda *_: None)


def _only_the_owner_can_help(source: TokenSource, authserver: FakeAuthServer) -> None:
    asked = len(authserver.asked)
    authserver.will_answer(400, {"error": "invalid_grant"})
    for _ in range(3):
        with pytest.raises(TokenRequestFailed, match="ask its owner again") as failed:
            source.fetch()
        assert failed.value.error == "invalid_grant"
    assert len(authserver.asked) == asked + 1  # with the refresh token, once
    _owner_says_yes(source, authserver)
    assert source.current().access_token == "granted"
    source.fetch()
    assert authserver.asked[-1].form["refresh_token"] == "r2"


def test_a_device_that_needs_its_owner_backs_off_and_is_well_again_when_the_owner_was_asked(
    new_device: NewDevice, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    source = TokenSource(authserver.token_endpoint, "thermostat-1", now=clock.now)
    _owner_says_yes(source, authserver)
    device = new_device(tokens=source).connect()
    authserver.will_answer(400, {"error": "invalid_grant"})
    with pytest.raises(TokenRequestFailed, match="ask its owner again"):
        device.refresh()
    asked = len(authserver.asked)
    clock.advance(seconds=299)
    assert device.connected  # with the token it has
    assert "ask its owner again" in device.status
    clock.advance(seconds=1)
    _lose(broker, record)
    for _ in range(3):
        _pass_back_off(clock, record)
    assert not device.connected
    assert (len(authserver.asked), len(broker.of("CONNECT"))) == (asked, 1)
    assert [event["seconds"] for event in record.events("backing-off")][:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    _owner_says_yes(source, authserver)
    _pass_back_off(clock, record)
    assert device.status == "connected"


@pytest.mark.conformance("CL-14")
def test_secrets_and_refresh_tokens_show_nowhere(authserver: FakeAuthServer) -> None:
    shown = [
        repr(source := TokenSource(authserver.token_endpoint, "cam-1", SECRET, refresh_token="r-hidden"))
    ]
    authserver.will_give("a-hidden", refresh_token="r2-hidden")
    shown.append(repr(source.fetch()))
    for error in ("r2-hidden", SECRET, "invalid_scope"):  # a server that repeats what it was told
        authserver.will_answer(400, {"error": error, "error_description": f"r2-hidden {SECRET}"})
        with pytest.raises(TokenRequestFailed) as failed:
            source.fetch()
        shown += [str(failed.value), repr(failed.value), str(vars(failed.value))]
    assert not [text for text in shown if "hidden" in text or "s3cret" in text]


# TLS


@pytest.mark.conformance("CL-04", "CL-14")
def test_the_token_endpoint_is_asked_over_verified_tls(authority: Authority) -> None:
    with FakeAuthServer(tls=authority.serving()) as server:
        source = TokenSource(server.token_endpoint, "cam-1", SECRET, ca_file=authority.ca_file)
        assert source.current().access_token == "opaque-1"


@pytest.mark.conformance("CL-04")
@pytest.mark.parametrize(("name", "trusted"), [("other.example", True), ("127.0.0.1", False)])
def test_a_false_token_endpoint_is_told_nothing(authority: Authority, name: str, trusted: bool) -> None:
    with FakeAuthServer(tls=authority.serving(name)) as server:
        ca_file = authority.ca_file if trusted else None
        with pytest.raises(TokenRequestFailed, match=r"no answer from .*certificate"):
            TokenSource(server.token_endpoint, "cam-1", SECRET, ca_file=ca_file).current()
        assert server.asked == []


@pytest.mark.conformance("CL-04", "CL-05")
@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/token", "http://as.example/token", "ftp://127.0.0.1/", "", "/"]
)
def test_nothing_goes_in_clear_beyond_this_machine(url: str) -> None:
    with pytest.raises(TokenRequestFailed, match="https"):
        TokenSource(url, "cam-1", SECRET).current()


@pytest.mark.conformance("CL-04", "CL-16")
def test_the_broker_is_reached_over_verified_tls(new_device: NewDevice, authority: Authority) -> None:
    with FakeBroker(tls=authority.serving()) as broker:
        device = new_device(port=broker.port, ca_file=authority.ca_file).connect()
        device.publish("devices/thermostat-1/up", "21.5")
        device.refresh()
        device.disconnect()
        assert broker.tls_versions == ["TLSv1.3", "TLSv1.3"]


@pytest.mark.conformance("CL-04")
@pytest.mark.parametrize("name", ["other.example", "untrusted"])
def test_a_false_broker_is_told_nothing(
    new_device: NewDevice, authority: Authority, name: str, tmp_path: Path
) -> None:
    trusted = authority if name != "untrusted" else Authority.new(tmp_path)
    serving = authority.serving("127.0.0.1" if name == "untrusted" else name)
    with FakeBroker(tls=serving) as broker:
        with pytest.raises(ConnectionFailed, match="certificate"):
            new_device(port=broker.port, ca_file=trusted.ca_file).connect()
        assert not broker.raw


@pytest.mark.conformance("CL-04", "CL-16")
def test_beyond_loopback_a_broker_is_greeted_in_tls_whatever_the_options(
    new_device: NewDevice, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = new_device().tokens
    tokens.fetch()
    monkeypatch.setattr("labkit.device._is_loopback", lambda host: False)
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        new_device(tokens=tokens).connect()
    assert broker.raw[:1] == b"\x16"  # ClientHello


@pytest.mark.conformance("CL-16")
def test_our_tls_is_modern_and_verifies(authority: Authority) -> None:
    for context in (_tls_context(None), _tls_context(authority.ca_file)):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


# Issuer metadata


@pytest.mark.conformance("CL-06")
def test_the_token_endpoint_is_found_in_the_metadata_of_the_issuer(authserver: FakeAuthServer) -> None:
    issuer = authserver.url + "/tenant"
    authserver.will_answer(200, {"issuer": issuer, "token_endpoint": authserver.token_endpoint})
    source = TokenSource.from_issuer(issuer, "cam-1", SECRET)
    assert authserver.asked[0].target == "/.well-known/oauth-authorization-server/tenant"
    assert source.current().access_token == "opaque-2"


@pytest.mark.conformance("CL-06")
@pytest.mark.parametrize("other", ["https://evil.example", "{issuer}/", "HTTP://127.0.0.1", "", None, 7])
def test_metadata_of_another_issuer_is_discarded(authserver: FakeAuthServer, other: str | None) -> None:
    named = other.format(issuer=authserver.url) if isinstance(other, str) else other
    authserver.will_answer(200, {"issuer": named, "token_endpoint": authserver.token_endpoint})
    with pytest.raises(TokenRequestFailed, match="issuer"):
        TokenSource.from_issuer(authserver.url, "cam-1", SECRET)


def test_metadata_without_token_endpoint_is_of_no_use(authserver: FakeAuthServer) -> None:
    authserver.will_answer(200, {"issuer": authserver.url})
    with pytest.raises(TokenRequestFailed):
        TokenSource.from_issuer(authserver.url, "cam-1", SECRET)


# Device authorization grant

OFFER = {"device_code": "dc", "user_code": "WDJB-MJHT", "verification_uri": "https://x/d", "expires_in": 600}


def _ask_owner(authserver: FakeAuthServer, clock: Clock) -> list[float]:
    """Ask, by a clock that runs only while the device waits; return the waits, or note them on the error."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds=seconds)

    source = TokenSource(authserver.token_endpoint, "cam-1", now=clock.now)
    shown: list[tuple[str, str]] = []
    try:
        source.ask_owner(authserver.url + "/device", lambda *what: shown.append(what), wait)
    except TokenRequestFailed as error:
        error.add_note(str(waits))
        raise
    assert shown == [("WDJB-MJHT", "https://x/d")]
    assert source.current().access_token == "granted"
    return waits


@pytest.mark.conformance("CL-07")
def test_polling_keeps_the_interval_and_slows_down_for_good(authserver: FakeAuthServer, clock: Clock) -> None:
    authserver.will_answer(200, {**OFFER, "interval": 2})
    for error in ("authorization_pending", "slow_down", "authorization_pending", "slow_down"):
        authserver.will_answer(400, {"error": error})
    authserver.will_give("granted")
    assert _ask_owner(authserver, clock) == [2, 7, 7, 12]
    assert authserver.asked[-1].form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "dc",
        "client_id": "cam-1",
    }


@pytest.mark.conformance("CL-07")
def test_without_interval_polling_waits_five_seconds(authserver: FakeAuthServer, clock: Clock) -> None:
    authserver.will_answer(200, OFFER)
    authserver.will_answer(400, {"error": "authorization_pending"})
    authserver.will_give("granted")
    assert _ask_owner(authserver, clock) == [5]


@pytest.mark.conformance("CL-07")
@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_grant", "server_error", None])
def test_any_other_error_ends_the_polling(
    authserver: FakeAuthServer, clock: Clock, error: str | None
) -> None:
    authserver.will_answer(200, OFFER)
    authserver.will_answer(400, {"error": "authorization_pending"})
    authserver.will_answer(400, {"error": error})
    with pytest.raises(TokenRequestFailed) as failed:
        _ask_owner(authserver, clock)
    assert failed.value.error == error
    assert failed.value.__notes__ == ["[5.0]"]


@pytest.mark.conformance("CL-07")
def test_a_malformed_token_response_ends_the_polling_too(authserver: FakeAuthServer, clock: Clock) -> None:
    authserver.will_answer(200, OFFER)
    authserver.will_answer(200, {"access_token": "granted", "token_type": "odd"})
    with pytest.raises(TokenRequestFailed, match="malformed"):
        _ask_owner(authserver, clock)


@pytest.mark.conformance("CL-07")
def test_polling_ends_when_the_code_expires(authserver: FakeAuthServer, clock: Clock) -> None:
    authserver.will_answer(200, {**OFFER, "expires_in": 12})
    for _ in range(9):
        authserver.will_answer(400, {"error": "authorization_pending"})
    with pytest.raises(TokenRequestFailed, match="in time") as failed:
        _ask_owner(authserver, clock)
    assert failed.value.__notes__ == ["[5.0, 5.0, 5.0]"]


@pytest.mark.conformance("CL-07")
def test_polling_slows_down_when_the_server_is_away(clock: Clock) -> None:
    with FakeAuthServer() as authserver:
        source = TokenSource(authserver.token_endpoint, "cam-1", now=clock.now)
        authserver.will_answer(200, {**OFFER, "expires_in": 60})
        endpoint = authserver.url + "/device"
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            clock.advance(seconds=seconds)

        with pytest.raises(TokenRequestFailed, match="in time"):
            source.ask_owner(endpoint, lambda *_: authserver.close(), wait)
    assert waits == [10, 20, 40]


@pytest.mark.parametrize("missing", ["device_code", "user_code", "verification_uri", "expires_in"])
def test_a_malformed_offer_is_refused(authserver: FakeAuthServer, clock: Clock, missing: str) -> None:
    authserver.will_answer(200, {name: value for name, value in OFFER.items() if name != missing})
    with pytest.raises(TokenRequestFailed, match="malformed"):
        _ask_owner(authserver, clock)


# Life of a token


@pytest.mark.conformance("CL-09")
def test_a_fleet_refreshes_at_random_points_between_70_and_90_percent(
    authserver: FakeAuthServer, clock: Clock
) -> None:
    fleet = [TokenSource(authserver.token_endpoint, f"cam-{n}", SECRET, now=clock.now) for n in range(40)]
    points = [(source.current().refresh_at or 0) - clock.now() for source in fleet]
    assert 210 <= min(points) < 230
    assert 250 < max(points) <= 270
    assert len(set(points)) == 40


def test_a_very_short_life_does_not_become_a_tight_loop(
    device: Device, authserver: FakeAuthServer, clock: Clock
) -> None:
    authserver.life = 0.01
    device.connect()
    clock.advance(seconds=3.5)
    assert len(authserver.asked) == 4


@pytest.mark.conformance("CL-09")
def test_back_off_doubles_up_to_a_minute_and_is_drawn_at_random(
    new_device: NewDevice, authserver: FakeAuthServer, clock: Clock, record: Record
) -> None:
    ceilings = _back_offs(new_device(random=Highest()), authserver, clock, record)
    assert ceilings == [1, 2, 4, 8, 16, 32, 60, 60]
    drawn = _back_offs(new_device("thermostat-2", random=Random(7)), authserver, clock, record)
    assert all(0 <= seconds <= ceiling for seconds, ceiling in zip(drawn, ceilings, strict=True))
    assert min(drawn[-2:]) < 60


def _back_offs(device: Device, authserver: FakeAuthServer, clock: Clock, record: Record) -> list[Any]:
    authserver.life = 36_000
    device.connect()
    waits: list[Any] = []
    for _ in range(8):
        authserver.will_answer(503)
    with pytest.raises(TokenRequestFailed):
        device.refresh()
    while len(waits) < 8:
        event = record.events("backing-off", client_id=device.client_id)[-1]
        waits.append(event["seconds"])
        assert device.connected  # with the token it has
        clock.advance(seconds=waits[-1] + 0.001)
    assert record.events("refreshed", client_id=device.client_id)
    return waits


@pytest.mark.conformance("CL-09")
def test_retry_after_comes_on_top_of_the_back_off(
    device: Device, authserver: FakeAuthServer, clock: Clock, record: Record
) -> None:
    device.connect()
    authserver.will_answer(429, {"error": "slow_down"}, Retry_After="120")
    with pytest.raises(TokenRequestFailed) as failed:
        device.refresh()
    assert failed.value.retry_after == 120
    clock.advance(seconds=120)
    assert len(authserver.asked) == 2
    clock.advance(seconds=1)
    assert len(authserver.asked) == 3
    assert device.status == "connected"


@pytest.mark.parametrize("value", ["soon", "-1", "1e9", "9" * 400, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_is_no_number_of_seconds_is_ignored(
    source: TokenSource, authserver: FakeAuthServer, value: str
) -> None:
    authserver.will_answer(503, b"", Retry_After=value)
    with pytest.raises(TokenRequestFailed) as failed:
        source.current()
    assert failed.value.retry_after is None


@pytest.mark.conformance("CL-18")
def test_a_token_lives_by_expires_in_whatever_is_inside(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock
) -> None:
    long_dead = jwt.encode({"exp": 1}, "k" * 32, algorithm="HS256")
    authserver.will_give(long_dead)
    authserver.will_give("not.a.jwt at all")
    device.connect()
    assert device.token() == long_dead
    clock.advance(seconds=0.9 * 300)
    assert [packet.password for packet in broker.of("CONNECT")] == [long_dead, "not.a.jwt at all"]


# Connecting


def test_the_token_is_the_password_and_the_user_name_is_the_client_id(
    new_device: NewDevice, broker: FakeBroker
) -> None:
    will = Message(topic="devices/thermostat-1/status", payload=b"gone", qos=1, retain=True)
    new_device(keep_alive=17, will=will).connect()
    (connect,) = broker.of("CONNECT")
    assert (connect.client_id, connect.username, connect.password) == (
        "thermostat-1",
        "thermostat-1",
        "opaque-1",
    )
    assert connect.keep_alive == 17
    assert not connect.clean_session
    assert connect.will == ("devices/thermostat-1/status", b"gone")


def test_the_token_as_user_name_comes_with_an_empty_password(
    new_device: NewDevice, broker: FakeBroker
) -> None:
    new_device(carrier="username", clean_session=True).connect()
    (connect,) = broker.of("CONNECT")
    assert (connect.username, connect.password, connect.clean_session) == ("opaque-1", "", True)


def test_there_is_no_third_carrier(new_device: NewDevice) -> None:
    with pytest.raises(ValueError, match="carrier"):
        new_device(carrier="topic")


def test_a_device_publishes_subscribes_and_receives(device: Device, broker: FakeBroker) -> None:
    with device:
        assert device.connected
        device.subscribe("cmd/thermostat-1/#")
        device.publish("devices/thermostat-1/up", "21.5")
        device.publish("devices/thermostat-1/up", b"\x00\xff", qos=0)
        broker.send(b"\x30\x07\x00\x03cmdgo")
        assert device.receive() == Message(topic="cmd", payload=b"go")
        broker.wait("PUBLISH", 2)
    assert [packet.payload for packet in broker.of("PUBLISH")] == [b"21.5", b"\x00\xff"]
    broker.wait("DISCONNECT")
    assert repr(device) == "<Device thermostat-1: not connected>"


def test_a_refused_subscription_says_which_scope_is_missing(
    device: Device, broker: FakeBroker, record: Record
) -> None:
    broker.suback = 0x80
    device.connect()
    with pytest.raises(PermissionError, match=r"mqtt\.subscribe:#"):
        device.subscribe("#")
    assert record.events("subscribe.refused")[0]["filter"] == "#"
    device.refresh()
    assert len(broker.of("SUBSCRIBE")) == 1  # what was refused is not asked for again


def test_silence_ends_with_a_sentence(device: Device, broker: FakeBroker) -> None:
    device.connect()
    with pytest.raises(TimeoutError, match="no message within 0 s"):
        device.receive(timeout=0)
    broker.puback = False
    with pytest.raises(TimeoutError, match="no acknowledgement of 'a/b'"):
        device.publish("a/b", "x", timeout=0.01)


def test_what_is_not_connected_says_so(device: Device) -> None:
    for attempt in (device.refresh, lambda: device.publish("a", "x"), lambda: device.subscribe("a")):
        with pytest.raises(ConnectionFailed, match=r"call connect\(\) first"):
            attempt()


def test_a_token_that_fits_no_field_is_an_error_and_costs_no_connection(
    device: Device, authserver: FakeAuthServer
) -> None:
    device.connect()
    authserver.will_give("x" * 65_536)
    with pytest.raises(ConnectionFailed, match="65536 bytes"):
        device.refresh()
    assert device.connected
    authserver.will_give("x" * 65_535)
    device.refresh()


@pytest.mark.parametrize(
    ("answer", "return_code", "sentence"),
    [
        (b"\x20\x02\x00\x01", 1, "this version of MQTT"),
        (b"\x20\x02\x00\x02", 2, "client identifier"),
        (b"\x20\x02\x00\x03", 3, "try later"),
        (b"\x20\x02\x00\x04", 4, "does not believe the token"),
        (b"\x20\x02\x00\x05", 5, "no right to connect"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(90), 1, "no MQTT at all"),
    ],
)
def test_a_refusal_names_the_return_code_and_what_to_do(
    device: Device, broker: FakeBroker, answer: bytes, return_code: int, sentence: str
) -> None:
    broker.connack = answer
    with pytest.raises(ConnectionFailed, match=sentence) as failed:
        device.connect()
    assert failed.value.return_code == return_code
    assert not device.connected


def test_a_broker_that_closes_or_says_nothing_is_told_apart(device: Device, broker: FakeBroker) -> None:
    broker.connack, broker.kick = None, True
    with pytest.raises(ConnectionFailed, match="without a word"):
        device.connect()
    broker.kick = False
    with pytest.raises(ConnectionFailed, match=r"did not answer CONNECT within 0.05 s"):
        device.connect(timeout=0.05)
    broker.close()
    with pytest.raises(ConnectionFailed, match="cannot be reached"):
        device.connect()


def test_a_connection_that_did_not_come_about_is_not_left_open(broker: FakeBroker) -> None:
    connection = Connection("thermostat-1", host=broker.host, port=broker.port)
    connection._wanted = True
    broker.connack = None
    with pytest.raises(ConnectionFailed):
        connection._open("opaque-1", timeout=0.05)
    broker.wait("CONNECT")
    broker.wait_until_empty()


# Refusals, losses and no tight loops


@pytest.mark.conformance("CL-10")
@pytest.mark.parametrize("code", [4, 5])
def test_a_refused_token_is_replaced_once_and_then_the_device_gives_way(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, code: int
) -> None:
    broker.refuse(code)
    device.connect()
    assert [packet.password for packet in broker.of("CONNECT")] == ["opaque-1", "opaque-2"]
    device.disconnect()
    broker.refuse(code, code, code)
    with pytest.raises(ConnectionFailed) as failed:
        device.connect()
    assert failed.value.return_code == code
    assert len(authserver.asked) == 3
    assert len(broker.of("CONNECT")) == 4


@pytest.mark.conformance("CL-10")
@pytest.mark.parametrize("code", [1, 2, 3])
def test_other_refusals_are_not_the_fault_of_the_token(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record, code: int
) -> None:
    device.connect()
    clock.advance(seconds=60)
    broker.refuse(*[code] * 4)
    _lose(broker, record)
    for _ in range(5):
        _pass_back_off(clock, record)
    assert device.connected
    assert len(broker.of("CONNECT")) == 6
    assert len(record.events("backing-off")) == 5
    assert len(authserver.asked) == 1


@pytest.mark.conformance("CL-10")
def test_an_unbelieved_token_is_replaced_at_once_and_after_that_once_per_back_off(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    device.connect()
    clock.advance(seconds=60)
    broker.refuse(*[4] * 5)
    _lose(broker, record)
    for _ in range(4):
        _pass_back_off(clock, record)
    assert [p.password for p in broker.of("CONNECT")] == [
        "opaque-1",
        *("opaque-1", "opaque-2"),  # the old one again, then a new one at once
        *("opaque-3", "opaque-4", "opaque-5"),  # no token is refused twice
    ]
    assert [event["seconds"] for event in record.events("backing-off")] == [1, 2, 4, 8, 16]


@pytest.mark.conformance("CL-10")
def test_a_broker_that_lets_in_and_throws_out_is_approached_ever_more_slowly(
    device: Device, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    broker.kick = True
    device.connect()
    for count in range(1, 8):
        _wait_for_back_offs(record, count)
        assert len(broker.of("CONNECT")) == count
        clock.advance(seconds=float(record.events("backing-off")[-1]["seconds"] or 0) + 0.001)
    _wait_for_back_offs(record, 8)
    assert [event["seconds"] for event in record.events("backing-off")] == [1, 2, 4, 8, 16, 32, 60, 60]
    passwords = [packet.password for packet in broker.of("CONNECT")]
    assert len(set(passwords)) == len(passwords)  # never twice with the same token


def test_a_connection_that_lasted_starts_the_back_off_afresh(
    device: Device, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    device.connect()
    for _ in range(3):
        clock.advance(seconds=15)
        _lose(broker, record)
        _pass_back_off(clock, record)
        assert device.connected
    assert [event["seconds"] for event in record.events("backing-off")] == [1, 1, 1]
    assert {packet.password for packet in broker.of("CONNECT")} == {"opaque-1"}


@pytest.mark.conformance("CL-10")
def test_a_token_that_expires_in_an_outage_does_not_start_the_back_off_afresh(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    """Or a whole fleet would come back within the second in which its tokens, issued together, expire."""
    device.connect()
    for _ in range(20):
        authserver.will_answer(503)
    clock.advance(seconds=278)  # refresh at 270, and 1, 2 and 4 s later
    assert device.connected
    _lose(broker, record)
    seconds = [event["seconds"] for event in record.events("backing-off")]
    assert seconds == [1, 2, 4, 8, 16]


def test_a_connection_closed_at_expiry_comes_back_with_a_fresh_token(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    device.connect()
    for _ in range(20):
        authserver.will_answer(503)
    clock.advance(seconds=300)
    assert device.connected
    assert "HTTP 503" in device.status
    authserver.replies = type(authserver.replies)()  # the server is well again
    _lose(broker, record)
    _pass_back_off(clock, record)
    assert device.status == "connected"
    first, second = (packet.password for packet in broker.of("CONNECT"))
    assert first != second


def _lose(broker: FakeBroker, record: Record) -> None:
    mark = record.mark()
    broker.cut()
    record.wait("backing-off", since=mark)


def _pass_back_off(clock: Clock, record: Record) -> None:
    clock.advance(seconds=float(record.events("backing-off")[-1]["seconds"] or 0) + 0.001)


def _wait_for_back_offs(record: Record, count: int) -> None:
    mark = 0
    for _ in range(count):
        mark = record.wait("backing-off", since=mark, timeout=PATIENCE).number + 1


# The swap


@pytest.mark.conformance("CL-12")
def test_a_swap_keeps_client_id_and_session_and_says_goodbye(device: Device, broker: FakeBroker) -> None:
    broker.connack = b"\x20\x02\x01\x00"  # session present
    device.connect()
    device.subscribe("cmd/#")
    device.refresh()
    broker.wait("DISCONNECT", 1, lambda packet: packet.connection == 0)
    first, second = broker.of("CONNECT")
    assert (first.client_id, second.client_id) == ("thermostat-1", "thermostat-1")
    assert (first.clean_session, second.clean_session) == (False, False)
    assert (first.password, second.password) == ("opaque-1", "opaque-2")
    assert len(broker.of("SUBSCRIBE")) == 1  # the session has it


@pytest.mark.conformance("CL-12")
def test_subscriptions_are_asked_for_again_when_the_session_is_gone(
    device: Device, broker: FakeBroker, record: Record
) -> None:
    device.connect()
    device.subscribe("cmd/#")
    device.subscribe("all/+", qos=0)
    device.refresh()
    asked_for = [["cmd/#"], ["all/+"], ["cmd/#", "all/+"]]
    assert [packet.filters for packet in broker.of("SUBSCRIBE")] == asked_for
    broker.suback = 0x80  # the new token grants less
    device.refresh()
    assert [event["filter"] for event in record.events("subscribe.refused")] == ["cmd/#", "all/+"]
    with pytest.raises(TimeoutError, match="subscribed to nothing"):
        device.receive(timeout=0)


@pytest.mark.conformance("CL-12")
def test_a_message_in_flight_crosses_over_to_the_new_connection(device: Device, broker: FakeBroker) -> None:
    broker.puback = False
    device.connect()
    with ThreadPoolExecutor(1) as other:
        publishing = other.submit(device.publish, "devices/thermostat-1/up", "21.5", 1, PATIENCE)
        broker.wait("PUBLISH")
        broker.puback = True
        device.refresh()
        publishing.result(PATIENCE)
    first, second = broker.of("PUBLISH")
    assert (first.connection, first.dup) == (0, False)
    assert (second.connection, second.dup, second.payload) == (1, True, b"21.5")


@pytest.mark.conformance("CL-12")
def test_a_message_published_during_an_outage_is_delivered_after_it(
    device: Device, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    device.connect()
    _lose(broker, record)
    with pytest.raises(TimeoutError, match="it will be sent again"):
        device.publish("devices/thermostat-1/up", "21.5", timeout=0.01)
    with pytest.raises(ConnectionFailed, match="not published"):
        device.publish("devices/thermostat-1/up", "21.5", qos=0)
    _pass_back_off(clock, record)
    assert broker.wait("PUBLISH")[0].payload == b"21.5"


@pytest.mark.conformance("CL-13")
def test_the_old_connection_pings_on_while_a_new_token_is_slow_to_come(
    new_device: NewDevice, authserver: FakeAuthServer, broker: FakeBroker
) -> None:
    device = new_device(keep_alive=1).connect()
    authserver.may_answer.clear()
    with ThreadPoolExecutor(1) as other:
        refreshing = other.submit(device.refresh)
        authserver.wait(2)
        broker.wait("PINGREQ", 2)
        device.publish("devices/thermostat-1/up", "still here")
        assert len(broker.of("CONNECT")) == 1
        authserver.may_answer.set()
        refreshing.result(PATIENCE)
    assert len(broker.of("CONNECT")) == 2


# What nobody may see


@pytest.mark.conformance("CL-11")
def test_the_secret_never_reaches_the_broker(device: Device, broker: FakeBroker) -> None:
    broker.refuse(4)
    device.connect()
    device.refresh()
    device.disconnect()
    broker.wait_until_empty()
    assert len(broker.of("CONNECT")) == 3
    assert not [trace for trace in SECRET_ON_THE_WIRE if trace.encode() in broker.raw]


@pytest.mark.conformance("CL-05")
def test_the_token_shows_nowhere_but_in_connect(
    device: Device,
    authserver: FakeAuthServer,
    broker: FakeBroker,
    clock: Clock,
    record: Record,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    device.connect()
    shown = [repr(device), repr(device.tokens), repr(device.tokens.current()), device.status]
    device.subscribe("cmd/#")
    device.publish("devices/thermostat-1/up", "21.5")
    broker.refuse(5)
    with pytest.raises(ConnectionFailed) as failed:
        device.refresh()
    shown += [str(failed.value), device.status]
    authserver.will_answer(401, {"error": "invalid_token", "error_description": "opaque-1 is no good"})
    _pass_back_off(clock, record)
    shown += [device.status, str(record), caplog.text]
    shown += [asked.target + str(asked.headers) for asked in authserver.asked]
    shown += [packet.topic + packet.client_id + str(packet.filters) for packet in broker.packets]
    assert not [text for text in shown if "opaque-" in text]


@pytest.mark.conformance("CL-15")
def test_two_devices_never_share_a_secret(clock: Clock, record: Record) -> None:
    server = AuthServer(clock=clock, record=record)
    secrets = {server.register(f"cam-{number}").client_secret for number in range(50)}
    again = server.register("cam-0").client_secret
    assert len(secrets | {again}) == 51


# Coming and going


def test_a_device_comes_and_goes_and_leaves_nothing_behind(new_device: NewDevice, broker: FakeBroker) -> None:
    device = new_device(clock=SystemClock())
    for _ in range(3):
        device.connect()
        device.connect()  # harmless
        device.refresh()
        device.disconnect()
        device.disconnect()  # harmless
        broker.wait_until_empty()
        left = [t for t in threading.enumerate() if "thermostat" in t.name or isinstance(t, threading.Timer)]
        assert left == []
    assert len(broker.of("DISCONNECT")) == 6


def test_leaving_does_not_wait_for_the_end_of_a_back_off(
    new_device: NewDevice, broker: FakeBroker, record: Record
) -> None:
    device = new_device(clock=SystemClock()).connect()
    broker.close()
    record.wait("backing-off")
    device.disconnect()
    assert device.status == "not connected"


def test_leaving_does_not_wait_for_a_broker_that_no_longer_reads(device: Device, broker: FakeBroker) -> None:
    device.connect()
    broker.reads.clear()
    device.publish("devices/thermostat-1/up", "the last thing it reads", qos=0)
    with pytest.raises(TimeoutError):
        device.publish("devices/thermostat-1/up", bytes(30_000_000), timeout=0.01)
    device.disconnect()
    assert broker.stuck
    broker.reads.set()


def test_leaving_does_not_wait_for_a_token_request_that_hangs(
    device: Device, authserver: FakeAuthServer, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    device.connect()
    authserver.may_answer.clear()
    with ThreadPoolExecutor(2) as others:
        advancing = others.submit(clock.advance, seconds=270)  # a worker asks for the next token
        authserver.wait(2)
        refreshing = others.submit(device.refresh)  # and waits for its turn
        device.disconnect()
        assert not advancing.done()
        broker.wait_until_empty()
        assert device.status == "not connected"
        authserver.may_answer.set()
        advancing.result(PATIENCE)
        with pytest.raises(ConnectionFailed, match=r"call connect\(\) first"):
            refreshing.result(PATIENCE)
    clock.advance(hours=1)
    assert (device.status, len(broker.of("CONNECT")), len(authserver.asked)) == ("not connected", 1, 2)
    assert record.events("backing-off") == []
    device.connect()
    assert len(broker.of("CONNECT")) == 2


def test_leaving_does_not_wait_for_a_broker_that_is_slow_to_let_us_in(
    device: Device, broker: FakeBroker
) -> None:
    broker.connack = None
    with ThreadPoolExecutor(1) as other:
        connecting = other.submit(device.connect, timeout=PATIENCE)
        broker.wait("CONNECT")
        device.disconnect()
        assert isinstance(connecting.exception(PATIENCE / 2), ConnectionFailed)
    broker.wait_until_empty()
    assert not device.connected


def test_messages_that_find_no_room_are_told_once(device: Device, broker: FakeBroker, record: Record) -> None:
    device.connect()
    for number in range(1010):
        broker.send(b"\x30\x07\x00\x03cmd%02d" % (number % 100))
    device.publish("devices/thermostat-1/up", "acknowledged after all of them")
    assert len(record.events("message.dropped")) == 1
    assert device.receive().payload == b"10"  # the ten oldest have gone


def test_a_malformed_packet_ends_the_connection_and_not_the_device(
    device: Device, broker: FakeBroker, clock: Clock, record: Record
) -> None:
    device.connect()
    mark = record.mark()
    broker.send(b"\x30\x05\x00\x02\xff\xfex")  # a topic that is no UTF-8
    record.wait("backing-off", since=mark)
    _pass_back_off(clock, record)
    assert device.connected


def test_the_system_clock_calls_in_time_and_forgets_on_request() -> None:
    clock, called = SystemClock(), threading.Event()
    never = clock.call_at(clock.now() + 3600, called.set)  # type: ignore[arg-type]
    never.cancel()
    assert not called.is_set()
    clock.call_at(clock.now(), called.set)  # type: ignore[arg-type]
    assert called.wait(PATIENCE)


@pytest.mark.parametrize(
    "servers",
    [
        "from support_device import *\na, b, s = FakeAuthServer(), FakeBroker(), 's'\n",
        "from labkit import Lab\na = Lab()\nb, s = a.mqtt, a.register('cam-1').client_secret\n",
    ],
    ids=["that end with the program", "that close the connection when the program ends"],
)
def test_a_forgotten_device_does_not_keep_the_program_alive(servers: str) -> None:
    program = servers + (
        "from labkit.device import Device\n"
        "d = Device('cam-1', s, token_endpoint=a.token_endpoint, host=b.host, port=b.port).connect()\n"
    )
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tests}{':' if sys.platform != 'win32' else ';'}{tests.parent}"},
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


# With the real authorization server and the real broker


class House:
    """A real authorization server and a real broker around one clock and one record."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.record = Record(clock.now)
        self.authserver = AuthServer(clock=clock, record=self.record).start()
        validator = TokenValidator(
            self.authserver.issuer, self.authserver.audience, self.authserver.jwks_uri, clock=clock
        )
        self.broker = Broker(validator=validator, clock=clock, record=self.record).start()
        self.devices: list[Device] = []

    def device(self, client_id: str, **options: Any) -> Device:
        if "tokens" not in options:
            options["client_secret"] = self.authserver.register(
                client_id, subscribe=["devices/#"]
            ).client_secret
            options["token_endpoint"] = self.authserver.token_endpoint
        host, port = self.broker.mqtt.host, self.broker.mqtt.port
        device = Device(client_id, host=host, port=port, clock=self.clock, record=self.record, **options)
        self.devices.append(device)
        return device

    def close(self) -> None:
        for device in self.devices:
            device.disconnect()
        self.broker.stop()
        self.authserver.stop()


@pytest.fixture
def house(clock: Clock) -> Iterator[House]:
    house = House(clock)
    yield house
    house.close()


@pytest.mark.parametrize("carrier", ["password", "username"])
def test_an_hour_passes_and_the_device_is_always_in_time(house: House, carrier: str) -> None:
    device = house.device("thermostat-1", carrier=carrier).connect()
    device.subscribe("devices/thermostat-1/#")
    house.clock.advance(hours=1)
    assert device.connected
    assert 3600 / 270 - 1 <= len(house.record.events("refreshed")) <= 3600 / 210
    assert house.record.events("token.expired") == []
    assert house.record.events("disconnected") == []
    device.publish("devices/thermostat-1/up", "21.5")
    assert device.receive().payload == b"21.5"


@pytest.mark.conformance("CL-12")
def test_publishing_through_many_swaps_loses_nothing(house: House) -> None:
    listener = house.device("listener").connect()
    listener.subscribe("devices/thermostat-1/#")
    device = house.device("thermostat-1").connect()
    wanted = {str(number).encode() for number in range(200)}
    swapped = threading.Event()

    def publish_all() -> None:
        for number in range(200):
            device.publish("devices/thermostat-1/up", str(number), timeout=PATIENCE)
            if number == 50:
                swapped.wait(PATIENCE)

    with ThreadPoolExecutor(1) as other:
        publishing = other.submit(publish_all)
        for _ in range(20):
            device.refresh()
        swapped.set()
        while not publishing.done():
            device.refresh()
        publishing.result()
    heard: set[bytes] = set()
    while heard < wanted:
        heard.add(listener.receive().payload)
    assert heard == wanted


def test_the_token_of_another_device_opens_no_door(house: House) -> None:
    honest = house.device("thermostat-1")
    with pytest.raises(ConnectionFailed, match="compare client id") as failed:
        house.device("intruder", tokens=honest.tokens).connect()
    assert failed.value.return_code == 5


def test_a_wrong_secret_is_said_to_be_one(house: House) -> None:
    tokens = TokenSource(house.authserver.token_endpoint, "thermostat-1", "guessed")
    with pytest.raises(TokenRequestFailed, match="check the client id and the secret"):
        house.device("thermostat-1", tokens=tokens).connect()


def test_a_device_outlives_an_outage_of_the_authorization_server(house: House) -> None:
    device = house.device("thermostat-1").connect()
    device.subscribe("devices/thermostat-1/#")
    house.authserver.stop()
    mark = house.record.mark()
    house.clock.advance(minutes=6)
    lost = house.record.wait("disconnected", source="device", since=mark)
    house.record.wait("backing-off", since=lost.number)
    assert not device.connected
    house.authserver.start()
    house.clock.advance(minutes=2)
    house.record.wait("connected", source="device", since=lost.number)
    device.publish("devices/thermostat-1/up", "back again")
    assert device.receive().payload == b"back again"


@pytest.mark.conformance("CL-03")
def test_an_owner_says_yes_and_the_rotating_refresh_token_does_the_rest(house: House) -> None:
    server = house.authserver
    server.register_user("ada", "correct horse battery staple")
    server.register("cam-1", grants=["urn:ietf:params:oauth:grant-type:device_code"], auth="none")
    kept: list[str] = []
    tokens = TokenSource.from_issuer(
        server.issuer, "cam-1", on_refresh_token=kept.append, now=house.clock.now
    )
    tokens.ask_owner(
        tokens.metadata["device_authorization_endpoint"],
        lambda user_code, _: server.approve(user_code, username="ada"),
    )
    device = house.device("cam-1", tokens=tokens).connect()
    house.clock.advance(minutes=10)
    assert device.connected
    assert len(set(kept)) == len(kept) >= 3
    after_a_reboot = TokenSource(server.token_endpoint, "cam-1", refresh_token=kept[-1])
    assert after_a_reboot.current().access_token
