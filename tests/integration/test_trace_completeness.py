"""One whole trace whatever happens to a request, and what outgoing calls say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from mangaassist.adapters.embedded.trace_codec import decode_trace
from mangaassist.adapters.embedded.trace_segments import KEPT, list_segments, read_lines
from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.settings import load_settings
from mangaassist.domain.chat import AnswerDone, AnswerToken, ChatRequest, Identity
from mangaassist.domain.generation import GenerationEvent, GenerationRequest, TextDelta
from mangaassist.domain.trace import Trace
from mangaassist.domain.trace_contract import violations
from mangaassist.serving.allocation import Allocator
from mangaassist.serving.pipeline import ChatPipeline

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUESTION = "recommend something like Berserk"


class StoppingModel:
    """Sends a piece of text, then does what the test wants; remembers what it was asked."""

    provider = "embedded"

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then
        self.requests: list[GenerationRequest] = []
        self.reached = asyncio.Event()

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        self.requests.append(request)
        yield TextDelta(text="Here are three series that you may like, all of them in stock. " * 20)
        self.reached.set()
        self._then()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def container(tmp_path: Path) -> AsyncIterator[Container]:
    async with open_container(load_settings(data_dir=tmp_path, encoder="off")) as container:
        yield container


def pipeline_with(container: Container, model: StoppingModel) -> ChatPipeline:
    parts = container.releases.parts_of(None)
    stopping = replace(parts, models=dict.fromkeys(parts.models, model))
    return ChatPipeline(services=container.pipeline.services, allocator=Allocator(lambda version: stopping))


def request(**changes: str) -> ChatRequest:
    return replace(
        ChatRequest(
            request_id="req_1", session_id="ses_1", message=QUESTION, identity=Identity(owner="visitor:1")
        ),
        **changes,  # type: ignore[arg-type]  # fields by name
    )


def only_trace(container: Container) -> Trace:
    traces = [
        decode_trace(document)
        for segment in list_segments(container.settings.spool_dir, KEPT)
        for document, _ in read_lines(segment, 0)
        if document is not None
    ]
    (trace,) = traces
    assert violations(trace) == []
    return trace


def fail() -> None:
    raise RuntimeError("a fault of our own")


async def test_a_step_that_throws_leaves_a_whole_trace_that_says_where(container: Container) -> None:
    pipeline = pipeline_with(container, StoppingModel(fail))
    with pytest.raises(RuntimeError):
        async for _ in pipeline.answer(request()):
            pass
    trace = only_trace(container)
    assert trace.root.status == "error"
    failed = {span.name for span in trace.spans if span.error == "RuntimeError"}
    assert failed == {"handle_message", "bedrock_generate"}
    assert trace.sampling_reason == "error"


async def test_an_asker_who_hangs_up_leaves_a_whole_trace(container: Container) -> None:
    pipeline = pipeline_with(container, StoppingModel(lambda: None))
    async with aclosing(pipeline.answer(request())) as events:
        async for event in events:
            if isinstance(event, AnswerToken):
                break
    trace = only_trace(container)
    assert trace.tags["outcome"] == "abandoned"
    assert {"load_context", "intent_classification", "bedrock_generate"} <= {
        span.name for span in trace.spans
    }


async def test_a_request_that_is_cancelled_twice_still_leaves_its_trace(container: Container) -> None:
    model = StoppingModel(lambda: None)
    pipeline = pipeline_with(container, model)

    async def ask() -> None:
        async for _ in pipeline.answer(request()):
            pass

    task = asyncio.create_task(ask())
    await model.reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert only_trace(container).tags["outcome"] == "abandoned"


async def test_a_callers_trace_is_continued_and_carried_on_with_the_bundle(container: Container) -> None:
    model = StoppingModel(fail)
    pipeline = pipeline_with(container, model)
    baggage = "team=manga,user=ada%40example.com,mangaassist.release_bundle=forged"
    with pytest.raises(RuntimeError):
        async for _ in pipeline.answer(request(traceparent=CALLER, baggage=baggage)):
            pass
    trace = only_trace(container)
    assert (trace.trace_id, trace.remote_parent_id) == tuple(CALLER.split("-")[1:3])
    (sent,) = model.requests
    assert sent.context is not None
    call = next(span for span in trace.spans if span.name == "bedrock_generate")
    assert (sent.context.trace_id, sent.context.span_id) == (trace.trace_id, call.span_id)
    assert sent.context.baggage == {
        "mangaassist.release_bundle": trace.tags["release_bundle"],
        "mangaassist.deployment_stage": "prod",
        "mangaassist.response_id": trace.response_id,
        "team": "manga",
    }


async def test_what_the_record_says_of_sampling_agrees_with_the_trace(container: Container) -> None:
    async for event in container.pipeline.answer(request()):
        if isinstance(event, AnswerDone):
            record = await container.storage.sessions.record(event.answer.response_id)
            assert record.sampling_reason == only_trace(container).sampling_reason
