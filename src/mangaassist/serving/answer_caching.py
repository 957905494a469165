"""cache_lookup: impersonal answers shared by everyone who asks the same of the same bundle."""

from __future__ import annotations

import orjson

from mangaassist.domain.chat import SourceRef
from mangaassist.ports.answer_cache import AnswerCache, CacheScope
from mangaassist.serving.exchange import Exchange, Understanding


def scope_of(exchange: Exchange, understood: Understanding) -> CacheScope | None:
    """Return where this answer may be shared, or None when it is personal or depends on earlier turns."""
    reading, request = understood.reading, exchange.request
    if not understood.route.cacheable or reading.follow_up or reading.order_ids:
        return None
    bundle = exchange.parts.bundle
    return CacheScope(
        release_bundle=bundle.version,
        knowledge_version=bundle.knowledge_version,
        locale=request.page_context.locale,
        intent=understood.decision.intent.value,
        page=request.page_context.asin or "",
    )


async def find_cached(
    exchange: Exchange, understood: Understanding, scope: CacheScope, *, cache: AnswerCache
) -> bool:
    """Take the answer from the cache if there is one."""
    with exchange.recorder.span("cache_lookup") as span:
        found = await cache.find(
            scope,
            exchange.request.message,
            understood.vector,
            min_similarity=exchange.parts.cache_min_similarity,
        )
        span.set(cache_hit=found is not None, similarity=found.similarity if found else None)
    if found is None:
        return False
    stored = orjson.loads(found.payload)
    exchange.text = stored["text"]
    exchange.sources = tuple(SourceRef(**source) for source in stored["sources"])
    exchange.prompt_version = stored["prompt_version"]
    exchange.model_id = stored["model_id"]
    exchange.cached_from = stored.get("response_id")
    exchange.cache_hit = True
    return True


async def store_answer(
    exchange: Exchange, understood: Understanding, scope: CacheScope, *, cache: AnswerCache
) -> None:
    """Share an answer that passed every guardrail unchanged and used nothing of its customer."""
    verdict, facts = exchange.output_verdict, exchange.facts
    if verdict is None or verdict.action != "allow" or exchange.degraded or exchange.outcome != "answered":
        return
    if facts is not None and (facts.orders or facts.customer is not None or exchange.products):
        return
    payload = orjson.dumps(
        {
            "text": exchange.text,
            "sources": [
                {"source_id": source.source_id, "kind": source.kind, "title": source.title}
                for source in exchange.sources
            ],
            "prompt_version": exchange.prompt_version,
            "model_id": exchange.model_id,
            "response_id": exchange.response_id,
        }
    )
    await cache.put(
        scope, exchange.request.message, understood.vector, payload, ttl_s=exchange.parts.cache_ttl_s
    )
