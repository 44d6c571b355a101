"""Faults to order: what a client of the authorization server sees on the wire, and what it does not."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from support_authserver import Party, running

from labkit.authserver.faults import Faults
from labkit.tokens.fetch import Endpoint, FetchFailed


@pytest.fixture(scope="module")
def shared() -> Iterator[Party]:
    with running() as each:
        yield each


@pytest.fixture
def party(shared: Party) -> Iterator[Party]:
    yield shared
    shared.server.faults.clear()


def keys(party: Party, **options: Any) -> httpx.Response:
    return party.http.get(party.server.jwks_uri, **options)


def test_a_status_is_answered_on_one_path_until_it_ends(party: Party) -> None:
    faults, device = party.server.faults, party.device()
    with faults.status(503, path="/oauth2/jwks", retry_after=30) as fault:
        for _ in range(2):
            answer = keys(party)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert party.token(device).status_code == 200
    assert keys(party).status_code == 200
    assert fault.hits == 2
    with faults.status(429, path=party.server.token_endpoint):  # the whole URL names the path as well
        assert party.token(device).status_code == 429
    with faults.status(204):
        assert keys(party).content == b""


def test_a_fault_without_a_path_meets_every_request_and_is_used_up(party: Party) -> None:
    fault = party.server.faults.status(500, times=2)
    assert keys(party).status_code == 500
    assert party.token(party.device()).status_code == 500
    assert keys(party).status_code == 200
    assert fault.hits == 2


def test_garbage_is_what_a_relying_party_must_not_take(party: Party) -> None:
    endpoint = Endpoint(party.server.jwks_uri)
    with party.server.faults.garbage(path="/oauth2/jwks"):
        assert keys(party).headers["content-type"] == "application/json"
        with pytest.raises(FetchFailed, match="something else than JSON"):
            endpoint.get()
    with party.server.faults.garbage(b'{"keys":[],"keys":[]}', path="/oauth2/jwks"):
        assert keys(party).text.startswith('{"keys"')
        with pytest.raises(FetchFailed, match="something else than JSON"):
            endpoint.get()
    assert endpoint.get()["keys"]


def test_a_dropped_connection_says_nothing(party: Party, caplog: pytest.LogCaptureFixture) -> None:
    with party.server.faults.drop() as fault:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            keys(party)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            party.token(party.device())
        assert party.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert fault.hits == 3
    assert keys(party).status_code == 200
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_what_is_held_back_is_answered_after_the_release(party: Party) -> None:
    with ThreadPoolExecutor(3) as threads:
        fault = party.server.faults.hold(path="/oauth2/jwks")
        waiting = [threads.submit(httpx.get, party.server.jwks_uri, timeout=20) for _ in range(3)]
        fault.wait(3)
        assert not any(each.done() for each in waiting)
        assert party.http.get(party.server.issuer + "/healthz").status_code == 200  # the server goes on
        fault.release()
        assert [each.result(10).status_code for each in waiting] == [200, 200, 200]
    assert keys(party).status_code == 200
    with pytest.raises(TimeoutError, match="3 of 4 requests"):
        fault.wait(4, timeout=0)


def test_a_held_request_goes_on_where_the_next_fault_is(party: Party) -> None:
    hold = party.server.faults.hold(times=1)
    status = party.server.faults.status(503)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(httpx.get, party.server.jwks_uri, timeout=20)
        hold.wait()
        assert status.hits == 0
        hold.release()
        assert waiting.result(10).status_code == 503
    assert repr(party.server.faults) == "<Faults: status 503>"


def test_a_delay_is_real_time_and_can_be_cut_short(party: Party) -> None:
    with party.server.faults.delay(0.05):
        began = time.perf_counter()
        assert keys(party).status_code == 200
        assert time.perf_counter() - began >= 0.05
    fault = party.server.faults.delay(3600)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(httpx.get, party.server.jwks_uri, timeout=20)
        fault.wait()
        fault.end()
        assert waiting.result(10).status_code == 200


def test_a_dripping_answer_is_whole_in_the_end_and_too_slow_for_a_relying_party(party: Party) -> None:
    whole = keys(party).content
    with party.server.faults.drip(0) as fault:
        assert keys(party).content == whole
    assert fault.hits == 1
    with (
        party.server.faults.drip(0.02, path="/oauth2/jwks"),
        pytest.raises(FetchFailed, match=r"took longer|did not answer"),
    ):
        Endpoint(party.server.jwks_uri, timeout=0.1).get()


ORDERS: list[Callable[[Faults], Any]] = [
    lambda faults: faults.hold(),
    lambda faults: faults.delay(3600),
    lambda faults: faults.drip(3600),
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_server_stops_at_once_and_keeps_its_faults(
    order: Callable[[Faults], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with running() as party:
        device = party.device()
        fault = order(party.server.faults)
        with ThreadPoolExecutor(2) as threads:
            waiting = [threads.submit(keys, party), threads.submit(party.token, device)]
            fault.wait(2)
            began = time.perf_counter()
            party.server.stop()
            assert time.perf_counter() - began < 1
            for each in waiting:
                with pytest.raises(httpx.HTTPError):
                    each.result(10)
        party.server.start()
        with party.server.faults.status(503, times=1), ThreadPoolExecutor(1) as threads:
            waiting = [threads.submit(keys, party)]
            fault.wait(3)
            fault.end()
            assert waiting[0].result(10).status_code == 503
        assert keys(party).status_code == 200
        assert len(party.record.events("token.issued")) <= 1  # drip: issued, and lost on its way
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_each_hit_is_in_the_record(party: Party) -> None:
    mark = party.record.mark()
    with party.server.faults.status(503, path="/oauth2/jwks"):
        keys(party)
    (event,) = party.record.events("fault", since=mark)
    assert dict(event.facts) == {"what": "status 503", "path": "/oauth2/jwks"}


def test_orders_and_requests_from_many_threads_are_all_counted(party: Party) -> None:
    fault = party.server.faults.status(503, path="/oauth2/jwks", times=40)
    stop = threading.Event()

    def others() -> None:
        while not stop.is_set():
            party.server.faults.delay(0, path="/elsewhere").end()

    other = threading.Thread(target=others)
    other.start()
    try:
        with ThreadPoolExecutor(8) as threads:
            codes = list(threads.map(lambda _: keys(party).status_code, range(60)))
    finally:
        stop.set()
        other.join()
    assert (codes.count(503), codes.count(200), fault.hits) == (40, 20, 40)


@pytest.mark.parametrize(
    "order",
    [
        lambda faults: faults.delay(-1),
        lambda faults: faults.delay(float("inf")),
        lambda faults: faults.drip(float("nan")),
        lambda faults: faults.status(100),
        lambda faults: faults.drop(times=0),
        lambda faults: faults.hold(path="jwks"),
        lambda faults: faults.hold(path=""),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: Callable[[Faults], Any]) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=r"seconds|status|times|path"):
        order(faults)
    assert repr(faults) == "<Faults: none>"
