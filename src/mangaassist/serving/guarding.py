"""apply_guardrails: the message before it is understood, retrieved texts before they are used, the answer."""

from __future__ import annotations

from dataclasses import replace

from mangaassist.domain.guardrails import STREAM_GUARD, GuardrailVerdict, StageResult
from mangaassist.domain.retrieval import Chunk
from mangaassist.serving.exchange import Exchange
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.security_log import log_attacks


async def check_message(exchange: Exchange) -> GuardrailVerdict:
    """Run the input stages; a blocked message is never classified, retrieved for or generated from."""
    verdict = await exchange.parts.guardrails.run(
        "input", exchange.request.message, guard_context(exchange), trace=exchange.recorder
    )
    exchange.input_verdict = verdict
    log_attacks(exchange, verdict, exchange.request.message)
    return verdict


async def screen_chunks(exchange: Exchange) -> None:
    """Check every retrieved chunk; what is refused reaches neither facts nor prompt."""
    retrieval, guardrails = exchange.retrieval, exchange.parts.guardrails
    if retrieval is None or not retrieval.chunks or not guardrails.has_stages("retrieved"):
        return
    texts = [scored.chunk.text for scored in retrieval.chunks]
    verdicts = await guardrails.screen(texts, guard_context(exchange), trace=exchange.recorder)
    exchange.chunk_verdicts = verdicts
    for scored, verdict in zip(retrieval.chunks, verdicts, strict=True):
        log_attacks(exchange, verdict, scored.chunk.text, chunk_id=scored.chunk.chunk_id)
    kept = [
        scored
        if verdict.action == "allow"
        else replace(scored, chunk=replace(scored.chunk, text=verdict.text))
        for scored, verdict in zip(retrieval.chunks, verdicts, strict=True)
        if not verdict.fallback_triggered
    ]
    refused = len(texts) - len(kept)
    if refused:
        exchange.degraded.append(f"retrieval: {refused} chunk(s) refused by guardrails")
    exchange.retrieval = replace(retrieval, chunks=tuple(kept))


def stopped_stream(exchange: Exchange, rule_id: str, text: str) -> None:
    """Note that a rule stopped the stream at `text`, which nobody saw whole."""
    result = StageResult(
        stage=STREAM_GUARD, action="block", score=1.0, rule_id=rule_id, reason="a rule of the stream matched"
    )
    exchange.stream_verdict = GuardrailVerdict(
        action="block",
        text="",
        checked_text=text,
        results=(result,),
        phase="stream",
        deciding_stage=STREAM_GUARD,
        rule_id=rule_id,
        ruleset_version=exchange.parts.guardrails.version,
    )


def answer_verdicts(exchange: Exchange) -> list[GuardrailVerdict]:
    """Return the verdicts on message, stream and answer, those there are."""
    verdicts = (exchange.input_verdict, exchange.stream_verdict, exchange.output_verdict)
    return [verdict for verdict in verdicts if verdict is not None]


async def check_answer(exchange: Exchange) -> GuardrailVerdict:
    """Run the output stages over the whole answer, whichever handler made it."""
    verdict = await exchange.parts.guardrails.run(
        "output", exchange.text, guard_context(exchange), trace=exchange.recorder
    )
    exchange.output_verdict = verdict
    return verdict


def guard_context(exchange: Exchange) -> GuardrailContext:
    """Return what the stages may look at besides the text, as far as it is known by now."""
    request, understood = exchange.request, exchange.understood
    return GuardrailContext(
        locale=request.page_context.locale,
        channel=request.channel,
        question=request.message,
        intent=understood.decision.intent if understood else None,
        handler=exchange.handler,
        facts=exchange.facts,
        chunks=_chunks(exchange),
    )


def _chunks(exchange: Exchange) -> tuple[Chunk, ...]:
    return tuple(scored.chunk for scored in exchange.retrieval.chunks) if exchange.retrieval else ()
