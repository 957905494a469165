from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from random import Random
from typing import cast

import pytest

from mangaassist.domain.errors import (
    DependencyError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.generation import GenerationEvent, GenerationFinished, ModelParameters, TextDelta
from mangaassist.domain.throttling import RetryAfterError
from mangaassist.serving.generation.circuit import CircuitPolicy
from mangaassist.serving.generation.resilience import FallbackModel, ResiliencePolicy, ResilientTextModel
from tests.support.clock import FakeClock
from tests.support.scripted_text_model import ScriptedTextModel
from tests.support.text_models import a_request

DOWN = DependencyUnavailableError("down")
BUSY = DependencyThrottledError("busy")
REFUSED = DependencyRejectedError("no")
REQUEST = a_request("primary-model")


class Bench:
    """A resilient model on a fake clock; sleeping only moves the clock and is written down."""

    def __init__(
        self,
        primary: ScriptedTextModel,
        fallback: ScriptedTextModel | None = None,
        policy: ResiliencePolicy | None = None,
        clock: FakeClock | None = None,
        fallback_parameters: ModelParameters | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.slept: list[float] = []
        self.seen: list[GenerationEvent] = []
        self.model = ResilientTextModel(
            primary,
            fallback=(
                FallbackModel(model=fallback, model_id="fallback-model", parameters=fallback_parameters)
                if fallback
                else None
            ),
            policy=policy,
            clock=self.clock,
            random=Random(7),
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    async def ask(self) -> GenerationFinished:
        self.seen = []
        async for event in self.model.stream(REQUEST):
            self.seen.append(event)
        last = self.seen[-1]
        assert isinstance(last, GenerationFinished)
        return last

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.seen if isinstance(event, TextDelta))


async def test_good_call_passes_through_untouched() -> None:
    primary = ScriptedTextModel(["Try ", "Berserk."])
    bench = Bench(primary)

    finished = await bench.ask()

    assert bench.text == "Try Berserk."
    assert (finished.retries, finished.fallback_used, finished.model_id) == (0, False, "primary-model")
    assert bench.slept == []


@pytest.mark.parametrize("failure", [DOWN, BUSY, DependencyTimeoutError("late")])
async def test_failures_before_the_first_text_are_retried(failure: DependencyError) -> None:
    primary = ScriptedTextModel([failure], [failure], ["Berserk."])
    bench = Bench(primary)

    finished = await bench.ask()

    assert bench.text == "Berserk."
    assert (primary.calls, finished.retries, finished.fallback_used) == (3, 2, False)
    assert primary.open_streams == 0


async def test_waits_have_full_jitter_under_a_growing_ceiling() -> None:
    policy = ResiliencePolicy(
        attempts=6,
        backoff_base_s=0.2,
        backoff_cap_s=1.0,
        deadline_s=60,
        circuit=CircuitPolicy(min_failures=100),
    )
    waits: list[list[float]] = []
    for seed in range(300):
        bench = Bench(ScriptedTextModel([DOWN]), policy=policy)
        bench.model._random = Random(seed)
        with pytest.raises(DependencyUnavailableError):
            await bench.ask()
        waits.append(bench.slept)

    for position, ceiling in enumerate([0.2, 0.4, 0.8, 1.0, 1.0]):
        drawn = [row[position] for row in waits]
        assert 0 <= min(drawn) < 0.1 * ceiling
        assert 0.9 * ceiling < max(drawn) <= ceiling


async def test_wait_is_never_shorter_than_asked_for() -> None:
    bench = Bench(ScriptedTextModel([RetryAfterError("busy", retry_after_s=3)], ["Berserk."]))

    await bench.ask()

    assert bench.slept == [3]


async def test_retry_after_beyond_the_deadline_goes_to_the_fallback_without_waiting() -> None:
    fallback = ScriptedTextModel(["From the fallback."])
    bench = Bench(ScriptedTextModel([RetryAfterError("busy", retry_after_s=60)]), fallback)

    finished = await bench.ask()

    assert bench.slept == []
    assert (bench.text, finished.fallback_used) == ("From the fallback.", True)


async def test_nothing_is_retried_once_text_has_been_emitted() -> None:
    primary, fallback = ScriptedTextModel(["Try ", DOWN]), ScriptedTextModel(["other"])
    bench = Bench(primary, fallback)

    with pytest.raises(DependencyUnavailableError, match="down"):
        await bench.ask()

    assert bench.text == "Try "
    assert (primary.calls, fallback.calls) == (1, 0)


async def test_fallback_is_asked_with_its_own_model_and_parameters() -> None:
    fallback = ScriptedTextModel([DOWN], ["From the fallback."], provider="other")
    parameters = ModelParameters(temperature=0.0, max_tokens=50)
    primary = ScriptedTextModel([DOWN])
    bench = Bench(primary, fallback, fallback_parameters=parameters)

    finished = await bench.ask()

    assert (primary.calls, fallback.calls) == (3, 2)
    assert fallback.requests[0].parameters == parameters
    assert fallback.requests[0].messages == REQUEST.messages
    assert (finished.model_id, finished.provider) == ("fallback-model", "other")
    assert (finished.retries, finished.fallback_used) == (3, True)


async def test_fallback_without_parameters_keeps_those_of_the_request() -> None:
    fallback = ScriptedTextModel(["ok"])
    await Bench(ScriptedTextModel([DOWN]), fallback).ask()

    assert fallback.requests[0].parameters == REQUEST.parameters


async def test_last_error_is_raised_when_nothing_helps() -> None:
    primary, fallback = ScriptedTextModel([DOWN]), ScriptedTextModel([BUSY])
    bench = Bench(primary, fallback)

    with pytest.raises(DependencyThrottledError) as raised:
        await bench.ask()

    assert (primary.calls, fallback.calls) == (3, 3)
    assert "4 retries" in raised.value.__notes__[-1]


async def test_rejected_call_is_never_repeated_but_the_fallback_is_asked_once() -> None:
    primary, fallback = ScriptedTextModel([REFUSED]), ScriptedTextModel([REFUSED])
    bench = Bench(primary, fallback)

    with pytest.raises(DependencyRejectedError):
        await bench.ask()

    assert (primary.calls, fallback.calls, bench.slept) == (1, 1, [])


async def test_rejected_call_goes_nowhere_else_when_the_policy_says_so() -> None:
    primary, fallback = ScriptedTextModel([REFUSED]), ScriptedTextModel(["other"])
    bench = Bench(primary, fallback, ResiliencePolicy(fall_back_when_rejected=False))

    with pytest.raises(DependencyRejectedError):
        await bench.ask()

    assert fallback.calls == 0


async def test_rejections_never_open_the_circuit() -> None:
    bench = Bench(ScriptedTextModel([REFUSED]))
    for _ in range(50):
        with pytest.raises(DependencyRejectedError):
            await bench.ask()

    assert bench.model.circuit_states == {"primary-model": "closed"}


async def test_open_circuit_sends_calls_straight_to_the_fallback() -> None:
    primary, fallback = ScriptedTextModel([DOWN]), ScriptedTextModel(["ok"])
    bench = Bench(primary, fallback)
    await bench.ask()
    await bench.ask()
    assert bench.model.circuit_states["primary-model"] == "open"
    calls = primary.calls

    finished = await bench.ask()

    assert primary.calls == calls == 5  # the circuit opened at the fifth failure
    assert (finished.retries, finished.fallback_used) == (0, True)


async def test_open_circuit_without_fallback_is_unavailable_at_once() -> None:
    policy = ResiliencePolicy(circuit=CircuitPolicy(min_failures=3))
    primary = ScriptedTextModel([BUSY])
    bench = Bench(primary, policy=policy)
    with pytest.raises(DependencyThrottledError):
        await bench.ask()

    with pytest.raises(DependencyUnavailableError, match="circuit of model 'primary-model' is open"):
        await bench.ask()

    assert primary.calls == 3


async def test_model_is_used_again_once_a_probe_has_worked() -> None:
    policy = ResiliencePolicy(circuit=CircuitPolicy(min_failures=3, open_s=10))
    primary = ScriptedTextModel([DOWN], [DOWN], [DOWN], ["back"])
    bench = Bench(primary, ScriptedTextModel(["fallback"]), policy)
    await bench.ask()
    bench.clock.advance(10)

    finished = await bench.ask()

    assert (bench.text, finished.fallback_used) == ("back", False)
    assert bench.model.circuit_states["primary-model"] == "closed"


async def test_failures_after_the_first_text_count_for_the_circuit() -> None:
    policy = ResiliencePolicy(circuit=CircuitPolicy(min_failures=2))
    bench = Bench(ScriptedTextModel(["Try ", DOWN]), policy=policy)
    for _ in range(2):
        with pytest.raises(DependencyUnavailableError):
            await bench.ask()

    assert bench.model.circuit_states["primary-model"] == "open"


async def test_silence_before_the_first_text_is_cut_off_and_retried() -> None:
    primary = ScriptedTextModel([None], ["Berserk."])
    bench = Bench(primary, policy=ResiliencePolicy(first_event_s=0.01))

    finished = await bench.ask()

    assert (bench.text, finished.retries, primary.open_streams) == ("Berserk.", 1, 0)


async def test_silence_after_the_first_text_is_a_timeout() -> None:
    primary = ScriptedTextModel(["Try ", None])
    bench = Bench(primary, policy=ResiliencePolicy(idle_s=0.01))

    with pytest.raises(DependencyTimeoutError):
        await bench.ask()

    assert (primary.calls, primary.open_streams) == (1, 0)


async def test_primary_leaves_the_fallback_its_share_of_the_deadline() -> None:
    clock = FakeClock()
    primary = ScriptedTextModel([7.5, DOWN], clock=clock)
    fallback = ScriptedTextModel([4.0, "ok"], clock=clock)
    bench = Bench(primary, fallback, ResiliencePolicy(deadline_s=20, fallback_reserve_s=6), clock)

    finished = await bench.ask()

    assert primary.calls == 2  # the second ended at 15 s, past the primary's 14 s
    assert (bench.text, finished.fallback_used) == ("ok", True)


async def test_answer_still_running_at_the_deadline_is_a_timeout() -> None:
    clock = FakeClock()
    bench = Bench(ScriptedTextModel(["Try ", 21.0, "Berserk."] * 2, clock=clock), clock=clock)

    with pytest.raises(DependencyTimeoutError):
        await bench.ask()


async def test_answer_of_the_primary_may_use_the_fallbacks_share() -> None:
    clock = FakeClock()
    bench = Bench(
        ScriptedTextModel(["Try ", 17.0, "Berserk."], clock=clock), ScriptedTextModel(["other"]), clock=clock
    )

    await bench.ask()

    assert bench.text == "Try Berserk."


async def test_time_to_first_token_includes_failed_calls_and_waits() -> None:
    clock = FakeClock()
    primary = ScriptedTextModel(
        [0.5, RetryAfterError("busy", retry_after_s=2)], [0.25, "Berserk.", 4.0], clock=clock
    )

    finished = await Bench(primary, clock=clock).ask()

    assert finished.time_to_first_token_ms == pytest.approx(2750)


async def test_stream_without_a_finish_is_an_error_not_a_short_answer() -> None:
    primary = ScriptedTextModel(["Try "])
    primary.omits_finish = True

    with pytest.raises(DependencyUnavailableError, match="without its last event"):
        await Bench(primary).ask()


async def test_empty_answer_is_a_success() -> None:
    finished = await Bench(ScriptedTextModel([])).ask()

    assert finished.time_to_first_token_ms is None


async def test_early_aclose_closes_the_models_stream_and_frees_the_probe() -> None:
    policy = ResiliencePolicy(attempts=1, circuit=CircuitPolicy(min_failures=1, open_s=10))
    primary = ScriptedTextModel([DOWN], ["Try ", "Berserk."])
    bench = Bench(primary, policy=policy)
    with pytest.raises(DependencyUnavailableError):
        await bench.ask()
    bench.clock.advance(10)

    events = cast("AsyncGenerator[GenerationEvent, None]", bench.model.stream(REQUEST))
    assert await anext(events) == TextDelta(text="Try ")
    await events.aclose()

    assert primary.open_streams == 0
    assert (await bench.ask()).stop_reason == "end_turn"


async def test_cancelled_reader_closes_the_models_stream() -> None:
    primary = ScriptedTextModel([None])
    bench = Bench(primary)
    reader = asyncio.create_task(bench.ask())
    await primary.called.wait()

    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert primary.open_streams == 0
    assert bench.model.circuit_states["primary-model"] == "closed"


async def test_defects_are_not_disguised_as_dependency_errors() -> None:
    primary = ScriptedTextModel([ZeroDivisionError("bug")])

    with pytest.raises(ZeroDivisionError):
        await Bench(primary, ScriptedTextModel(["other"])).ask()

    assert (primary.calls, primary.open_streams) == (1, 0)


async def test_close_closes_both_models() -> None:
    primary, fallback = ScriptedTextModel([]), ScriptedTextModel([])
    bench = Bench(primary, fallback)

    await bench.model.close()

    assert (primary.closed, fallback.closed, bench.model.provider) == (1, 1, "scripted")


def test_senseless_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="attempts"):
        ResiliencePolicy(attempts=0)
    with pytest.raises(ValueError, match="fallback_reserve_s"):
        ResiliencePolicy(deadline_s=5, fallback_reserve_s=5)
    with pytest.raises(ValueError, match="time limits"):
        ResiliencePolicy(idle_s=0)
