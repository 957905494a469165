"""One fault planted in an otherwise healthy product, by the layer it belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from mangaassist.adapters.embedded.answer_cache import InProcessAnswerCache
from mangaassist.adapters.embedded.prompt_files import load_prompts
from mangaassist.bootstrap.container import Container
from mangaassist.domain.generation import (
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    TextDelta,
    TokenUsage,
)
from mangaassist.domain.retrieval import Chunk, RetrievalQuery, RetrievalResult
from mangaassist.ports.clock import Clock
from mangaassist.ports.text_models import TextModel
from mangaassist.serving.allocation import Allocator
from mangaassist.serving.parts import PipelineParts
from mangaassist.serving.pipeline import ChatPipeline
from mangaassist.serving.prompts.builder import PromptBuilder
from mangaassist.serving.retrieval.policy import RetrievalPolicy
from mangaassist.serving.retrieval.ranker import shipped_ranker
from mangaassist.serving.retrieval.retriever import Retriever
from mangaassist.serving.tracing import TraceRecorder
from tests.support.kept_answers import PACK, with_ruleset

NO_USAGE = TokenUsage(input_tokens=500, output_tokens=60)


class JumpingClock:
    """Real days, but durations of its own: ten microseconds a reading, and what a fault adds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ns = 0
        self._start_ns = clock.time_ns()

    def now(self) -> Any:
        return self._clock.now()

    def monotonic_ns(self) -> int:
        self._ahead_ns += 10_000
        return self._ahead_ns

    def time_ns(self) -> int:
        return self._start_ns + self.monotonic_ns()

    def jump(self, milliseconds: float) -> None:
        self._ahead_ns += int(milliseconds * 1e6)


class QuotingModel:
    """A hosted model as it should be: it answers with the first passage that it was given."""

    provider = "embedded"

    def __init__(self, real: TextModel) -> None:
        self._real = real

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        facts = request.facts
        if facts is None or not facts.passages:
            async for event in self._real.stream(request):
                yield event
            return
        yield TextDelta(text=" ".join(facts.passages[0].text.split()[:70]))
        yield _finished(request)

    async def close(self) -> None:
        return None


class InventingModel:
    """A model that states figures which it was never told."""

    provider = "embedded"

    def __init__(self, random: Random) -> None:
        self._random = random

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        number = self._random.randrange(411, 987)
        yield TextDelta(text=f"You have {number} days for it, and members get {number % 89 + 7}.5% back.")
        yield _finished(request)

    async def close(self) -> None:
        return None


class SlowModel:
    """A provider that lets one wait for the first token."""

    provider = "embedded"

    def __init__(self, real: TextModel, clock: JumpingClock, random: Random) -> None:
        self._real, self._clock, self._random = real, clock, random

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        self._clock.jump(self._random.uniform(1_500, 6_000))
        async for event in self._real.stream(request):
            yield event

    async def close(self) -> None:
        return None


def _finished(request: GenerationRequest) -> GenerationFinished:
    return GenerationFinished(
        stop_reason="end_turn", usage=NO_USAGE, model_id=request.model_id, provider="embedded"
    )


class ChangedRetriever:
    """A retriever whose results are changed on the way."""

    def __init__(self, real: Retriever, change: Callable[[RetrievalResult], RetrievalResult]) -> None:
        self._real, self._change = real, change

    async def retrieve(
        self, query: RetrievalQuery, *, vector: Any = None, trace: TraceRecorder
    ) -> RetrievalResult:
        return self._change(await self._real.retrieve(query, vector=vector, trace=trace))


class SlowRanker:
    """A ranker that takes its time."""

    def __init__(self, clock: JumpingClock, milliseconds: Callable[[], float]) -> None:
        self._real, self._clock, self._milliseconds = shipped_ranker(), clock, milliseconds

    @property
    def version(self) -> str:
        return self._real.version

    def scores(self, evidence: Any) -> Any:
        self._clock.jump(self._milliseconds())
        return self._real.scores(evidence)


class UpsideDownRanker:
    """A ranker that was trained on labels of the wrong sign."""

    def __init__(self) -> None:
        self._real = shipped_ranker()

    @property
    def version(self) -> str:
        return "upside-down-1"

    def scores(self, evidence: Any) -> Any:
        return -np.asarray(self._real.scores(evidence))


