"""How our attributes are called elsewhere: one table for OpenTelemetry's GenAI and OpenInference's names.

Every attribute also leaves under its own name with the prefix `mangaassist.`. Prompts and answers stay out
but for the redacted previews of the root span: the conventions make content opt-in, and we do not opt in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from mangaassist.domain.trace import AttributeValue, FinishedSpan, SpanKind, Trace

TABLE_VERSION: Final = 1
"""Raised with every change of the table; on every exported resource as `mangaassist.mapping.version`."""
GENAI_SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The semantic conventions that the GenAI names are taken from (in development there, so they may move)."""

SCHEMA: Final = "mangaassist."


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """One attribute of ours on spans of some kinds, and its names elsewhere; `kinds` empty means all."""

    name: str
    genai: str | None = None
    openinference: str | None = None
    kinds: frozenset[SpanKind] = frozenset()
    as_list: bool = False


_LLM: Final = frozenset[SpanKind]({"LLM"})
_SEARCH: Final = frozenset[SpanKind]({"RETRIEVER"})

TABLE: Final = (
    Renamed(name="session_id", genai="gen_ai.conversation.id", openinference="session.id"),
    Renamed(name="provider", genai="gen_ai.provider.name", openinference="llm.provider", kinds=_LLM),
    Renamed(
        name="bedrock_model_id", genai="gen_ai.request.model", openinference="llm.model_name", kinds=_LLM
    ),
    Renamed(name="temperature", genai="gen_ai.request.temperature", kinds=_LLM),
    Renamed(name="max_tokens", genai="gen_ai.request.max_tokens", kinds=_LLM),
    Renamed(name="stop_reason", genai="gen_ai.response.finish_reasons", kinds=_LLM, as_list=True),
    Renamed(
        name="output_tokens", genai="gen_ai.usage.output_tokens", openinference="llm.token_count.completion"
    ),
    Renamed(
        name="cached_input_tokens",
        genai="gen_ai.usage.cache_read.input_tokens",
        openinference="llm.token_count.prompt_details.cache_read",
        kinds=_LLM,
    ),
    Renamed(name="prompt_version", openinference="llm.prompt_template.version"),
    Renamed(
        name="query_embedding_model", openinference="embedding.model_name", kinds=frozenset({"EMBEDDING"})
    ),
    Renamed(name="reranker_version", openinference="reranker.model_name", kinds=frozenset({"RERANKER"})),
    Renamed(name="output_count", openinference="reranker.top_k", kinds=frozenset({"RERANKER"})),
)

OPERATIONS: Final[Mapping[SpanKind, str]] = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "RETRIEVER": "retrieval",
}
OPENINFERENCE_KINDS: Final[Mapping[SpanKind, str]] = {
    "CHAIN": "CHAIN",
    "TASK": "CHAIN",
    "PARSER": "PROMPT",
    "RETRIEVER": "RETRIEVER",
    "EMBEDDING": "EMBEDDING",
    "RERANKER": "RERANKER",
    "LLM": "LLM",
    "GUARDRAIL": "GUARDRAIL",
}

Attributes = dict[str, AttributeValue]


def span_attributes(span: FinishedSpan, trace: Trace) -> Attributes:
    """Return everything a span is described with elsewhere; values of None are left out."""
    own = {name: value for name, value in span.attributes.items() if value is not None}
    attributes: Attributes = {f"{SCHEMA}{name}": value for name, value in own.items()}
    attributes["openinference.span.kind"] = OPENINFERENCE_KINDS[span.kind]
    if span.kind in OPERATIONS:
        attributes["gen_ai.operation.name"] = OPERATIONS[span.kind]
    for rule in TABLE:
        value = own.get(rule.name)
        if value is None or (rule.kinds and span.kind not in rule.kinds):
            continue
        if rule.genai is not None:
            attributes[rule.genai] = (str(value),) if rule.as_list else value
        if rule.openinference is not None:
            attributes[rule.openinference] = value
    if span.kind == "LLM":
        attributes |= _model_call(own, trace)
    if span.kind in _SEARCH:
        attributes |= _documents(own)
    if span is trace.root:
        attributes |= _request(trace)
    return attributes


def span_name(span: FinishedSpan) -> str:
    """Return the name of a span: `{operation} {model}` for calls of a model, as the conventions have it."""
    model = span.attributes.get("bedrock_model_id")
    return f"{OPERATIONS['LLM']} {model}" if span.kind == "LLM" and model else span.name


def _model_call(own: Mapping[str, AttributeValue], trace: Trace) -> Attributes:
    # the conventions count cached tokens among the input tokens, we count them apart
    prompt = _count(own, "input_tokens") + _count(own, "cached_input_tokens")
    output = _count(own, "output_tokens")
    attributes: Attributes = {
        "gen_ai.conversation.id": trace.session_id,
        "gen_ai.response.id": trace.response_id,
        "gen_ai.usage.input_tokens": prompt,
        "llm.token_count.prompt": prompt,
        "llm.token_count.total": prompt + output,
        "llm.invocation_parameters": orjson.dumps(
            {name: own[name] for name in ("temperature", "max_tokens") if name in own}
        ).decode(),
    }
    first_ms = own.get("time_to_first_token_ms")
    if isinstance(first_ms, int | float):
        attributes["gen_ai.response.time_to_first_chunk"] = first_ms / 1e3
    return attributes


def _documents(own: Mapping[str, AttributeValue]) -> Attributes:
    chunk_ids = own.get("top_chunk_ids")
    if not isinstance(chunk_ids, tuple):
        return {}
    return {
        f"retrieval.documents.{number}.document.id": str(chunk_id)
        for number, chunk_id in enumerate(chunk_ids)
    }


def _request(trace: Trace) -> Attributes:
    return {
        **{f"{SCHEMA}{name}": value for name, value in trace.tags.items()},
        f"{SCHEMA}sampling_reason": trace.sampling_reason,
        f"{SCHEMA}sampling_weight": trace.sampling_weight,
        "session.id": trace.session_id,
        "gen_ai.conversation.id": trace.session_id,
        "input.value": trace.request_preview,
        "output.value": trace.response_preview,
    }


def _count(own: Mapping[str, AttributeValue], name: str) -> int:
    value = own.get(name)
    return value if isinstance(value, int) else 0
