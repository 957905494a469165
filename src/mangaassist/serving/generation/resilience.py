"""A text model that survives a bad minute: retries, circuit breakers, a fallback model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from mangaassist.domain.errors import (
    DependencyError,
    DependencyRejectedError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.generation import (
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    ModelParameters,
    TextDelta,
)
from mangaassist.domain.throttling import RetryAfterError
from mangaassist.ports.clock import Clock
from mangaassist.ports.text_models import TextModel
from mangaassist.serving.generation.circuit import CircuitBreaker, CircuitPolicy, CircuitState

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResiliencePolicy:
    """How hard to try before giving up.

    `attempts` are calls per model. Of `deadline_s`, the time until the last word, the last
    `fallback_reserve_s` belong to the fallback model if there is one.
    """

    attempts: int = 3
    backoff_base_s: float = 0.2
    backoff_cap_s: float = 2.0
    first_event_s: float = 8.0
    idle_s: float = 10.0
    deadline_s: float = 20.0
    fallback_reserve_s: float = 6.0
    fall_back_when_rejected: bool = True
    circuit: CircuitPolicy = field(default_factory=CircuitPolicy)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, got {self.attempts!r}")
        if not 0 <= self.fallback_reserve_s < self.deadline_s:
            raise ValueError(
                f"fallback_reserve_s must be in [0, deadline_s), got {self.fallback_reserve_s!r}"
                f" of {self.deadline_s!r}"
            )
        if min(self.first_event_s, self.idle_s) <= 0 or min(self.backoff_base_s, self.backoff_cap_s) < 0:
            raise ValueError("time limits must be positive and backoffs not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackModel:
    """The model asked when the primary one fails; `parameters` None keeps the request's."""

    model: TextModel
    model_id: str
    parameters: ModelParameters | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One model to try, until its share of the deadline is over."""

    model: TextModel
    request: GenerationRequest
    give_up_ns: int
    is_fallback: bool


@dataclass(slots=True)
class _Progress:
    """What has happened in one generation so far; `retries` counts repeated calls of a model."""

    started_ns: int
    retries: int = 0
    first_text_ns: int | None = None


class ResilientTextModel:
    """Retries and falls back while nothing has been said yet; keeps the promises of `TextModel`.

    Once text has been emitted, a failure is raised at once, so that the caller can replace the
    text. A call that was rejected is never repeated; it leaves the circuit alone, and the fallback
    model, whose call is a different one, is asked unless the policy says otherwise. When nothing
    helps, the last `DependencyError` is raised and the caller uses its fallback template.
    """

    def __init__(
        self,
        primary: TextModel,
        *,
        clock: Clock,
        random: Random,
        fallback: FallbackModel | None = None,
        policy: ResiliencePolicy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._primary = primary
        self._fallback = fallback
        self._policy = policy or ResiliencePolicy()
        self._clock = clock
        self._random = random
        self._sleep = sleep
        self._circuits: dict[str, CircuitBreaker] = {}

    @property
    def provider(self) -> str:
        """Name of the primary model's provider; each `GenerationFinished` names the one that answered."""
        return self._primary.provider

    @property
    def circuit_states(self) -> dict[str, CircuitState]:
        """State of every circuit by model id, for health pages."""
        return {model_id: circuit.state for model_id, circuit in self._circuits.items()}

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        """Generate; `time_to_first_token_ms` runs from here, waits and failed calls included."""
        progress = _Progress(started_ns=self._clock.monotonic_ns())
        failure: DependencyError | None = None
        for candidate in self._candidates(request, progress.started_ns):
            circuit = self._circuit(candidate.request.model_id)
            for attempt in range(self._policy.attempts):
                if not circuit.try_acquire():
                    failure = failure or DependencyUnavailableError(
                        f"the circuit of model {candidate.request.model_id!r} is open"
                    )
                    break
                progress.retries += attempt > 0
                events = self._attempt(candidate, circuit, progress)
                try:
                    async for event in events:
                        yield event
                    return
                except DependencyError as error:
                    if progress.first_text_ns is not None:
                        raise
                    failure = error
                finally:
                    await events.aclose()
                if isinstance(failure, DependencyRejectedError):
                    break
                if attempt + 1 == self._policy.attempts or not await self._waited(
                    failure, attempt, candidate.give_up_ns
                ):
                    break
            if isinstance(failure, DependencyRejectedError) and not self._policy.fall_back_when_rejected:
                break
        assert failure is not None  # every way out of the loops above sets it
        failure.add_note(f"gave up after {progress.retries} retries")
        raise failure

    async def close(self) -> None:
        """Close both models; idempotent."""
        try:
            await self._primary.close()
        finally:
            if self._fallback is not None:
                await self._fallback.model.close()

    def _candidates(self, request: GenerationRequest, started_ns: int) -> Iterator[_Candidate]:
        policy, fallback = self._policy, self._fallback
        share_s = policy.deadline_s - (policy.fallback_reserve_s if fallback else 0.0)
        yield _Candidate(
            model=self._primary,
            request=request,
            give_up_ns=started_ns + int(share_s * _NS_PER_S),
            is_fallback=False,
        )
        if fallback is not None:
            yield _Candidate(
                model=fallback.model,
                request=replace(
                    request,
                    model_id=fallback.model_id,
                    parameters=fallback.parameters or request.parameters,
                ),
                give_up_ns=started_ns + int(policy.deadline_s * _NS_PER_S),
                is_fallback=True,
            )

    def _circuit(self, model_id: str) -> CircuitBreaker:
        circuit = self._circuits.get(model_id)
        if circuit is None:
            circuit = self._circuits[model_id] = CircuitBreaker(self._policy.circuit, self._clock)
        return circuit

    async def _attempt(
        self, candidate: _Candidate, circuit: CircuitBreaker, progress: _Progress
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Run one call, under its time limits, and tell the circuit how it went."""
        events = candidate.model.stream(candidate.request)
        reported = False
        try:
            limit_s = self._policy.first_event_s
            while True:
                event = await self._next_event(events, candidate, progress, limit_s)
                if isinstance(event, GenerationFinished):
                    circuit.record_success()
                    reported = True
                    yield self._completed(event, candidate, progress)
                    return
                if progress.first_text_ns is None:
                    progress.first_text_ns = self._clock.monotonic_ns()
                limit_s = self._policy.idle_s
                yield event
        except DependencyRejectedError:
            raise
        except DependencyError:
            circuit.record_failure()
            reported = True
            raise
        finally:
            if not reported:
                circuit.record_abandoned()
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _next_event(
        self,
        events: AsyncIterator[GenerationEvent],
        candidate: _Candidate,
        progress: _Progress,
        limit_s: float,
    ) -> TextDelta | GenerationFinished:
        """Return the next event within `limit_s` and the deadline.

        Before the first text the deadline is the candidate's share; an answer under way may use
        the whole, because nobody else can continue it.
        """
        give_up_ns = candidate.give_up_ns
        if progress.first_text_ns is not None:
            give_up_ns = progress.started_ns + int(self._policy.deadline_s * _NS_PER_S)
        left_s = (give_up_ns - self._clock.monotonic_ns()) / _NS_PER_S
        if left_s <= 0:
            raise DependencyTimeoutError(f"no answer within {self._policy.deadline_s} s")
        limit_s = min(limit_s, left_s)
        try:
            async with asyncio.timeout(limit_s):
                return await anext(events)
        except TimeoutError as error:
            raise DependencyTimeoutError(f"the model was silent for {limit_s:.3g} s") from error
        except StopAsyncIteration as error:
            raise DependencyUnavailableError("the model's stream ended without its last event") from error

    def _completed(
        self, event: GenerationFinished, candidate: _Candidate, progress: _Progress
    ) -> GenerationFinished:
        first_text_ms = None
        if progress.first_text_ns is not None:
            first_text_ms = (progress.first_text_ns - progress.started_ns) / _NS_PER_MS
        return replace(
            event,
            retries=progress.retries,
            fallback_used=candidate.is_fallback,
            time_to_first_token_ms=first_text_ms,
        )

    async def _waited(self, failure: DependencyError, attempt: int, give_up_ns: int) -> bool:
        """Wait before the next attempt; say False, without waiting, when there is no time for it.

        Full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS 2015), but never less than
        the dependency asked for.
        """
        policy = self._policy
        wait_s = self._random.uniform(0, min(policy.backoff_cap_s, policy.backoff_base_s * 2**attempt))
        if isinstance(failure, RetryAfterError):
            wait_s = max(wait_s, failure.retry_after_s)
        if self._clock.monotonic_ns() + wait_s * _NS_PER_S >= give_up_ns:
            return False
        await self._sleep(wait_s)
        return True
