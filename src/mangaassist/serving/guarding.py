"""apply_guardrails on both sides: the message before it is understood, the answer before it is stored."""

from __future__ import annotations

from mangaassist.domain.guardrails import GuardrailVerdict
from mangaassist.serving.exchange import Exchange
from mangaassist.serving.guardrails.context import GuardrailContext


async def check_message(exchange: Exchange) -> GuardrailVerdict:
    """Run the input stages; a blocked message is never classified, retrieved for or generated from."""
    request = exchange.request
    context = GuardrailContext(locale=request.page_context.locale, question=request.message)
    verdict = await exchange.parts.guardrails.run("input", request.message, context, trace=exchange.recorder)
    exchange.input_verdict = verdict
    return verdict


async def check_answer(exchange: Exchange) -> GuardrailVerdict:
    """Run the output stages over the whole answer, whichever handler made it."""
    request, understood, retrieval = exchange.request, exchange.understood, exchange.retrieval
    context = GuardrailContext(
        locale=request.page_context.locale,
        question=request.message,
        intent=understood.decision.intent if understood else None,
        handler=exchange.handler,
        facts=exchange.facts,
        chunks=tuple(scored.chunk for scored in retrieval.chunks) if retrieval else (),
    )
    verdict = await exchange.parts.guardrails.run("output", exchange.text, context, trace=exchange.recorder)
    exchange.output_verdict = verdict
    return verdict
