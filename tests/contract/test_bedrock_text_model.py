"""What only the Bedrock adapter promises, through the real aiobotocore client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from mangaassist.adapters.aws.bedrock import BedrockTextModel
from mangaassist.domain.errors import (
    DependencyError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.generation import (
    GenerationFinished,
    GenerationRequest,
    Message,
    StopReason,
    TokenUsage,
)
from tests.support.fake_bedrock import FakeBedrock
from tests.support.text_models import a_request, bedrock_model
from tests.support.wire_server import Fault


@pytest.fixture
def endpoint() -> Iterator[FakeBedrock]:
    with FakeBedrock() as running:
        yield running


@pytest.fixture
async def model(endpoint: FakeBedrock) -> AsyncIterator[BedrockTextModel]:
    ready = bedrock_model(endpoint)
    yield ready
    await ready.close()


async def finish_of(model: BedrockTextModel, request: GenerationRequest) -> GenerationFinished:
    *_, last = [event async for event in model.stream(request)]
    assert isinstance(last, GenerationFinished)
    return last


async def test_cached_prefix_ends_in_a_cache_point_and_its_tokens_are_reported(
    model: BedrockTextModel, endpoint: FakeBedrock
) -> None:
    request = replace(a_request(), system="one two three", cache_prefix=True)

    first = await finish_of(model, request)
    second = await finish_of(model, request)

    assert endpoint.calls[0].body["system"] == [
        {"text": "one two three"},
        {"cachePoint": {"type": "default"}},
    ]
    # "Something dark?" + "How dark?" + "Very — 血 and all." = 2 + 2 + 5 words, counted as tokens by the fake
    assert first.usage == TokenUsage(input_tokens=9, output_tokens=4, cache_write_tokens=3)
    assert second.usage == TokenUsage(input_tokens=9, output_tokens=4, cached_input_tokens=3)


@pytest.mark.parametrize(
    ("model_id", "path"),
    [
        ("anthropic.claude-v2:1", "/model/anthropic.claude-v2%3A1/converse-stream"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-v2:1",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F"
            "us.anthropic.claude-v2%3A1/converse-stream",
        ),
    ],
)
async def test_model_ids_with_colons_and_slashes_work(
    model: BedrockTextModel, endpoint: FakeBedrock, model_id: str, path: str
) -> None:
    finished = await finish_of(model, a_request(model_id))

    assert finished.model_id == model_id
    assert endpoint.calls[0].path == path


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "guardrail"),
        ("content_filtered", "guardrail"),
        ("malformed_model_output", "error"),
    ],
)
async def test_stop_reasons_are_translated(
    model: BedrockTextModel, endpoint: FakeBedrock, reported: str, expected: StopReason
) -> None:
    endpoint.stop_reason = reported

    assert (await finish_of(model, a_request())).stop_reason == expected


@pytest.mark.parametrize(
    ("error_type", "expected"),
    [
        ("throttlingException", DependencyThrottledError),
        ("modelStreamErrorException", DependencyUnavailableError),
        ("internalServerException", DependencyUnavailableError),
        ("serviceUnavailableException", DependencyUnavailableError),
        ("validationException", DependencyRejectedError),
        ("unheardOfException", DependencyUnavailableError),
    ],
)
async def test_every_error_frame_has_a_place_in_the_tree(
    model: BedrockTextModel, endpoint: FakeBedrock, error_type: str, expected: type[DependencyError]
) -> None:
    endpoint.plan.reset(always=Fault(error_after=1, error_type=error_type))

    with pytest.raises(expected) as raised:
        await finish_of(model, a_request())

    assert type(raised.value) is expected


async def test_model_not_ready_is_worth_another_attempt(
    model: BedrockTextModel, endpoint: FakeBedrock
) -> None:
    endpoint.plan.reset(always=Fault(status=429, error_type="ModelNotReadyException"))

    with pytest.raises(DependencyThrottledError):
        await finish_of(model, a_request())


async def test_complete_returns_text_and_usage(model: BedrockTextModel, endpoint: FakeBedrock) -> None:
    completed = await model.complete(a_request())

    assert completed.text == endpoint.text
    assert completed.finished.stop_reason == "end_turn"
    assert completed.finished.usage.output_tokens == len(endpoint.answer)
    assert endpoint.calls[0].path.endswith("/converse")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=429, error_type="ThrottlingException"), DependencyThrottledError),
        (Fault(status=408, error_type="ModelTimeoutException"), DependencyTimeoutError),
        (Fault(status=424, error_type="ModelErrorException"), DependencyUnavailableError),
        (Fault(status=400, error_type="ValidationException"), DependencyRejectedError),
    ],
)
async def test_complete_translates_errors(
    model: BedrockTextModel, endpoint: FakeBedrock, fault: Fault, expected: type[DependencyError]
) -> None:
    endpoint.plan.reset(always=fault)

    with pytest.raises(expected):
        await model.complete(a_request())

    assert endpoint.plan.calls == 1


async def test_conversation_is_shaped_as_the_service_demands(
    model: BedrockTextModel, endpoint: FakeBedrock
) -> None:
    messages = (
        Message(role="assistant", text="Welcome!"),
        Message(role="user", text="Hello"),
        Message(role="user", text="anyone?"),
        Message(role="assistant", text=" "),
    )

    await finish_of(model, replace(a_request(), messages=messages))

    assert endpoint.calls[0].body["messages"] == [
        {"role": "user", "content": [{"text": "Hello"}, {"text": "anyone?"}]}
    ]


async def test_no_system_block_without_a_system_prompt(
    model: BedrockTextModel, endpoint: FakeBedrock
) -> None:
    await finish_of(model, replace(a_request(), system="", cache_prefix=True))

    assert "system" not in endpoint.calls[0].body


async def test_parameters_outside_the_service_model_are_rejected(model: BedrockTextModel) -> None:
    with pytest.raises(DependencyRejectedError):
        await finish_of(model, replace(a_request(), model_id=""))


async def test_model_reopens_after_close(model: BedrockTextModel) -> None:
    await finish_of(model, a_request())
    await model.close()

    assert (await finish_of(model, a_request())).stop_reason == "end_turn"
