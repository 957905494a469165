from __future__ import annotations

import pytest

from mangaassist.serving.generation.circuit import CircuitBreaker, CircuitPolicy, CircuitState
from tests.support.clock import FakeClock

POLICY = CircuitPolicy(window_s=30, min_failures=3, failure_ratio=0.5, open_s=10)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def circuit(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker(POLICY, clock)


def state_of(circuit: CircuitBreaker) -> CircuitState:
    return circuit.state


def fail(circuit: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert circuit.try_acquire()
        circuit.record_failure()


def succeed(circuit: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert circuit.try_acquire()
        circuit.record_success()


def test_circuit_opens_at_the_limit_of_failures(circuit: CircuitBreaker) -> None:
    fail(circuit, 2)
    assert state_of(circuit) == "closed"

    fail(circuit, 1)

    assert state_of(circuit) == "open"
    assert not circuit.try_acquire()


def test_failures_among_many_successes_keep_it_closed(circuit: CircuitBreaker) -> None:
    succeed(circuit, 10)
    fail(circuit, 9)
    assert state_of(circuit) == "closed"

    fail(circuit, 1)  # 10 of 20

    assert state_of(circuit) == "open"


def test_failures_older_than_the_window_are_forgotten(circuit: CircuitBreaker, clock: FakeClock) -> None:
    fail(circuit, 2)
    clock.advance(30.1)

    fail(circuit, 2)

    assert state_of(circuit) == "closed"


def test_after_the_pause_one_probe_is_let_through(circuit: CircuitBreaker, clock: FakeClock) -> None:
    fail(circuit, 3)
    clock.advance(9.9)
    assert not circuit.try_acquire()
    clock.advance(0.1)

    assert state_of(circuit) == "half_open"
    assert [circuit.try_acquire() for _ in range(3)] == [True, False, False]


def test_probe_that_works_closes_the_circuit_with_a_clean_slate(
    circuit: CircuitBreaker, clock: FakeClock
) -> None:
    fail(circuit, 3)
    clock.advance(10)

    succeed(circuit, 1)
    fail(circuit, 2)

    assert state_of(circuit) == "closed"


def test_probe_that_fails_opens_the_circuit_for_another_pause(
    circuit: CircuitBreaker, clock: FakeClock
) -> None:
    fail(circuit, 3)
    clock.advance(10)
    fail(circuit, 1)

    assert state_of(circuit) == "open"
    clock.advance(10)
    assert circuit.try_acquire()


def test_abandoned_probe_makes_room_for_the_next(circuit: CircuitBreaker, clock: FakeClock) -> None:
    fail(circuit, 3)
    clock.advance(10)
    assert circuit.try_acquire()
    circuit.record_abandoned()

    assert state_of(circuit) == "half_open"
    assert circuit.try_acquire()


def test_lost_probe_does_not_block_for_ever(circuit: CircuitBreaker, clock: FakeClock) -> None:
    fail(circuit, 3)
    clock.advance(10)
    assert circuit.try_acquire()
    assert not circuit.try_acquire()

    clock.advance(30)

    assert circuit.try_acquire()


def test_calls_begun_before_it_opened_do_not_move_it(circuit: CircuitBreaker, clock: FakeClock) -> None:
    assert circuit.try_acquire()
    assert circuit.try_acquire()
    fail(circuit, 3)
    clock.advance(5)
    circuit.record_success()
    circuit.record_failure()
    assert state_of(circuit) == "open"

    clock.advance(5)

    assert state_of(circuit) == "half_open"


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_s": 0},
        {"open_s": -1},
        {"min_failures": 0},
        {"probes": 0},
        {"failure_ratio": 0},
        {"failure_ratio": 1.1},
    ],
)
def test_senseless_policy_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CircuitPolicy(**wrong)  # type: ignore[arg-type]  # the values are wrong on purpose
