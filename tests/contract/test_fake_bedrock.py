"""The fake Bedrock endpoint is faithful: botocore's own clients parse it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from urllib3.exceptions import ProtocolError

from tests.support.fake_bedrock import FakeBedrock
from tests.support.wire_server import Fault

MODEL_ID = (
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0"
)
QUESTION = [{"role": "user", "content": [{"text": "Something dark?"}]}]


@pytest.fixture
def endpoint() -> Iterator[FakeBedrock]:
    with FakeBedrock() as running:
        yield running


@pytest.fixture
def client(endpoint: FakeBedrock) -> Iterator[Any]:
    runtime = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=endpoint.url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="not-a-secret",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )
    yield runtime
    runtime.close()


def test_boto3_reads_the_stream(client: Any, endpoint: FakeBedrock) -> None:
    events = list(client.converse_stream(modelId=MODEL_ID, messages=QUESTION)["stream"])

    assert "".join(
        event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event
    ) == (endpoint.text)
    assert [next(iter(event)) for event in (events[0], *events[-3:])] == [
        "messageStart",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert events[-1]["metadata"]["usage"]["inputTokens"] == 2


def test_boto3_reads_a_whole_answer(client: Any, endpoint: FakeBedrock) -> None:
    answer = client.converse(modelId=MODEL_ID, messages=QUESTION)

    assert answer["output"]["message"]["content"] == [{"text": endpoint.text}]
    assert answer["stopReason"] == "end_turn"


def test_refusal_raises_the_modelled_class(client: Any, endpoint: FakeBedrock) -> None:
    endpoint.plan.reset(always=Fault(status=429, error_type="ThrottlingException"))

    with pytest.raises(client.exceptions.ThrottlingException):
        client.converse_stream(modelId=MODEL_ID, messages=QUESTION)

    assert endpoint.plan.calls == 1


def test_error_frame_raises_a_lower_case_code_and_no_modelled_class(
    client: Any, endpoint: FakeBedrock
) -> None:
    endpoint.plan.reset(always=Fault(error_after=2, error_type="ThrottlingException"))

    stream = client.converse_stream(modelId=MODEL_ID, messages=QUESTION)["stream"]
    with closing(stream) as events, pytest.raises(EventStreamError) as raised:
        list(events)

    assert raised.value.response["Error"]["Code"] == "throttlingException"
    assert not isinstance(raised.value, client.exceptions.ThrottlingException)


def test_cut_raises_an_error_outside_botocores_tree(client: Any, endpoint: FakeBedrock) -> None:
    endpoint.plan.reset(always=Fault(cut_after=2))

    stream = client.converse_stream(modelId=MODEL_ID, messages=QUESTION)["stream"]
    with closing(stream) as events, pytest.raises(ProtocolError):
        list(events)


def test_nth_call_alone_is_throttled(client: Any, endpoint: FakeBedrock) -> None:
    endpoint.plan.reset(at={2: Fault(status=429, error_type="ThrottlingException")})

    client.converse(modelId=MODEL_ID, messages=QUESTION)
    with pytest.raises(ClientError, match="ThrottlingException"):
        client.converse(modelId=MODEL_ID, messages=QUESTION)
    client.converse(modelId=MODEL_ID, messages=QUESTION)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": [{"text": "Hello"}]}],
        [*QUESTION, *QUESTION],
        [{"role": "user", "content": [{"text": "  "}]}],
    ],
)
def test_malformed_conversation_is_refused_as_the_service_does(client: Any, messages: list[Any]) -> None:
    with pytest.raises(client.exceptions.ValidationException):
        client.converse(modelId=MODEL_ID, messages=messages)
