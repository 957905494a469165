"""persist_response: turn, dialogue state and request record, durable before the answer counts as done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from mangaassist.domain.chat import ChatAnswer, Turn
from mangaassist.domain.dialogue import DialogueState
from mangaassist.domain.guardrails import SEVERITY, GuardrailVerdict, StageResult
from mangaassist.domain.records import RequestRecord
from mangaassist.ports.clock import Clock
from mangaassist.ports.sessions import SessionStore, TurnWrite
from mangaassist.serving.contents import Contents
from mangaassist.serving.dialogue.state_changes import after_answer
from mangaassist.serving.evidence import sealed_capsule, versions_of
from mangaassist.serving.exchange import Exchange, Understanding
from mangaassist.serving.guarding import answer_verdicts
from mangaassist.serving.guardrail_review import review_of
from mangaassist.serving.guardrails.redaction import FAILED, Redactor
from mangaassist.serving.presentation import series_in_text
from mangaassist.serving.sampling import recorded_reason


async def persist_response(
    exchange: Exchange,
    understood: Understanding,
    *,
    sessions: SessionStore,
    contents: Contents | None,
    redactor: Redactor,
    clock: Clock,
    region: str,
) -> None:
    """Store the exchange, its words without personal data; returns once it is durable.

    Raises `DependencyError` when it cannot be.
    """
    request = exchange.request
    with exchange.recorder.span("persist_response") as span:
        capsule = await sealed_capsule(exchange, understood, contents=contents, clock=clock)
        now = clock.now()
        user_text, assistant_text = (
            redactor.redact(text, "conversation") for text in (request.message, exchange.text)
        )
        if FAILED in (user_text, assistant_text):
            exchange.degraded.append("redaction: words of this turn were dropped")
        await sessions.append(
            TurnWrite(
                session_id=request.session_id,
                owner=request.identity.owner,
                turn=Turn(
                    response_id=exchange.response_id,
                    user_text=user_text,
                    assistant_text=assistant_text,
                    intent=understood.decision.intent,
                    created_at=now,
                ),
                state=_state_after(exchange, understood),
                record=_record(
                    exchange, understood, now=now, region=region, capsule=capsule.address if capsule else None
                ),
                capsule=capsule,
                review=review_of(exchange, redact=redactor.redact, now=now),
            )
        )
        span.set(response_id=exchange.response_id, durable=True)


def answer_of(exchange: Exchange) -> ChatAnswer:
    """Return the response contract of a finished exchange."""
    understood = exchange.understood
    assert understood is not None, "an answer exists only after its message was understood or refused"
    latency_ms = exchange.elapsed_ms()
    return ChatAnswer(
        response_id=exchange.response_id,
        trace_id=exchange.recorder.trace_id,
        session_id=exchange.request.session_id,
        request_id=exchange.request.request_id,
        text=exchange.text,
        intent=understood.decision.intent,
        confidence=understood.decision.confidence,
        route=exchange.handler,
        products=exchange.products,
        sources=exchange.sources,
        prompt_version=exchange.prompt_version,
        release_bundle=exchange.parts.bundle.version,
        usage=exchange.usage,
        model_id=exchange.model_id,
        latency_ms=latency_ms,
        overhead_ms=max(0.0, latency_ms - exchange.model_ms),
        cache_hit=exchange.cache_hit,
        degraded=tuple(exchange.degraded),
    )


def _state_after(exchange: Exchange, understood: Understanding) -> DialogueState:
    facts = exchange.facts
    if facts is None:
        return understood.reading.state
    shown = tuple(item.series.series_id for item in series_in_text(facts, exchange.text))
    return after_answer(understood.reading.state, facts, shown)


def _record(
    exchange: Exchange, understood: Understanding, *, now: datetime, region: str, capsule: str | None
) -> RequestRecord:
    request, decision, parts = exchange.request, understood.decision, exchange.parts
    finished, prompt = exchange.finished, exchange.prompt
    chunks = [scored.chunk for scored in exchange.retrieval.chunks] if exchange.retrieval else []
    verdicts = answer_verdicts(exchange)
    screened = [*verdicts, *exchange.chunk_verdicts]
    deciding = max(verdicts, key=lambda verdict: verdict.severity, default=None)
    return RequestRecord(
        response_id=exchange.response_id,
        request_id=request.request_id,
        trace_id=exchange.recorder.trace_id,
        session_id=request.session_id,
        owner=request.identity.owner,
        created_at=now,
        intent=decision.intent.value,
        confidence=decision.confidence,
        classification_path=decision.classification_path,
        route=exchange.handler,
        release_bundle=parts.bundle.version,
        prompt_version=exchange.prompt_version,
        model_id=exchange.model_id,
        page_type=request.page_context.page_type,
        user_type=request.identity.user_type,
        locale=request.page_context.locale,
        cache_hit=exchange.cache_hit,
        input_tokens=exchange.usage.input_tokens,
        output_tokens=exchange.usage.output_tokens,
        cached_input_tokens=exchange.usage.cached_input_tokens,
        latency_ms=exchange.elapsed_ms(),
        time_to_first_token_ms=exchange.time_to_first_token_ms,
        guardrail_action=deciding.action if deciding else "allow",
        guardrail_scores=_worst_scores(screened),
        chunk_ids=tuple(chunk.chunk_id for chunk in chunks),
        step_ms=exchange.recorder.step_ms(),
        outcome=exchange.outcome,
        service_level=exchange.service_level,
        sampling_reason=recorded_reason(exchange.sampling),
        deployment_stage=parts.deployment_stage,
        region=region,
        versions=versions_of(parts.bundle, prompt_template=prompt.template_hash[:16] if prompt else None),
        provider=finished.provider if finished else "none",
        stop_reason=finished.stop_reason if finished else None,
        retries=finished.retries if finished else 0,
        fallback_model=finished is not None and finished.fallback_used,
        cache_write_tokens=exchange.usage.cache_write_tokens,
        tokens_estimated=exchange.usage.estimated,
        cost_usd=parts.prices.cost_usd(exchange.model_id, exchange.usage),
        guardrail_stage=deciding.deciding_stage if deciding else None,
        guardrail_rule=deciding.rule_id if deciding else None,
        guardrail_actions={name: result.action for name, result in _worst(screened).items()},
        channel=request.channel,
        guardrail_rules={
            name: result.rule_id for name, result in _worst(screened).items() if result.rule_id is not None
        },
        chunk_hashes=tuple(hashlib.sha256(chunk.text.encode()).hexdigest() for chunk in chunks),
        prompt_hash=prompt.prompt_hash if prompt and exchange.generation else None,
        capsule=capsule,
        assignments={one.experiment: one.arm for one in exchange.assignments},
    )


def _worst(verdicts: Iterable[GuardrailVerdict]) -> dict[str, StageResult]:
    """Return each stage's most severe result; a stage for retrieved texts has one a text."""
    worst: dict[str, StageResult] = {}
    for verdict in verdicts:
        for result in verdict.results:
            known = worst.get(result.stage)
            if known is None or _severity(result) > _severity(known):
                worst[result.stage] = result
    return worst


def _worst_scores(verdicts: Iterable[GuardrailVerdict]) -> dict[str, float]:
    return {name: result.score for name, result in _worst(verdicts).items() if result.score is not None}


def _severity(result: StageResult) -> tuple[int, float]:
    return SEVERITY[result.action], result.score or 0.0
