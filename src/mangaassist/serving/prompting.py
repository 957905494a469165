"""build_prompt: the facts and the versioned prompt become what is sent to the model."""

from __future__ import annotations

from mangaassist.domain.bundle import ModelChoice
from mangaassist.domain.generation import GenerationRequest
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.ports.sessions import SessionContext
from mangaassist.serving.exchange import Exchange

# Claude models on Bedrock cache prefixes of at least 1,024 tokens (see docs/decisions/0008).
MIN_CACHEABLE_TOKENS = 1_024


def build_prompt(
    exchange: Exchange, facts: AnswerFacts, *, session: SessionContext, choice: ModelChoice
) -> GenerationRequest:
    """Render the prompt of the intent and return the request for the model."""
    parts = exchange.parts
    history = session.turns[-2:] if exchange.service_level == "reduced" else session.turns
    with exchange.recorder.span("build_prompt", "PARSER") as span:
        prompt = parts.prompts.build(
            facts.intent.value, facts, history, min_cacheable_tokens=MIN_CACHEABLE_TOKENS
        )
        exchange.prompt = prompt
        exchange.prompt_version = prompt.prompt_version
        span.set(
            prompt_version=prompt.prompt_version,
            system_prompt_hash=prompt.system_prompt_hash,
            prompt_hash=prompt.prompt_hash,
            retrieved_chunk_count=len(exchange.retrieval.chunks) if exchange.retrieval else 0,
            prompt_chars=prompt.prompt_chars,
            cacheable_prefix_tokens=prompt.cacheable_prefix_tokens,
            prefix_qualifies_for_caching=prompt.prefix_qualifies_for_caching,
        )
    return GenerationRequest(
        model_id=choice.model_id,
        system=prompt.system,
        messages=prompt.messages,
        parameters=choice.parameters,
        limits=prompt.limits,
        facts=facts,
        cache_prefix=prompt.prefix_qualifies_for_caching,
    )