class Faults:
    """Builds pipelines with one fault; `clock` is theirs."""

    def __init__(self, container: Container, seed: int = 3) -> None:
        self.container = container
        self.random = Random(seed)
        self.clock = JumpingClock(container.clock)
        self._executor = ThreadPoolExecutor(1)
        real = container.releases.parts_of(None)
        self.healthy: PipelineParts = replace(
            real, models={key: QuotingModel(model) for key, model in real.models.items()}
        )

    def close(self) -> None:
        self._executor.shutdown()

    def pipeline(self, parts: PipelineParts) -> ChatPipeline:
        services = replace(
            self.container.pipeline.services,
            clock=self.clock,
            cache=InProcessAnswerCache(clock=self.clock),
        )
        return ChatPipeline(services=services, allocator=Allocator(lambda version: parts))

    def parts(self, fault: str) -> PipelineParts:
        """Return the parts with a fault, named after the layer that it belongs to."""
        make: dict[str, Callable[[], PipelineParts]] = {
            "none": lambda: self.healthy,
            "stale_chunk": lambda: self._with_results(self._old_edition),
            "missing_chunk": lambda: self._with_results(self._nothing_relevant),
            "retrieval": lambda: self._with_results(self._nothing_relevant),
            "rerank": lambda: self._with_ranker(UpsideDownRanker()),
            "slow rerank": lambda: self._with_ranker(
                SlowRanker(self.clock, lambda: self.random.uniform(300, 900))
            ),
            "prompt": self._without_passages,
            "generation": lambda: replace(
                self.healthy, models={key: InventingModel(self.random) for key in self.healthy.models}
            ),
            "guardrail": self._too_strict,
            "provider_latency": lambda: replace(
                self.healthy,
                models={
                    key: SlowModel(model, self.clock, self.random)
                    for key, model in self.healthy.models.items()
                },
            ),
        }
        return make[fault]()

    def _with_results(self, change: Callable[[RetrievalResult], RetrievalResult]) -> PipelineParts:
        return replace(self.healthy, retriever=ChangedRetriever(self.healthy.retriever, change))  # type: ignore[arg-type]  # retrieves like one

    def _with_ranker(self, ranker: Any) -> PipelineParts:
        real = self.healthy.retriever
        return replace(
            self.healthy,
            retriever=Retriever(
                index=real._index,
                embedder=None,
                ranker=ranker,
                policy=RetrievalPolicy(),
                executor=self._executor,
            ),
        )

    def _old_edition(self, result: RetrievalResult) -> RetrievalResult:
        """The best chunk as it was before its source was revised."""
        first, *rest = result.chunks
        old = replace(first.chunk, text=outdated(first.chunk, self.random))
        return replace(result, chunks=(replace(first, chunk=old), *rest))

    def _nothing_relevant(self, result: RetrievalResult) -> RetrievalResult:
        """Chunks that share hardly a word with the question."""
        worst = self.container.knowledge.chunks_of(IRRELEVANT)
        chunks = [
            replace(scored, chunk=chunk, lexical_score=0.2 - 0.05 * number)
            for number, (scored, chunk) in enumerate(zip(result.chunks, worst, strict=False))
        ]
        return replace(result, chunks=tuple(chunks))

    def _without_passages(self) -> PipelineParts:
        """Prompts that forget to show what was retrieved."""
        templates = {one.intent: one for one in load_prompts(PACK / "prompts") if one.version == "1.0"}
        base = templates.pop("base")
        broken = {
            intent: replace(one, user=one.user.replace("{{ passages(facts.passages) }}\n", ""))
            for intent, one in templates.items()
        }
        return replace(self.healthy, prompts=PromptBuilder(broken, base))

    def _too_strict(self) -> PipelineParts:
        """A grounding threshold that good answers do not pass either."""
        ruleset = self.healthy.guardrails.ruleset
        policy = ruleset.stages["grounding_check"].model_copy(
            update={"threshold": 0.0, "thresholds_by_intent": {}, "mode": "enforce"}
        )
        strict = ruleset.model_copy(update={"stages": {**ruleset.stages, "grounding_check": policy}})
        return with_ruleset(self.healthy, strict, self.container)


IRRELEVANT: Sequence[str] = ("policy:gift-cards", "faq:po-box")


def outdated(chunk: Chunk, random: Random) -> str:
    """Return the text with its figures changed, as an older edition would have them."""
    words = chunk.text.split(" ")
    head = [number for number, word in enumerate(words[:40]) if any(sign.isdigit() for sign in word)]
    if not head:
        return f"Until the end of {random.randrange(2019, 2024)}: {chunk.text}"
    for number in head:
        words[number] = "".join(
            str((int(sign) + random.randrange(1, 9)) % 10) if sign.isdigit() else sign
            for sign in words[number]
        )
    return " ".join(words)
