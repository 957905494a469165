"""One request on its way through the pipeline: what each step has found out so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.budget import Reservation, ServiceLevel
from mangaassist.domain.bundle import ModelChoice, Route
from mangaassist.domain.chat import ChatRequest, Handler, ProductCard, SourceRef
from mangaassist.domain.dialogue import Reading
from mangaassist.domain.experiments import Assignment
from mangaassist.domain.generation import GenerationFinished, GenerationRequest, TokenUsage
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.guardrails import GuardrailVerdict
from mangaassist.domain.intents import IntentDecision
from mangaassist.domain.prompts import BuiltPrompt
from mangaassist.domain.retrieval import RetrievalResult
from mangaassist.domain.sampling import SamplingDecision
from mangaassist.ports.sessions import SessionContext
from mangaassist.serving.parts import PipelineParts
from mangaassist.serving.tracing import TraceRecorder


@dataclass(slots=True, kw_only=True)
class Understanding:
    """A message read in its conversation and classified."""

    session: SessionContext
    reading: Reading
    decision: IntentDecision
    vector: NDArray[np.float32] | None
    route: Route


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Filled in step by step; owned by one task, never shared."""

    request: ChatRequest
    response_id: str
    parts: PipelineParts
    recorder: TraceRecorder
    started_ns: int
    assignments: tuple[Assignment, ...] = ()
    session: SessionContext | None = None
    understood: Understanding | None = None
    reservation: Reservation | None = None
    service_level: ServiceLevel = "full"
    retrieval: RetrievalResult | None = None
    facts: AnswerFacts | None = None
    prompt: BuiltPrompt | None = None
    input_verdict: GuardrailVerdict | None = None
    chunk_verdicts: tuple[GuardrailVerdict, ...] = ()
    stream_verdict: GuardrailVerdict | None = None
    output_verdict: GuardrailVerdict | None = None
    text: str = ""
    streamed: bool = False
    handler: Handler = "template"
    prompt_version: str = "none"
    model_id: str = "none"
    usage: TokenUsage = field(default_factory=TokenUsage)
    model_ms: float = 0.0
    time_to_first_token_ms: float | None = None
    cache_hit: bool = False
    cached_from: str | None = None
    model_key: str = "none"
    choice: ModelChoice | None = None
    generation: GenerationRequest | None = None
    finished: GenerationFinished | None = None
    raw_text: str | None = None
    products: tuple[ProductCard, ...] = ()
    sources: tuple[SourceRef, ...] = ()
    outcome: str = "abandoned"
    degraded: list[str] = field(default_factory=list)
    baggage: dict[str, str] = field(default_factory=dict)
    sampling: SamplingDecision | None = None

    def elapsed_ms(self) -> float:
        """Time since the request was accepted."""
        return (self.recorder.now_ns() - self.started_ns) / 1e6
