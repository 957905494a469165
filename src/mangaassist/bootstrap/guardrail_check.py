"""One text through the store's guardrails, with every stage's result; nothing is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.adapters.embedded.store_services import PackCatalog
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.guardrail_models import load_guardrail_models
from mangaassist.bootstrap.guardrails import build_guardrails, load_ruleset
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.guardrails import Phase, StageResult
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.pipeline import GuardrailPipeline
from mangaassist.serving.tracing import TraceRecorder

PHASES: tuple[Phase, ...] = ("input", "output")


def open_guardrails(settings: Settings) -> GuardrailPipeline:
    """Return the store's pipeline outside the server."""
    store_dir = find_store_dir(settings)
    pack = load_store_pack(store_dir)
    catalog = PackCatalog(pack.series.records, pack.products.records)
    folder = store_dir / "guardrails"
    return build_guardrails(
        load_ruleset(folder / "ruleset.yaml"), catalog=catalog, models=load_guardrail_models(folder)
    )


def check_text(settings: Settings, text: str, *, stage: str | None = None) -> Sequence[StageResult]:
    """Return what every stage, or one, says of a text; raises `NotFoundError` for an unknown stage."""
    pipeline = open_guardrails(settings)
    results = asyncio.run(_run(pipeline, text))
    if stage is None:
        return results
    chosen = [result for result in results if result.stage == stage]
    if not chosen:
        names = ", ".join(result.stage for result in results)
        raise NotFoundError(f"there is no active guardrail stage {stage!r}; there are {names}")
    return chosen


def bench_pipeline(settings: Settings, *, text: str, repeats: int) -> dict[str, dict[str, float]]:
    """Return wall microseconds (p50, p95, p99) of all stages of each phase over one text."""
    pipeline = open_guardrails(settings)
    return asyncio.run(_timed(pipeline, text, repeats))


async def _run(pipeline: GuardrailPipeline, text: str) -> list[StageResult]:
    context = GuardrailContext(question=text)
    results: list[StageResult] = []
    for phase in PHASES:
        verdict = await pipeline.run(phase, text, context, trace=_trace())
        results += verdict.results
    return results


async def _timed(pipeline: GuardrailPipeline, text: str, repeats: int) -> dict[str, dict[str, float]]:
    from mangaassist.control.evaluation.guardrail_figures import latency_figures

    context = GuardrailContext(question=text)
    figures: dict[str, dict[str, float]] = {}
    for phase in PHASES:
        seconds = np.empty(repeats)
        for turn in range(repeats):
            started = time.perf_counter()
            await pipeline.run(phase, text, context, trace=_trace())
            seconds[turn] = time.perf_counter() - started
        figures[phase] = latency_figures(seconds.tolist())
    return figures


def _trace() -> TraceRecorder:
    return TraceRecorder(clock=SystemClock(), ids=RandomIds())
