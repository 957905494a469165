"""Rate limits and load shedding, in process."""

from __future__ import annotations

from collections import OrderedDict

from mangaassist.domain.errors import RateLimitedError
from mangaassist.ports.clock import Clock
from mangaassist.web.problems import Problem, ProblemError

MAX_KEYS = 50_000


class RateLimiter:
    """A token bucket per key: `per_minute` sustained, the same amount at once; oldest keys are forgotten."""

    def __init__(self, *, per_minute: int, clock: Clock) -> None:
        self._capacity = float(per_minute)
        self._per_ns = per_minute / 60e9
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> None:
        """Take one token, or raise `RateLimitedError` with the time until the next."""
        now = self._clock.monotonic_ns()
        tokens, seen = self._buckets.pop(key, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - seen) * self._per_ns)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        if not allowed:
            retry_after_s = (1 - tokens) / self._per_ns / 1e9
            raise RateLimitedError("too many requests; please slow down", retry_after_s=retry_after_s)


class ConcurrencyGate:
    """Admits a bounded number of answers at once; the rest is told to come back."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self.running = 0

    def enter(self) -> None:
        """Take a place, or raise a 503 problem."""
        if self.running >= self._limit:
            raise ProblemError(
                Problem(
                    status=503,
                    title="Busy",
                    detail="The assistant is busy; please try again in a moment.",
                    kind="busy",
                    retry_after_s=1,
                )
            )
        self.running += 1

    def leave(self) -> None:
        """Give the place back."""
        self.running -= 1
