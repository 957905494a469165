"""What a diagnosis looks at: one answer with its surroundings, and what is usual for answers like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, Literal

from mangaassist.control.lineage.capsules import RecordedAnswer
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.records import RequestRecord
from mangaassist.domain.retrieval import Chunk
from mangaassist.domain.trace import Trace

Layer = Literal[
    "stale_chunk",
    "missing_chunk",
    "retrieval",
    "rerank",
    "prompt",
    "generation",
    "guardrail",
    "provider_latency",
    "intent",
    "storage",
]
Complaint = Literal["slow", "blocked", "disliked"]

LAYER_OF_STEP: Final[Mapping[str, Layer]] = {
    "load_context": "storage",
    "intent_classification": "intent",
    "embed_query": "retrieval",
    "vector_search": "retrieval",
    "keyword_search": "retrieval",
    "rerank_chunks": "rerank",
    "assemble_facts": "storage",
    "build_prompt": "prompt",
    "bedrock_generate": "provider_latency",
    "apply_guardrails": "guardrail",
    "persist_response": "storage",
}
"""Steps that hold no other step, and the layer that is to blame when one is slow."""

FEWEST_USUAL: Final = 5
"""Answers of a kind below which nothing is called usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A layer that may be to blame: `weight` 0 to 1, and what speaks for it."""

    layer: Layer
    weight: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual for answers of one intent and route that nobody disliked; nothing when they are few."""

    answers: int = 0
    latency_ms: float | None = None
    step_ms: Mapping[str, float] = field(default_factory=dict)
    output_tokens: float | None = None
    best_score: float | None = None
    allowed_scores: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEvidence:
    """One answer as far as it is known.

    `source_chunks` are the chunks that were used, as their sources (catalogue, articles, promotions) have
    them now; `found_now` what a plain search of the index gives for the question now, best first.
    """

    record: RequestRecord
    usual: Usual
    trace: Trace | None = None
    answer: RecordedAnswer | None = None
    feedback: tuple[FeedbackEvent, ...] = ()
    source_chunks: Mapping[str, Chunk] = field(default_factory=dict)
    found_now: tuple[str, ...] = ()

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """What is wrong with the answer; `disliked` when nothing says so, since somebody asks."""
        found: list[Complaint] = []
        record, usual = self.record, self.usual
        if usual.latency_ms is not None and record.latency_ms > max(
            2 * usual.latency_ms, usual.latency_ms + 100
        ):
            found.append("slow")
        if record.outcome in ("blocked", "fallback") or record.guardrail_action in ("replace", "block"):
            found.append("blocked")
        if any(event.feedback in ("thumbs_down", "escalation") for event in self.feedback):
            found.append("disliked")
        return tuple(found) or ("disliked",)

    def step_ms(self) -> dict[str, float]:
        """Durations by step: of the trace, which has them all, else of the record."""
        if self.trace is None:
            return dict(self.record.step_ms)
        out: dict[str, float] = {}
        for span in self.trace.spans[1:]:
            out[span.name] = out.get(span.name, 0.0) + span.duration_ms
        return out

    def attribute(self, span_name: str, name: str) -> object:
        """Return an attribute of the first span of a name, or None."""
        spans = self.trace.spans if self.trace else ()
        return next((span.attributes.get(name) for span in spans if span.name == span_name), None)


def usual_of(
    records: Sequence[RequestRecord], like: RequestRecord, best_score_of: Callable[[str], float | None]
) -> Usual:
    """Return what is usual among other answers of the same intent and route.

    `best_score_of` gives the best lexical score that the chunks of a response had, where that is known.
    """
    peers = [
        record
        for record in records
        if record.intent == like.intent
        and record.route == like.route
        and record.response_id != like.response_id
    ]
    if len(peers) < FEWEST_USUAL:
        return Usual(answers=len(peers))
    steps = {name for record in peers for name in record.step_ms}
    scores = [score for record in peers if (score := best_score_of(record.response_id)) is not None]
    return Usual(
        answers=len(peers),
        latency_ms=median(record.latency_ms for record in peers),
        step_ms={name: median(record.step_ms.get(name, 0.0) for record in peers) for name in steps},
        output_tokens=median(record.output_tokens for record in peers),
        best_score=median(scores) if len(scores) >= FEWEST_USUAL else None,
        allowed_scores={
            stage: [
                record.guardrail_scores[stage]
                for record in peers
                if stage in record.guardrail_scores and record.guardrail_actions.get(stage) == "allow"
            ]
            for stage in {stage for record in peers for stage in record.guardrail_scores}
        },
    )
