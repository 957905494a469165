"""Keeps the evidence of an answer: chunks and prompts once for all, its capsule under its customer's key."""

from __future__ import annotations

from dataclasses import replace

import orjson

from mangaassist.domain.bundle import ReleaseBundle
from mangaassist.domain.capsule import Capsule, CapturedChunk, CapturedPrompt, CapturedVerdict
from mangaassist.domain.contents import SealedContent
from mangaassist.domain.errors import DependencyError
from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.clock import Clock
from mangaassist.serving.contents import Contents
from mangaassist.serving.exchange import Exchange, Understanding


async def sealed_capsule(
    exchange: Exchange, understood: Understanding, *, contents: Contents | None, clock: Clock
) -> SealedContent | None:
    """Store what is shared and return the capsule, sealed, to be stored with the turn.

    None, with the reason among `exchange.degraded`, when the content store fails: an answer does not
    fail for its evidence.
    """
    if contents is None:
        return None
    payloads = (
        [payload_of(scored.chunk) for scored in exchange.retrieval.chunks] if exchange.retrieval else []
    )
    shared = [*payloads, exchange.prompt.system.encode()] if exchange.prompt else payloads
    try:
        addresses = await contents.keep_shared(shared)
        capsule = capsule_of(exchange, understood, addresses=addresses, clock=clock)
        return await contents.seal(encoded_capsule(capsule), owner=exchange.request.identity.owner)
    except DependencyError as error:
        exchange.degraded.append(f"evidence: {type(error).__name__}")
        return None


def payload_of(chunk: Chunk) -> bytes:
    """Return the canonical bytes of a chunk; its address is their hash."""
    return orjson.dumps(chunk, option=orjson.OPT_SORT_KEYS)


def encoded_capsule(capsule: Capsule) -> bytes:
    """Return the capsule as JSON; its decoder is `control.lineage.capsules.decoded_capsule`."""
    return orjson.dumps(capsule)


def versions_of(bundle: ReleaseBundle, *, prompt_template: str | None = None) -> dict[str, str]:
    """Return the version of every component of an answer."""
    return {
        "intent_classifier": bundle.intent_classifier_version,
        "embedding": bundle.embedding_version or "none",
        "reranker": bundle.reranker_version,
        "retriever_policy": bundle.retriever_policy_version,
        "knowledge": bundle.knowledge_version,
        "guardrail_ruleset": bundle.guardrail_ruleset_version,
        "templates": bundle.template_version,
        "price_table": bundle.price_table_version,
        **({"prompt_template": prompt_template} if prompt_template else {}),
    }


def capsule_of(
    exchange: Exchange, understood: Understanding, *, addresses: tuple[str, ...], clock: Clock
) -> Capsule:
    """Return the capsule; `addresses` are those of the chunks, then that of the system prompt, if any."""
    retrieval, facts, prompt = exchange.retrieval, exchange.facts, exchange.prompt
    return Capsule(
        response_id=exchange.response_id,
        trace_id=exchange.recorder.trace_id,
        moment=facts.now if facts else clock.now(),
        request=exchange.request,
        turns=understood.session.turns,
        state=understood.session.state,
        decision=understood.decision,
        handler=exchange.handler,
        service_level=exchange.service_level,
        outcome=exchange.outcome,
        release_bundle=exchange.parts.bundle.version,
        text=exchange.text,
        versions=versions_of(exchange.parts.bundle, prompt_template=prompt.template_hash if prompt else None),
        retrieved=retrieval is not None,
        chunks=tuple(
            CapturedChunk(
                chunk_id=scored.chunk.chunk_id,
                address=address,
                score=scored.score,
                dense_score=scored.dense_score,
                lexical_score=scored.lexical_score,
            )
            for scored, address in zip(retrieval.chunks, addresses, strict=False)
        )
        if retrieval
        else (),
        facts=replace(facts, passages=()) if facts and retrieval else facts,
        prompt=_prompt_of(exchange, addresses[-1]) if prompt else None,
        raw_text=exchange.raw_text,
        verdicts=tuple(
            CapturedVerdict(
                phase=phase,
                stage=result.stage,
                action=result.action,
                score=result.score,
                rule_id=result.rule_id,
                mode=result.mode,
            )
            for phase, verdict in (("input", exchange.input_verdict), ("output", exchange.output_verdict))
            if verdict is not None
            for result in verdict.results
        ),
        prompt_version=exchange.prompt_version,
        cached_from=exchange.cached_from,
    )


def _prompt_of(exchange: Exchange, system: str) -> CapturedPrompt | None:
    prompt, request, choice = exchange.prompt, exchange.generation, exchange.choice
    if prompt is None or request is None or choice is None:
        return None
    return CapturedPrompt(
        prompt_version=prompt.prompt_version,
        template_hash=prompt.template_hash,
        prompt_hash=prompt.prompt_hash,
        system=system,
        messages=prompt.messages,
        model_key=exchange.model_key,
        provider=choice.provider,
        model_id=choice.model_id,
        parameters=choice.parameters,
        sent_max_tokens=request.parameters.max_tokens,
        limits=prompt.limits,
        cache_prefix=request.cache_prefix,
    )
