"""bedrock_generate: the model's stream, guarded piece by piece, with a template to fall back to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from mangaassist.domain.bundle import ModelChoice
from mangaassist.domain.chat import AnswerEvent, AnswerReplaced, AnswerToken
from mangaassist.domain.errors import DependencyError
from mangaassist.domain.generation import GenerationFinished, GenerationRequest, TextDelta
from mangaassist.ports.text_models import TextModel
from mangaassist.serving.exchange import Exchange
from mangaassist.serving.guarding import guard_context, stopped_stream
from mangaassist.serving.guardrails.streaming import StreamGuard
from mangaassist.serving.sampling import outgoing_baggage
from mangaassist.serving.template_answers import fallback_text
from mangaassist.serving.tracing import Span


async def generate(
    exchange: Exchange, request: GenerationRequest, *, model: TextModel, choice: ModelChoice
) -> AsyncIterator[AnswerEvent]:
    """Stream the answer; `exchange.text` holds the whole of it afterwards.

    A failing provider or a violation inside the stream ends in the fallback template of the intent,
    as a `replace` where text has been shown already.
    """
    guard = exchange.parts.guardrails.stream_guard(guard_context(exchange))
    pieces: list[str] = []
    shown: list[str] = []
    exchange.generation, exchange.choice = request, choice
    with exchange.recorder.span("bedrock_generate", "LLM") as span:
        _describe_call(span, exchange, request, choice)
        problem: str | None = None
        context = exchange.recorder.context(outgoing_baggage(exchange))
        stream = model.stream(replace(request, context=context))
        try:
            async for event in stream:
                if isinstance(event, TextDelta):
                    pieces.append(event.text)
                    released = guard.feed(event.text)
                    if released:
                        shown.append(released)
                        exchange.streamed = True
                        yield AnswerToken(text=released)
                    if guard.violation is not None:
                        stopped_stream(exchange, guard.violation, "".join(pieces))
                        problem = f"guardrail:{guard.violation}"
                        break
                else:
                    _take_usage(span, exchange, event)
        except DependencyError as error:
            problem = type(error).__name__
            span.error = problem
            span.set(error_message=exchange.parts.guardrails.redact(str(error))[:200])
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        exchange.model_ms = span.duration_ms
        span.set(
            time_to_first_token_ms=exchange.time_to_first_token_ms, redactions_in_stream=guard.redactions
        )
    if exchange.finished is not None:
        exchange.raw_text = "".join(pieces)
    if problem is None:
        async for last in _finish(exchange, guard, "".join(shown), whole="".join(pieces)):
            yield last
        return
    exchange.degraded.append(f"generation: {problem}")
    exchange.outcome = "fallback"
    exchange.text = fallback_text(exchange)
    if exchange.streamed:
        yield AnswerReplaced(text=exchange.text, reason=problem)


async def _finish(
    exchange: Exchange, guard: StreamGuard, text: str, *, whole: str
) -> AsyncIterator[AnswerEvent]:
    rest = guard.finish()
    exchange.text = text + rest
    if guard.violation is not None:
        stopped_stream(exchange, guard.violation, whole)
        exchange.degraded.append(f"generation: guardrail:{guard.violation}")
        exchange.outcome = "fallback"
        exchange.text = fallback_text(exchange)
        if exchange.streamed:
            yield AnswerReplaced(text=exchange.text, reason=guard.violation)
    elif rest:
        exchange.streamed = True
        yield AnswerToken(text=rest)


def _describe_call(span: Span, exchange: Exchange, request: GenerationRequest, choice: ModelChoice) -> None:
    exchange.model_id = choice.model_id
    prompt = exchange.prompt
    span.set(
        provider=choice.provider,
        bedrock_model_id=choice.model_id,
        prompt_hash=prompt.prompt_hash if prompt else None,
        prompt_chars=prompt.prompt_chars if prompt else None,
        temperature=request.parameters.temperature,
        max_tokens=request.parameters.max_tokens,
    )


def _take_usage(span: Span, exchange: Exchange, event: GenerationFinished) -> None:
    usage = event.usage
    exchange.finished = event
    exchange.usage = usage
    exchange.model_id = event.model_id
    exchange.time_to_first_token_ms = event.time_to_first_token_ms
    if event.fallback_used:
        exchange.degraded.append("generation: fallback model")
    span.set(
        bedrock_model_id=event.model_id,
        provider=event.provider,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        tokens_estimated=usage.estimated,
        stop_reason=event.stop_reason,
        retries=event.retries,
        fallback_triggered=event.fallback_used,
    )
