"""What `TextModel` promises, asked of every implementation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import cast

import pytest

from mangaassist.domain.errors import (
    DependencyError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.generation import GenerationEvent, GenerationFinished, GenerationRequest, TextDelta
from mangaassist.domain.throttling import RetryAfterError
from mangaassist.ports.text_models import TextModel
from tests.support.fake_bedrock import FakeBedrock
from tests.support.fake_openai import FakeOpenAI
from tests.support.text_models import TEXT_MODEL_FACTORIES, TextModelCase, text_model_factory
from tests.support.wire_server import Fault


@pytest.fixture(params=TEXT_MODEL_FACTORIES, ids=lambda name: name.rpartition(":")[2])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[TextModelCase]:
    async with text_model_factory(request.param)() as ready:
        yield ready


@pytest.fixture
def endpoint(case: TextModelCase) -> FakeBedrock | FakeOpenAI:
    if case.endpoint is None:
        pytest.skip("this implementation depends on nothing outside that could fail")
    return case.endpoint


def text_of(events: list[GenerationEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def ask(case: TextModelCase, seen: list[GenerationEvent] | None = None) -> list[GenerationEvent]:
    events: list[GenerationEvent] = [] if seen is None else seen
    async for event in case.model.stream(case.request):
        events.append(event)  # noqa: PERF401 - what came before an error must stay visible
    return events


async def test_stream_ends_with_exactly_one_finish(case: TextModelCase) -> None:
    events = await ask(case)

    assert [isinstance(event, GenerationFinished) for event in events] == [False] * (len(events) - 1) + [True]
    assert text_of(events)
    assert all(event.text for event in events if isinstance(event, TextDelta))


async def test_finish_names_provider_model_and_usage(case: TextModelCase) -> None:
    finished = (await ask(case))[-1]

    assert isinstance(finished, GenerationFinished)
    assert finished.provider == case.model.provider
    assert finished.model_id == case.request.model_id
    assert finished.stop_reason == "end_turn"
    assert finished.usage.input_tokens > 0
    assert finished.usage.output_tokens > 0


async def test_text_arrives_in_order(case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI) -> None:
    endpoint.answer = tuple(f"word{number} " for number in range(300))

    assert text_of(await ask(case)) == endpoint.text


async def test_same_model_answers_many_calls_at_once(case: TextModelCase) -> None:
    alone = text_of(await ask(case))

    together = await asyncio.gather(*(ask(case) for _ in range(20)))

    assert {text_of(events) for events in together} == {alone}


async def test_close_is_idempotent(case: TextModelCase) -> None:
    await ask(case)

    await case.model.close()
    await case.model.close()


async def test_closing_an_unused_model_is_allowed(case: TextModelCase) -> None:
    await case.model.close()


async def test_early_aclose_releases_the_connection(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.plan.reset(always=Fault(frame_delay_s=0.02))
    endpoint.answer = ("word ",) * 1000
    for _ in range(6):  # more than the connections of the pool under test
        events = cast("AsyncGenerator[GenerationEvent, None]", case.model.stream(case.request))
        assert isinstance(await anext(events), TextDelta)
        await events.aclose()

    assert await asyncio.to_thread(endpoint.open_streams.wait_until_none)


async def test_cancelled_reader_releases_the_connection(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.plan.reset(always=Fault(frame_delay_s=0.02))
    endpoint.answer = ("word ",) * 1000
    seen: list[GenerationEvent] = []
    started = asyncio.Event()

    async def read() -> None:
        async for event in case.model.stream(case.request):
            seen.append(event)
            started.set()

    reader = asyncio.create_task(read())
    await started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader

    assert await asyncio.to_thread(endpoint.open_streams.wait_until_none)


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [
        (429, "ThrottlingException", DependencyThrottledError),
        (400, "ValidationException", DependencyRejectedError),
        (403, "AccessDeniedException", DependencyRejectedError),
        (404, "ResourceNotFoundException", DependencyRejectedError),
        (408, "ModelTimeoutException", DependencyTimeoutError),
        (500, "InternalServerException", DependencyUnavailableError),
        (503, "ServiceUnavailableException", DependencyUnavailableError),
        (418, "NobodyKnowsException", DependencyRejectedError),
        (599, "NobodyKnowsException", DependencyUnavailableError),
    ],
)
async def test_refusal_before_the_stream_is_translated_and_not_retried(
    case: TextModelCase,
    endpoint: FakeBedrock | FakeOpenAI,
    status: int,
    error_type: str,
    expected: type[DependencyError],
) -> None:
    endpoint.plan.reset(always=Fault(status=status, error_type=error_type))

    with pytest.raises(expected) as raised:
        await ask(case)

    assert type(raised.value) is expected
    assert endpoint.plan.calls == 1


async def test_retry_after_is_kept(case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI) -> None:
    endpoint.plan.reset(always=Fault(status=429, error_type="ThrottlingException", retry_after="7"))

    with pytest.raises(RetryAfterError) as raised:
        await ask(case)

    assert raised.value.retry_after_s == 7


async def test_model_answers_again_after_a_refusal(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.plan.reset(at={1: Fault(status=500), 2: Fault(cut_after=2)})
    for _ in range(2):
        with pytest.raises(DependencyUnavailableError):
            await ask(case)

    assert text_of(await ask(case)) == endpoint.text


@pytest.mark.parametrize("error_after", [0, 1, 3])
async def test_error_inside_the_stream_is_translated(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI, error_after: int
) -> None:
    error_type = "ThrottlingException" if isinstance(endpoint, FakeBedrock) else "rate_limit_error"
    endpoint.plan.reset(always=Fault(error_after=error_after, error_type=error_type))
    seen: list[GenerationEvent] = []

    with pytest.raises(DependencyThrottledError):
        await ask(case, seen)

    assert text_of(seen) == "".join(endpoint.answer[: max(0, error_after - 1)])


@pytest.mark.parametrize("cut_inside", [0, 7, 40])
async def test_connection_cut_inside_the_stream_is_never_a_short_answer(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI, cut_inside: int
) -> None:
    for cut_after in range(endpoint.frame_count + 1):
        endpoint.plan.reset(always=Fault(cut_after=cut_after, cut_inside=cut_inside))
        seen: list[GenerationEvent] = []
        try:
            await ask(case, seen)
        except DependencyUnavailableError:
            assert not any(isinstance(event, GenerationFinished) for event in seen)
            assert endpoint.text.startswith(text_of(seen))
        else:
            assert text_of(seen) == endpoint.text
            assert cut_after > len(endpoint.answer)


async def test_proper_end_of_an_unfinished_answer_is_an_error(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    for end_after in range(len(endpoint.answer) + 2):
        endpoint.plan.reset(always=Fault(end_after=end_after))
        with pytest.raises(DependencyUnavailableError):
            await ask(case)


async def test_usage_is_estimated_when_it_never_arrives(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.plan.reset(always=Fault(cut_after=endpoint.frame_count - 1 - isinstance(endpoint, FakeOpenAI)))

    finished = (await ask(case))[-1]

    assert isinstance(finished, GenerationFinished)
    assert finished.usage.estimated
    assert finished.usage.output_tokens == -(-len(endpoint.text) // 4)


@pytest.fixture
def impatient(case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI) -> TextModelCase:
    assert case.impatient is not None
    return replace(case, model=case.impatient)


async def test_slow_first_byte_is_a_timeout(
    impatient: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.plan.reset(always=Fault(first_byte_delay_s=30))

    with pytest.raises(DependencyTimeoutError):
        await ask(impatient)

    assert await asyncio.to_thread(endpoint.open_streams.wait_until_none)


async def test_silence_inside_the_stream_is_a_timeout(
    impatient: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.plan.reset(always=Fault(stall_after=2))
    seen: list[GenerationEvent] = []

    with pytest.raises(DependencyTimeoutError):
        await ask(impatient, seen)

    assert text_of(seen) == endpoint.answer[0]
    assert await asyncio.to_thread(endpoint.open_streams.wait_until_none)


async def test_slow_but_steady_stream_outlasts_the_idle_limit(
    impatient: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.answer = ("word ",) * 20
    endpoint.plan.reset(always=Fault(frame_delay_s=0.06))  # 1.4 s in all, with a limit of 1 s

    assert text_of(await ask(impatient)) == endpoint.text


async def test_nobody_listening_is_unavailable(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    endpoint.__exit__(None, None, None)

    with pytest.raises(DependencyUnavailableError):
        await ask(case)


async def test_request_reaches_the_provider_whole(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    await ask(case)

    body = endpoint.calls[0].body
    request: GenerationRequest = case.request
    if isinstance(endpoint, FakeBedrock):
        assert body["system"] == [{"text": request.system}]
        assert [(turn["role"], turn["content"]) for turn in body["messages"]] == [
            (message.role, [{"text": message.text}]) for message in request.messages
        ]
        assert body["inferenceConfig"] == {
            "maxTokens": 300,
            "temperature": 0.2,
            "topP": 0.9,
            "stopSequences": ["END"],
        }
    else:
        assert body["messages"] == [
            {"role": "system", "content": request.system},
            *({"role": message.role, "content": message.text} for message in request.messages),
        ]
        assert (body["max_tokens"], body["temperature"], body["top_p"], body["stop"]) == (
            300,
            0.2,
            0.9,
            ["END"],
        )
        assert body["stream_options"] == {"include_usage": True}


async def test_long_multilingual_prompt_is_carried(
    case: TextModelCase, endpoint: FakeBedrock | FakeOpenAI
) -> None:
    system = "漫画 🎏 " * 20_000
    model: TextModel = case.model
    async for _ in model.stream(replace(case.request, system=system)):
        pass

    body = endpoint.calls[0].body
    carried = (
        body["system"][0]["text"] if isinstance(endpoint, FakeBedrock) else body["messages"][0]["content"]
    )
    assert carried == system
