"""Traces as the pipeline makes them."""

from __future__ import annotations

from dataclasses import replace

import orjson

from mangaassist.domain.trace import FinishedSpan, Trace
from mangaassist.serving.tracing import TraceRecorder
from tests.support.clock import FakeClock, SequentialIds

STAGES = {"input": ("input_length", "prompt_injection"), "output": ("pii_detection", "grounding_check")}


class TraceMaker:
    """Makes complete traces of answers; ids count up, time moves with every step."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ids = SequentialIds()

    def answered(self, *, outcome: str = "answered") -> Trace:
        """Return the trace of an answer that a model wrote from retrieved chunks: all spans and tags."""
        recorder = self._recorder()
        with recorder.span("handle_message", "CHAIN") as root:
            self._describe_root(recorder, outcome)
            self._step(recorder, "load_context", turns=2, session_exists=True, follow_up=False)
            self._guardrails(recorder, "input")
            self._understand(recorder, handler="llm")
            self._step(recorder, "cache_lookup", cache_hit=False, similarity=None)
            self._retrieve(recorder)
            self._step(recorder, "assemble_facts", candidates=3, passages=2, orders=0)
            self._generate(recorder)
            self._guardrails(recorder, "output")
            self._step(recorder, "persist_response", response_id="resp_1", durable=True)
        return self._frozen(recorder, root.attributes["outcome"], route="llm")

    def template(self) -> Trace:
        """Return the trace of an answer made without a model."""
        recorder = self._recorder()
        with recorder.span("handle_message", "CHAIN"):
            self._describe_root(recorder, "answered")
            self._step(recorder, "load_context", turns=0, session_exists=False, follow_up=False)
            self._guardrails(recorder, "input")
            self._understand(recorder, handler="template")
            self._step(recorder, "assemble_facts", candidates=0, passages=0, orders=0)
            self._guardrails(recorder, "output")
            self._step(recorder, "persist_response", response_id="resp_1", durable=True)
        return self._frozen(recorder, "answered", route="template")

    def abandoned(self) -> Trace:
        """Return the trace of a request whose asker left."""
        recorder = self._recorder()
        with recorder.span("handle_message", "CHAIN"):
            self._describe_root(recorder, "abandoned")
            self._step(recorder, "load_context", turns=0, session_exists=False, follow_up=False)
        return self._frozen(recorder, "abandoned", route="template")

    def _recorder(self) -> TraceRecorder:
        return TraceRecorder(clock=self.clock, ids=self.ids)

    def _describe_root(self, recorder: TraceRecorder, outcome: str) -> None:
        recorder.root.set(
            request_id="req_1",
            session_id="session-1",
            page_type="product",
            customer_locale="en-US",
            outcome=outcome,
            degraded=(),
        )

    def _step(self, recorder: TraceRecorder, name: str, **attributes: str | int | bool | None) -> None:
        with recorder.span(name) as span:
            self.clock.advance(0.001)
            span.set(**attributes)

    def _understand(self, recorder: TraceRecorder, *, handler: str) -> None:
        with recorder.span("intent_classification", "CHAIN") as span:
            self.clock.advance(0.001)
            span.set(
                intent="recommendation",
                confidence=0.93,
                classifier_version="intent-1",
                classification_path="model",
            )
        self._step(
            recorder,
            "route_intent",
            intent="recommendation",
            handler=handler,
            service_level="full",
            template=None,
        )

    def _guardrails(self, recorder: TraceRecorder, phase: str) -> None:
        with recorder.span("apply_guardrails", "GUARDRAIL") as span:
            for stage in STAGES[phase]:
                with recorder.span(stage, "GUARDRAIL") as child:
                    self.clock.advance(0.001)
                    child.set(
                        passed=True, score=0.01, reason=None, rule_id=None, latency_ms=1.0, action="allow"
                    )
            span.set(
                guardrail_stage=phase,
                verdict="allow",
                rule_id=None,
                fallback_triggered=False,
                guardrail_ruleset_version="gr-1",
            )

    def _retrieve(self, recorder: TraceRecorder) -> None:
        with recorder.span("retrieve_chunks", "RETRIEVER") as span:
            with recorder.span("embed_query", "EMBEDDING"):
                self.clock.advance(0.001)
            with recorder.span("vector_search", "RETRIEVER"):
                self.clock.advance(0.001)
            with recorder.span("keyword_search", "RETRIEVER"):
                self.clock.advance(0.001)
            with recorder.span("rerank_chunks", "RERANKER") as child:
                self.clock.advance(0.001)
                child.set(reranker_version="rr-1", input_count=50, output_count=2, latency_ms=1.0)
            span.set(
                query_text_hash="ab12",
                query_embedding_model="minilm",
                candidate_count=50,
                top_chunk_ids=("faq_1", "series_2"),
                source_types=("faq", "series"),
            )

    def _generate(self, recorder: TraceRecorder) -> None:
        with recorder.span("build_prompt", "PARSER") as span:
            self.clock.advance(0.001)
            span.set(
                prompt_version="recommendation-1.0",
                system_prompt_hash="cd34",
                retrieved_chunk_count=2,
                prompt_chars=2_345,
            )
        with recorder.span("bedrock_generate", "LLM") as span:
            self.clock.advance(0.2)
            span.set(
                provider="embedded",
                bedrock_model_id="composer-1",
                prompt_hash="ef56",
                prompt_chars=2_345,
                temperature=0.2,
                max_tokens=400,
                input_tokens=600,
                output_tokens=120,
                cached_input_tokens=0,
                stop_reason="end_turn",
            )

    def _frozen(self, recorder: TraceRecorder, outcome: object, *, route: str) -> Trace:
        model = route == "llm"
        response_id = self.ids.sortable("resp")
        recorder.tags.update(
            session_id="session-1",
            request_id="req_1",
            response_id=response_id,
            intent="recommendation",
            page_type="product",
            prompt_version="recommendation-1.0" if model else "templates-1",
            release_bundle="mangaassist-1",
            bedrock_model_id="composer-1" if model else "none",
            cache_hit="false",
            user_type="guest",
            route=route,
            outcome=str(outcome),
            service_level="full",
            deployment_stage="prod",
            environment="dev",
        )
        if model:
            chunks = [{"chunk_id": "faq_1", "title": "Shipping", "text": "Three days.", "score": 0.9}]
            snapshot = {"trace_id": recorder.trace_id, "chunk_ids": ["faq_1"], "chunks": chunks}
            recorder.artifacts["chunk_snapshot.json"] = orjson.dumps(snapshot).decode()
        return recorder.trace(
            response_id=response_id,
            session_id="session-1",
            request_preview="something like Berserk but gentler?",
            response_preview="Try these three.",
        )


def with_span(trace: Trace, name: str, /, **changes: object) -> Trace:
    """Return the trace with the first span of that name changed."""
    spans = list(trace.spans)
    number = next(number for number, span in enumerate(spans) if span.name == name)
    spans[number] = replace(spans[number], **changes)  # type: ignore[arg-type]  # fields by name
    return replace(trace, spans=tuple(spans))


def without_span(trace: Trace, name: str) -> Trace:
    """Return the trace without the spans of that name and what is below them."""
    gone: set[str] = set()
    kept: list[FinishedSpan] = []
    for span in trace.spans:
        if span.name == name or span.parent_id in gone:
            gone.add(span.span_id)
        else:
            kept.append(span)
    return replace(trace, spans=tuple(kept))
