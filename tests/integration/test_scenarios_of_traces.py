"""Scenarios 1 and 4 of the MLflow deep dive, played through the whole product."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.lineage import tell
from mangaassist.bootstrap.root_cause import build_root_causes
from mangaassist.cli.lineage import show_story
from mangaassist.domain.chat import AnswerDone, ChatAnswer, ChatRequest, Identity, PageContext
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.retrieval import RetrievalResult
from mangaassist.serving.parts import PipelineParts
from mangaassist.serving.pipeline import ChatPipeline
from tests.support.kept_answers import settings_for
from tests.support.planted_faults import ChangedRetriever, Faults, SlowRanker

RECOMMENDATIONS = ("something like Berserk", "a dark fantasy manga", "manga with vikings", "a long thriller")
DEALS = (
    "any discount codes?",
    "10% off my first order",
    "student discount?",
    "what promotions are running?",
)


async def ask(container: Container, pipeline: ChatPipeline, text: str, session_id: str) -> ChatAnswer:
    request = ChatRequest(
        request_id=container.ids.sortable("req"),
        session_id=session_id,
        message=text,
        identity=Identity(owner="visitor:1"),
        page_context=PageContext(),
    )
    async with aclosing(pipeline.answer(request)) as events:
        async for event in events:
            if isinstance(event, AnswerDone):
                return event.answer
    raise AssertionError("no answer")


async def test_390_ms_of_reranking_are_found_from_one_trace_and_by_the_root_cause_tool(
    tmp_path: Path,
) -> None:
    settings = settings_for(tmp_path)
    async with open_container(settings) as container:
        faults = Faults(container)
        healthy = faults.pipeline(faults.healthy)
        for number in range(12):
            await ask(container, healthy, RECOMMENDATIONS[number % 4], f"healthy-{number}")
        slow = faults._with_ranker(SlowRanker(faults.clock, lambda: 390.0))
        pipeline = faults.pipeline(with_slower_model(slow, faults, 280.0))
        answer = await ask(container, pipeline, "something like Berserk but less grim", "s1")
        container.traces.flush(5.0)
        diagnosis = await build_root_causes(container).of_answer(answer.response_id)
        faults.close()

    told = await tell(settings, answer.trace_id)
    shown = io.StringIO()
    show_story(told.story, link=None, console=Console(file=shown, width=200))

    # one trace: the model is not the slowest step
    lines = {line.split()[0]: line for line in shown.getvalue().splitlines() if line.startswith("  ")}
    rerank_ms, model_ms = (float(lines[name].split()[1]) for name in ("rerank_chunks", "bedrock_generate"))
    assert 390 <= rerank_ms < 395
    assert 280 <= model_ms < 285
    # the tool: the ranker, with what it was given
    assert diagnosis.complaints[0] == "slow"
    assert diagnosis.layer == "rerank"
    evidence = " ".join(diagnosis.findings[0].evidence)
    assert "rerank_chunks took 39" in evidence
    assert "chunks" in evidence
    assert [finding.layer for finding in diagnosis.findings[:2]] == ["rerank", "provider_latency"]


async def test_more_thumbs_down_on_promotions_come_from_stale_chunks_and_not_from_generation(
    tmp_path: Path,
) -> None:
    async with open_container(settings_for(tmp_path)) as container:
        faults = Faults(container)
        start = container.clock.now()
        await promotions_asked(container, faults.pipeline(faults.healthy), count=40, bad=occasionally)
        change = container.clock.now()

        # the refresh of the promotions failed: the index still holds what they said before
        def outdated(result: RetrievalResult) -> RetrievalResult:
            chunks = tuple(
                replace(
                    scored,
                    chunk=replace(scored.chunk, text=f"Until the end of March: {scored.chunk.text}"),
                )
                if scored.chunk.kind == "promotion"
                else scored
                for scored in result.chunks
            )
            return replace(result, chunks=chunks)

        stale = replace(faults.healthy, retriever=ChangedRetriever(faults.healthy.retriever, outdated))  # type: ignore[arg-type]  # retrieves like one
        await promotions_asked(
            container,
            faults.pipeline(stale),
            count=40,
            bad=lambda number, answer: (
                "Until the end of March" in answer.text or occasionally(number, answer)
            ),
        )
        end = container.clock.now() + timedelta(seconds=1)
        causes = build_root_causes(container)
        found = await causes.of_population(before=(start, change), now=(change, end), intent="promotion")
        quiet = await causes.of_population(
            before=(start, start + (change - start) / 2), now=(start + (change - start) / 2, change)
        )
        faults.close()

    assert found.bad_now > 4 * found.bad_before
    assert found.layer == "stale_chunk"
    first = found.factors[0]
    assert first.value.startswith("promotion:")
    assert "its text is not what its source says now" in first.evidence
    assert first.explained > 0.3
    assert "generation" not in {factor.layer for factor in found.factors if factor.weight > 0.1}
    assert quiet.factors == ()


def with_slower_model(parts: PipelineParts, faults: Faults, milliseconds: float) -> PipelineParts:
    class Model:
        provider = "embedded"

        def __init__(self, real: object) -> None:
            self.real = real

        async def stream(self, request: object):  # type: ignore[no-untyped-def]  # as the real one
            faults.clock.jump(milliseconds)
            async for event in self.real.stream(request):  # type: ignore[attr-defined]  # a text model
                yield event

        async def close(self) -> None:
            return None

    return replace(parts, models={key: Model(model) for key, model in parts.models.items()})


def occasionally(number: int, answer: ChatAnswer) -> bool:
    """Some shoppers are never content."""
    return number % 20 == 7


async def promotions_asked(
    container: Container,
    pipeline: ChatPipeline,
    *,
    count: int,
    bad: Callable[[int, ChatAnswer], bool],
) -> None:
    for number in range(count):
        answer = await ask(container, pipeline, DEALS[number % len(DEALS)], f"{id(pipeline)}-{number}")
        if bad(number, answer):
            await container.storage.feedback.add(
                FeedbackEvent(
                    feedback_id=container.ids.sortable("fb"),
                    response_id=answer.response_id,
                    trace_id=answer.trace_id,
                    feedback="thumbs_down",
                    timestamp=container.clock.now(),
                ),
                owner="visitor:1",
            )
