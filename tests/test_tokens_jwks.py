"""The cache of keys against a real HTTP server: how often it asks, and what it does with bad answers."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support_tokens import AUDIENCE, CLIENT, ISSUER, Answers, frozen, http_server, jwks, public_jwk, token

from labkit.clock import Clock
from labkit.errors import InvalidToken, TokenRejected, Undecided
from labkit.tokens import JwksCache, TokenValidator

FIRST, SECOND = public_jwk("ES256"), public_jwk("ES256", "second")


def by_second(**changes: Any) -> str:
    from support_tokens import private_key

    return token(header={"kid": "ES256second"}, key=private_key("ES256", "second"), **changes)


def publish(server: Answers, *keys: dict[str, Any]) -> None:
    server.body = json.dumps(jwks(*keys)).encode()


@pytest.fixture
def server() -> Iterator[Answers]:
    with http_server() as answers:
        publish(answers, FIRST)
        yield answers


@pytest.fixture
def time_stands() -> Clock:
    return frozen()


def reason(judge: TokenValidator, text: str) -> str:
    try:
        judge.validate(text, client_id=CLIENT)
    except TokenRejected as refused:
        return refused.reason
    return "accepted"


def over(server: Answers, clock: Clock, **settings: Any) -> tuple[JwksCache, TokenValidator]:
    cache = JwksCache(server.url, clock=clock, **settings)
    # Tokens outlive the hours that these tests take.
    return cache, TokenValidator(ISSUER, AUDIENCE, cache, clock=frozen())


def test_one_fetch_serves_many_tokens(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands)
    assert cache.fetches == 0
    for _ in range(50):
        assert reason(judge, token()) == "accepted"
    assert cache.fetches == len(server.requests) == 1
    method, path, headers, body = server.requests[0]
    assert (method, path, body) == ("GET", "/keys", b"")
    assert "Cookie" not in headers


def test_a_validator_takes_the_url_itself(server: Answers) -> None:
    judge = TokenValidator(ISSUER, AUDIENCE, server.url, clock=frozen())
    assert not judge.ready_for(token())
    assert reason(judge, token()) == "accepted"
    assert judge.ready_for(token())


@pytest.mark.conformance("RS-43")
def test_a_flood_of_unknown_keys_costs_two_fetches_and_then_one_per_interval(
    server: Answers, time_stands: Clock
) -> None:
    cache, judge = over(server, time_stands, min_interval=30, max_age=10_000)
    for number in range(300):
        assert reason(judge, token(header={"kid": f"made-up-{number}"})) == "unknown-key"
    assert cache.fetches == 2
    assert reason(judge, token()) == "accepted"
    for interval in range(1, 6):
        time_stands.advance(seconds=30)
        for number in range(50):
            assert reason(judge, token(header={"kid": f"made-up-{interval}-{number}"})) == "unknown-key"
        assert cache.fetches == len(server.requests) == 2 + interval


@pytest.mark.conformance("RS-43")
def test_unknown_keys_are_refused_without_asking_until_the_interval_has_passed(
    server: Answers, time_stands: Clock
) -> None:
    cache, judge = over(server, time_stands, min_interval=30, max_age=10_000)
    assert reason(judge, token()) == "accepted"
    time_stands.advance(hours=2)
    for _ in range(10):
        assert reason(judge, by_second()) == "unknown-key"
        assert judge.ready_for(by_second())
        time_stands.advance(seconds=2.5)
    assert cache.fetches == 2
    time_stands.advance(seconds=5)
    publish(server, FIRST, SECOND)
    assert not judge.ready_for(by_second())
    assert reason(judge, by_second()) == "accepted"


@pytest.mark.conformance("RS-44")
def test_a_rotation_right_after_the_start_is_followed_at_once(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands)
    assert reason(judge, token()) == "accepted"
    publish(server, FIRST, SECOND)
    assert reason(judge, by_second()) == "accepted"
    assert reason(judge, token()) == "accepted"
    assert cache.fetches == 2


@pytest.mark.conformance("RS-44")
def test_a_new_key_is_accepted_within_the_interval_and_a_retired_one_refused_after_it(
    server: Answers, time_stands: Clock
) -> None:
    _, judge = over(server, time_stands, min_interval=30, max_age=300)
    for number in range(5):
        reason(judge, token(header={"kid": f"made-up-{number}"}))
    publish(server, SECOND)
    assert reason(judge, by_second()) == "unknown-key"
    assert reason(judge, token()) == "accepted"
    time_stands.advance(seconds=30)
    assert reason(judge, by_second()) == "accepted"
    assert reason(judge, token()) == "unknown-key"

    publish(server, FIRST)
    time_stands.advance(seconds=299)
    assert reason(judge, by_second()) == "accepted"
    time_stands.advance(seconds=1)
    assert reason(judge, by_second()) == "unknown-key"  # max_age: the set is asked for without a new key


@pytest.mark.conformance("RS-33", "RS-43")
def test_the_last_good_set_is_used_while_the_server_is_down_but_not_for_ever(
    server: Answers, time_stands: Clock
) -> None:
    cache, judge = over(server, time_stands, min_interval=30, max_age=300, stale_if_error=3600)
    assert reason(judge, token()) == "accepted"
    server.status = 503
    time_stands.advance(seconds=300)
    assert reason(judge, token()) == "accepted"
    assert cache.fetches == 2
    assert reason(judge, by_second()) == "keys-unavailable"  # it might be a new key: nobody can tell
    time_stands.advance(seconds=3599)
    assert reason(judge, token()) == "accepted"
    time_stands.advance(seconds=1)
    assert reason(judge, token()) == "keys-unavailable"
    server.status = 200
    time_stands.advance(seconds=30)
    assert reason(judge, token()) == "accepted"


@pytest.mark.conformance("RS-33")
def test_without_any_keys_the_door_stays_shut(time_stands: Clock) -> None:
    with http_server() as gone:
        pass
    cache, judge = over(gone, time_stands)
    for _ in range(20):
        with pytest.raises(Undecided) as refused:
            judge.validate(token(), client_id=CLIENT)
    assert (refused.value.return_code, refused.value.reason_code) == (3, 0x88)
    assert refused.value.reason == "keys-unavailable"
    assert cache.fetches == 2  # attempts count, not successes
    assert judge.explain(token()).refusal is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: setattr(s, "status", 500),
        lambda s: setattr(s, "status", 404),
        lambda s: setattr(s, "status", 204),
        lambda s: s.__dict__.update(status=302, headers={"Location": s.url.replace("/keys", "/other")}),
        lambda s: setattr(s, "body", b""),
        lambda s: setattr(s, "body", b"<html>"),
        lambda s: setattr(s, "body", b"[]"),
        lambda s: setattr(s, "body", b"\xff\xfe{}"),
        lambda s: setattr(s, "body", b'{"keys":[],"keys":[]}'),
        lambda s: setattr(s, "body", b'{"keys":[]}'),
        lambda s: setattr(s, "body", b'{"keys":' + b"[" * 100_000),
        lambda s: setattr(s, "body", json.dumps(jwks(FIRST) | {"x": "y" * 300_000}).encode()),
        lambda s: publish(s, FIRST, public_jwk("RS256", "weak")),
        lambda s: publish(s, FIRST, public_jwk("EdDSA", d="AA")),
        lambda s: publish(s, FIRST, FIRST),
        lambda s: setattr(s, "headers", {"Content-Length": "100000"}),
        lambda s: setattr(s, "headers", {"Content-Encoding": "gzip"}),
        lambda s: setattr(s, "headers", {"Content-Length": "no number"}),
    ],
)
def test_a_bad_answer_counts_as_none_and_the_last_good_set_stays(
    server: Answers, time_stands: Clock, spoil: Callable[[Answers], None]
) -> None:
    good = (server.status, dict(server.headers), server.body)
    spoil(server)
    cache, judge = over(server, time_stands, timeout=1.0)
    assert reason(judge, token()) == "keys-unavailable"
    server.status, server.headers, server.body = good
    assert reason(judge, token()) == "accepted"
    time_stands.advance(hours=1)
    spoil(server)
    assert reason(judge, token()) == "accepted"
    assert cache.fetches == len(server.requests) == 3
    assert {path for _, path, _, _ in server.requests} == {"/keys"}


def test_many_threads_share_one_fetch(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands)
    server.gate.clear()
    with ThreadPoolExecutor(16) as threads:
        verdicts = [threads.submit(reason, judge, token()) for _ in range(16)]
        assert server.arrived.acquire(timeout=5)
        server.gate.set()
        assert {verdict.result(10) for verdict in verdicts} == {"accepted"}
    assert cache.fetches == len(server.requests) == 1


def test_known_keys_do_not_wait_for_a_slow_fetch(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands)
    assert reason(judge, token()) == "accepted"
    for because in ("unknown key", "old set"):
        server.gate.clear()
        text = by_second()
        if because == "old set":
            time_stands.advance(hours=1)
            text = token()
        slow = threading.Thread(target=reason, args=(judge, text))
        while server.arrived.acquire(blocking=False):
            pass
        slow.start()
        assert server.arrived.acquire(timeout=5)
        assert judge.ready_for(token())
        assert reason(judge, token()) == "accepted"
        assert slow.is_alive()
        assert not judge.ready_for(by_second())
        server.gate.set()
        slow.join(10)
    assert cache.fetches == 3


def landed(cache: JwksCache) -> None:
    """Return when no fetch is under way."""
    if (flight := cache._flight) is not None:
        flight.result(10)


@pytest.mark.conformance("RS-44")
def test_a_set_is_renewed_in_the_background_before_it_is_too_old(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands, max_age=300)
    assert reason(judge, token()) == "accepted"
    time_stands.advance(seconds=239)
    assert reason(judge, token()) == "accepted"
    assert cache.fetches == 1
    time_stands.advance(seconds=1)
    server.gate.clear()  # a server that takes its time
    publish(server, FIRST, SECOND)
    assert judge.ready_for(token())
    for _ in range(5):
        assert reason(judge, token()) == "accepted"
    assert cache.fetches == 2
    server.gate.set()
    landed(cache)
    assert judge.ready_for(by_second())
    assert reason(judge, by_second()) == "accepted"
    time_stands.advance(seconds=239)  # counted from the new set
    assert reason(judge, token()) == "accepted"
    assert cache.fetches == len(server.requests) == 2


@pytest.mark.conformance("RS-44")
def test_a_new_key_is_found_though_a_request_that_is_under_way_was_too_early_for_it(
    server: Answers, time_stands: Clock
) -> None:
    cache, judge = over(server, time_stands)
    assert reason(judge, token()) == "accepted"
    time_stands.advance(seconds=240)
    bodies = [json.dumps(jwks(FIRST)).encode(), json.dumps(jwks(FIRST, SECOND)).encode()]
    server.body = lambda _: bodies.pop(0)
    server.gate.clear()
    assert reason(judge, token()) == "accepted"
    with ThreadPoolExecutor(1) as threads:
        verdict = threads.submit(reason, judge, by_second())
        server.gate.set()
        assert verdict.result(10) == "accepted"
    assert cache.fetches == 3


@pytest.mark.conformance("RS-33")
def test_nobody_with_a_known_key_waits_for_a_server_that_hangs(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands, min_interval=30, max_age=300, timeout=0.1)
    assert reason(judge, token()) == "accepted"
    server.gate.clear()
    time_stands.advance(seconds=240)
    waited = 0.0
    for _ in range(12):  # six minutes, most of them with a set that is too old
        assert judge.ready_for(token())
        began = time.monotonic()
        assert reason(judge, token()) == "accepted"
        waited += time.monotonic() - began
        landed(cache)
        time_stands.advance(seconds=30)
    assert waited < 0.5  # and there were twelve time-outs
    assert cache.fetches == 13
    server.gate.set()
    publish(server, SECOND)
    assert reason(judge, token()) == "accepted"  # the last time
    landed(cache)
    assert reason(judge, token()) == "unknown-key"


def test_after_a_quiet_hour_one_caller_waits_a_moment_and_the_others_do_not(
    server: Answers, time_stands: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.tokens.jwks._GLANCE", 0.05)
    cache, judge = over(server, time_stands, timeout=20)
    assert reason(judge, token()) == "accepted"
    time_stands.advance(hours=1)
    server.gate.clear()
    assert not judge.ready_for(token())
    for _ in range(3):
        assert reason(judge, token()) == "accepted"
        assert judge.ready_for(token())
    assert cache.fetches == 2
    server.gate.set()
    landed(cache)


def test_a_cache_that_is_closed_waits_for_nothing_and_keeps_what_it_knows(
    server: Answers, time_stands: Clock
) -> None:
    cache, judge = over(server, time_stands, timeout=20)
    assert reason(judge, token()) == "accepted"
    server.gate.clear()
    time_stands.advance(seconds=240)
    assert reason(judge, token()) == "accepted"
    assert server.arrived.acquire(timeout=5)
    assert server.arrived.acquire(timeout=5)
    began = time.monotonic()
    judge.close()
    assert time.monotonic() - began < 5
    assert cache._flight is None
    time_stands.advance(seconds=100)
    assert reason(judge, token()) == "accepted"
    landed(cache)
    assert reason(judge, by_second()) == "keys-unavailable"
    assert len(server.requests) == 2


def test_without_a_thread_to_fetch_with_it_is_as_if_the_server_were_down(
    server: Answers, time_stands: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    _, judge = over(server, time_stands)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        assert reason(judge, token()) == "keys-unavailable"
    time_stands.advance(seconds=30)
    assert reason(judge, token()) == "accepted"


def test_a_server_that_does_not_answer_is_given_up(server: Answers, time_stands: Clock) -> None:
    _, judge = over(server, time_stands, timeout=0.2)
    server.gate.clear()
    started = time.monotonic()
    assert reason(judge, token()) == "keys-unavailable"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("drip", [b"X", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"])
def test_a_server_that_answers_byte_by_byte_is_given_up(time_stands: Clock, drip: bytes) -> None:
    enough = threading.Event()

    def serve(door: socket.socket) -> None:
        line, _ = door.accept()
        with line, contextlib.suppress(OSError):
            while not enough.wait(0.02):
                line.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=serve, args=(door,))
        thread.start()
        cache = JwksCache(f"http://127.0.0.1:{door.getsockname()[1]}/", clock=time_stands, timeout=0.1)
        started = time.monotonic()
        try:
            assert reason(TokenValidator(ISSUER, AUDIENCE, cache, clock=time_stands), token()) == (
                "keys-unavailable"
            )
            assert time.monotonic() - started < 3
        finally:
            enough.set()
            thread.join(5)


def test_ready_for_tells_when_the_network_is_needed(server: Answers, time_stands: Clock) -> None:
    cache, judge = over(server, time_stands, min_interval=30, max_age=300)
    assert not judge.ready_for(token())
    for refused_anyway in (
        "",
        "a.b.c",
        b"\xff",
        token(header={"alg": "none"}),
        token(header={"kid": None}),
        "x" * 20_000,
        None,
    ):
        assert judge.ready_for(refused_anyway)  # type: ignore[arg-type]
    reason(judge, token())
    assert judge.ready_for(token())
    assert not judge.ready_for(by_second())
    reason(judge, by_second())
    assert judge.ready_for(by_second())
    assert judge.ready_for(token(header={"kid": "third"}))  # asked a moment ago
    time_stands.advance(seconds=30)
    assert not judge.ready_for(by_second())
    time_stands.advance(seconds=300)
    assert not judge.ready_for(token())
    assert cache.fetches == 2


def test_a_clock_that_goes_back_does_not_stop_the_fetching(server: Answers) -> None:
    moment = [1000.0]
    cache = JwksCache(server.url, clock=Clock(lambda: moment[0]))
    judge = TokenValidator(ISSUER, AUDIENCE, cache, clock=frozen())
    for number in range(3):
        reason(judge, token(header={"kid": f"{number}"}))
    moment[0] = 0.0
    assert reason(judge, by_second()) == "unknown-key"
    publish(server, SECOND)
    moment[0] = 60.0
    assert reason(judge, by_second()) == "accepted"


@pytest.mark.parametrize(
    "url",
    ["http://example.org/jwks", "ftp://127.0.0.1/", "127.0.0.1:80/jwks", "", "http://user:pw@127.0.0.1/",
     "/jwks", "http://127.0.0.1.example.org/", "http://[::2]/", "https://", "http://127.0.0.1:x/",
     "https://a.example/#x"],
)  # fmt: skip
def test_keys_are_not_fetched_in_the_clear_from_elsewhere(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        JwksCache(url)
    with pytest.raises(ValueError, match="https"):
        TokenValidator(ISSUER, AUDIENCE, url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8/", "http://localhost/", "http://[::1]:9/", "http://127.9.9.9/"]
)
def test_loopback_is_the_exception(url: str) -> None:
    assert JwksCache(url).fetches == 0


@pytest.mark.parametrize("settings", [{"min_interval": 0}, {"max_age": 0}, {"stale_if_error": -1}])
def test_times_have_to_make_sense(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="seconds"):
        JwksCache("http://127.0.0.1:9/", **settings)


def test_an_unknown_key_is_a_bad_token(server: Answers, time_stands: Clock) -> None:
    _, judge = over(server, time_stands)
    with pytest.raises(InvalidToken, match="unknown-key"):
        judge.validate(by_second(), client_id=CLIENT)
