"""A circuit breaker: stops calling what keeps failing, and tries again later."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from mangaassist.ports.clock import Clock

CircuitState = Literal["closed", "open", "half_open"]

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPolicy:
    """When to open and how to close again.

    It opens when, within `window_s`, at least `min_failures` calls failed and these are at least
    `failure_ratio` of all calls; after `open_s` it lets `probes` calls at a time through.
    """

    window_s: float = 30.0
    min_failures: int = 5
    failure_ratio: float = 0.5
    open_s: float = 10.0
    probes: int = 1

    def __post_init__(self) -> None:
        if self.window_s <= 0 or self.open_s <= 0:
            raise ValueError(f"window_s and open_s must be positive, got {self.window_s!r}, {self.open_s!r}")
        if self.min_failures < 1 or self.probes < 1:
            raise ValueError(
                f"min_failures and probes must be at least 1, got {self.min_failures!r}, {self.probes!r}"
            )
        if not 0 < self.failure_ratio <= 1:
            raise ValueError(f"failure_ratio must be in (0, 1], got {self.failure_ratio!r}")


class CircuitBreaker:
    """Counts outcomes of calls to one model; used from one event loop, so it holds no lock.

    Every `try_acquire` that returned True is followed by exactly one `record_success`,
    `record_failure` or `record_abandoned`.
    """

    def __init__(self, policy: CircuitPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._outcomes: deque[tuple[int, bool]] = deque()  # (time, failed), oldest first
        self._failures = 0
        self._opened_at_ns: int | None = None
        self._probes: deque[int] = deque()  # start times of probes under way

    @property
    def state(self) -> CircuitState:
        """Closed, open, or half-open once the pause is over."""
        if self._opened_at_ns is None:
            return "closed"
        waited_ns = self._clock.monotonic_ns() - self._opened_at_ns
        return "half_open" if waited_ns >= self._policy.open_s * _NS_PER_S else "open"

    def try_acquire(self) -> bool:
        """Say whether a call may be made now; half-open admits only the probes."""
        state = self.state
        if state == "closed":
            return True
        if state == "open":
            return False
        now_ns = self._clock.monotonic_ns()
        # A probe that never reports (its task was killed) must not block the circuit for ever.
        while self._probes and now_ns - self._probes[0] >= self._policy.window_s * _NS_PER_S:
            self._probes.popleft()
        if len(self._probes) >= self._policy.probes:
            return False
        self._probes.append(now_ns)
        return True

    def record_success(self) -> None:
        """Count a call that worked; in half-open it closes the circuit."""
        state = self.state
        if state == "open":
            return  # began before the circuit opened
        if state == "half_open":
            self._close()
        self._count(failed=False)

    def record_failure(self) -> None:
        """Count a call that failed; in half-open it opens the circuit again."""
        state = self.state
        if state == "open":
            return  # began before the circuit opened
        if state == "half_open":
            self._open()
            return
        self._count(failed=True)
        policy = self._policy
        enough = self._failures >= policy.min_failures
        if enough and self._failures >= policy.failure_ratio * len(self._outcomes):
            self._open()

    def record_abandoned(self) -> None:
        """Count nothing: the call ended without telling anything about the model's health."""
        if self._probes:
            self._probes.popleft()

    def _count(self, *, failed: bool) -> None:
        now_ns = self._clock.monotonic_ns()
        self._outcomes.append((now_ns, failed))
        self._failures += failed
        oldest_ns = now_ns - self._policy.window_s * _NS_PER_S
        while self._outcomes[0][0] < oldest_ns:
            self._failures -= self._outcomes.popleft()[1]

    def _open(self) -> None:
        self._opened_at_ns = self._clock.monotonic_ns()
        self._forget()

    def _close(self) -> None:
        self._opened_at_ns = None
        self._forget()

    def _forget(self) -> None:
        self._outcomes.clear()
        self._failures = 0
        self._probes.clear()
