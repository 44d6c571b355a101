"""The clock: advance fires what is due, in order, each at its own moment."""

import threading
from concurrent.futures import Future

import pytest

from labkit.clock import Clock


def test_a_clock_tells_unix_time_and_moves_by_what_it_is_told(clock: Clock) -> None:
    began = clock.now()
    assert clock.advance(seconds=30, minutes=2, hours=1) == began + 3750
    assert clock.now() == began + 3750


@pytest.mark.parametrize("span", [-1, float("inf"), float("nan")])
def test_time_only_moves_forward(clock: Clock, span: float) -> None:
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(seconds=span)


def test_a_timer_sees_the_clock_at_its_own_moment_and_in_order(clock: Clock) -> None:
    began, seen = clock.now(), []
    for delay in (50, 10, 30):
        clock.call_at(began + delay, lambda: seen.append(clock.now() - began))
    clock.advance(seconds=40)
    assert seen == [10, 30]
    clock.advance(seconds=10)
    assert seen == [10, 30, 50]


def test_a_timer_armed_by_a_timer_takes_part_in_the_same_advance(clock: Clock) -> None:
    began, seen = clock.now(), []

    def again() -> None:
        seen.append(clock.now() - began)
        clock.call_at(clock.now() + 240, again)

    clock.call_at(began + 240, again)
    clock.advance(hours=1)
    assert len(seen) == 15


def test_a_cancelled_timer_stays_silent_and_many_of_them_leave_no_trace(clock: Clock) -> None:
    seen: list[int] = []
    for _ in range(1000):
        clock.call_at(clock.now() + 60, lambda: seen.append(1)).cancel()
    kept = clock.call_at(clock.now() + 60, lambda: seen.append(2))
    assert kept.pending
    assert len(clock._queue) < 200
    clock.advance(seconds=60)
    assert seen == [2]
    assert not kept.pending


def test_advance_waits_for_the_work_a_timer_started_elsewhere(clock: Clock) -> None:
    work: Future[None] = Future()
    done = threading.Event()

    def elsewhere() -> None:
        done.set()
        work.set_result(None)

    def start() -> Future[None]:
        threading.Thread(target=elsewhere).start()
        return work

    clock.call_at(clock.now() + 1, start)
    clock.advance(seconds=2)
    assert work.done()
    assert done.is_set()


def test_a_timer_that_fails_does_not_stop_the_others(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def fail() -> None:
        raise RuntimeError("on purpose")

    clock.call_at(clock.now() + 1, fail)
    clock.call_at(clock.now() + 2, lambda: seen.append(1))
    clock.advance(seconds=3)
    assert seen == [1]
    assert "on purpose" in caplog.text


def test_a_callback_cannot_advance_the_clock_that_calls_it(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.call_at(clock.now() + 1, lambda: clock.advance(seconds=1) and None)
    clock.advance(seconds=2)
    assert "cannot advance the clock that is calling it" in caplog.text


def test_a_running_clock_fires_by_itself() -> None:
    clock, fired = Clock(), threading.Event()
    try:
        clock.call_at(clock.now(), fired.set)
        assert fired.wait(5)
    finally:
        clock.close()


def test_two_threads_advance_in_turn(clock: Clock) -> None:
    began = clock.now()
    threads = [threading.Thread(target=lambda: clock.advance(seconds=1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == began + 8


def test_a_closed_clock_has_no_thread_and_takes_no_timer() -> None:
    clock = Clock()
    clock.call_at(clock.now() + 3600, lambda: None)
    clock.close()
    assert not any(thread.name == "labkit-clock" for thread in threading.enumerate())
    with pytest.raises(RuntimeError, match="closed"):
        clock.call_at(clock.now(), lambda: None)


@pytest.mark.parametrize("skew", [90, -90, 0.5])
def test_a_skewed_clock_is_off_and_moves_along(clock: Clock, skew: float) -> None:
    began, seen = clock.now(), []
    off = clock.skewed(skew)
    assert off.now() == began + skew
    off.call_at(began + skew + 20, lambda: seen.append((off.now() - began, clock.now() - began)))
    clock.call_at(began + 10, lambda: seen.append((0.0, clock.now() - began)))
    assert off.advance(seconds=20) == began + skew + 20
    assert seen == [(0.0, 10), (skew + 20, 20)]
    cancelled = off.call_at(off.now() + 5, lambda: seen.append((0.0, 0.0)))
    cancelled.cancel()
    off.close()  # a view has nothing to close
    clock.advance(seconds=10)
    assert len(seen) == 2
    assert off.skewed(-skew).now() == clock.now()
    assert clock.skewed(0) is clock


def test_a_clock_is_off_by_a_number(clock: Clock) -> None:
    for nonsense in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match="seconds"):
            clock.skewed(nonsense)
