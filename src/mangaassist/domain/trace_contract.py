"""The trace contract: what the trace of every answer holds, as data, and what a trace lacks of it.

`docs/reference/trace-contract.md` is generated from this module.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mangaassist.domain.trace import FinishedSpan, SpanKind, Trace

PREVIEW_CHARS: Final = 500
SNAPSHOT: Final = "chunk_snapshot.json"
RESPONSE_OUTCOMES: Final = frozenset({"answered", "blocked", "fallback", "budget_exhausted"})

Condition = Literal[
    "always", "on every response", "on understood messages", "on answers of a model", "on cached answers"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRule:
    """One span of the tree.

    `required` is when it must be there (None: optional), `allowed` when it may be. `attributes` are there
    and known, `nullable` are there and may be None, `late` are known once the step has run to its end.
    A step that failed need not have set any.
    """

    name: str
    parent: str | None
    kind: SpanKind
    required: Condition | None
    allowed: Condition = "always"
    attributes: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    most: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRule:
    """One tag of a trace; `values` where only some are possible."""

    name: str
    required: Condition | None
    values: frozenset[str] | None = None
    note: str = ""


ROOT: Final = "handle_message"
GUARDRAILS: Final = "apply_guardrails"
STAGE: Final = "<stage>"

SPANS: Final = (
    SpanRule(
        name=ROOT,
        parent=None,
        kind="CHAIN",
        required="always",
        attributes=("request_id", "session_id", "page_type", "customer_locale", "outcome", "degraded"),
    ),
    SpanRule(
        name="load_context",
        parent=ROOT,
        kind="TASK",
        required="on every response",
        attributes=("turns", "session_exists", "follow_up"),
    ),
    SpanRule(
        name=GUARDRAILS,
        parent=ROOT,
        kind="GUARDRAIL",
        required="on every response",
        attributes=("guardrail_stage", "verdict", "fallback_triggered", "guardrail_ruleset_version"),
        nullable=("rule_id",),
        most=3,
        note="`guardrail_stage` is `input`, `retrieved` (where chunks are screened), `output`, in this order",
    ),
    SpanRule(
        name=STAGE,
        parent=GUARDRAILS,
        kind="GUARDRAIL",
        required=None,
        attributes=("passed", "latency_ms", "action"),
        nullable=("score", "reason", "rule_id"),
        most=64,
        note="one for every stage that is not off, named after it (`prompt_injection`, `pii_detection`, ...)",
    ),
    SpanRule(
        name="intent_classification",
        parent=ROOT,
        kind="CHAIN",
        required="on understood messages",
        attributes=("intent", "confidence", "classifier_version", "classification_path"),
    ),
    SpanRule(
        name="route_intent",
        parent=ROOT,
        kind="TASK",
        required="on understood messages",
        allowed="on understood messages",
        attributes=("intent", "handler", "service_level"),
        nullable=("template",),
    ),
    SpanRule(
        name="cache_lookup",
        parent=ROOT,
        kind="TASK",
        required="on cached answers",
        allowed="on understood messages",
        attributes=("cache_hit",),
        nullable=("similarity",),
        note="whenever the answer could be shared",
    ),
    SpanRule(
        name="retrieve_chunks",
        parent=ROOT,
        kind="RETRIEVER",
        required=None,
        allowed="on answers of a model",
        attributes=("query_text_hash", "candidate_count", "top_chunk_ids", "source_types"),
        nullable=("query_embedding_model",),
        note="whenever the route names kinds of chunks and the budget is not reduced",
    ),
    SpanRule(
        name="embed_query",
        parent="retrieve_chunks",
        kind="EMBEDDING",
        required=None,
        note="absent while search is lexical only",
    ),
    SpanRule(
        name="vector_search",
        parent="retrieve_chunks",
        kind="RETRIEVER",
        required=None,
        note="absent while search is lexical only",
    ),
    SpanRule(
        name="keyword_search",
        parent="retrieve_chunks",
        kind="RETRIEVER",
        required=None,
        note="whenever chunks are retrieved",
    ),
    SpanRule(
        name="rerank_chunks",
        parent="retrieve_chunks",
        kind="RERANKER",
        required=None,
        attributes=("reranker_version", "input_count", "output_count", "latency_ms"),
        note="whenever chunks are retrieved",
    ),
    SpanRule(
        name="assemble_facts",
        parent=ROOT,
        kind="TASK",
        required="on answers of a model",
        allowed="on understood messages",
        attributes=("candidates", "passages", "orders"),
    ),
    SpanRule(
        name="build_prompt",
        parent=ROOT,
        kind="PARSER",
        required="on answers of a model",
        allowed="on answers of a model",
        attributes=("prompt_version", "system_prompt_hash", "retrieved_chunk_count", "prompt_chars"),
    ),
    SpanRule(
        name="bedrock_generate",
        parent=ROOT,
        kind="LLM",
        required="on answers of a model",
        allowed="on answers of a model",
        attributes=(
            "provider",
            "bedrock_model_id",
            "prompt_hash",
            "prompt_chars",
            "temperature",
            "max_tokens",
        ),
        late=("input_tokens", "output_tokens", "stop_reason"),
        note="whichever provider wrote the answer",
    ),
    SpanRule(
        name="persist_response",
        parent=ROOT,
        kind="TASK",
        required="on every response",
        attributes=("response_id",),
    ),
)

TAGS: Final = (
    TagRule(name="session_id", required="always"),
    TagRule(name="request_id", required="always"),
    TagRule(name="response_id", required="always"),
    TagRule(name="intent", required="always", note="`unknown` when the request ended before it was known"),
    TagRule(name="page_type", required="always"),
    TagRule(name="release_bundle", required="always"),
    TagRule(name="prompt_version", required="on answers of a model", note="`none` without a prompt"),
    TagRule(name="bedrock_model_id", required="on answers of a model", note="`none` without a model"),
    TagRule(name="cache_hit", required="always", values=frozenset({"true", "false"})),
    TagRule(name="user_type", required=None, values=frozenset({"guest", "signed_in", "member"})),
    TagRule(name="experiment_id", required=None, note="keys of the unit's experiments, comma between"),
    TagRule(name="variant", required=None, note="its arms, in the order of `experiment_id`"),
    TagRule(
        name="route",
        required="always",
        values=frozenset({"template", "api_template", "cached", "llm"}),
    ),
    TagRule(name="outcome", required="always"),
    TagRule(name="service_level", required="always", values=frozenset({"full", "reduced", "minimal"})),
    TagRule(name="deployment_stage", required="always"),
    TagRule(name="environment", required="always"),
)

_RULES: Final[Mapping[str, SpanRule]] = {rule.name: rule for rule in SPANS}
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}\Z")


def violations(trace: Trace) -> list[str]:
    """Return everything in which a trace breaks the contract; empty when it keeps it."""
    if not trace.spans:
        return ["the trace has no spans"]
    facts = _facts_of(trace)
    return [
        *_shape_problems(trace),
        *(
            problem
            for check in (_span_problems, _tag_problems, _content_problems)
            for problem in check(trace, facts)
        ),
    ]


def _facts_of(trace: Trace) -> Mapping[Condition, bool]:
    """Return which conditions hold for a trace, told from its tags and its input verdict."""
    tags = trace.tags
    response = tags.get("outcome") in RESPONSE_OUTCOMES
    refused = any(
        span.name == GUARDRAILS
        and span.attributes.get("guardrail_stage") == "input"
        and span.attributes.get("fallback_triggered") is True
        for span in trace.spans
    )
    understood = response and not refused
    return {
        "always": True,
        "on every response": response,
        "on understood messages": understood,
        "on answers of a model": understood
        and tags.get("route") == "llm"
        and tags.get("service_level") != "minimal",
        "on cached answers": understood and tags.get("route") == "cached",
    }


def _rule_of(span: FinishedSpan, parent: FinishedSpan | None) -> SpanRule | None:
    if parent is not None and parent.name == GUARDRAILS:
        return _RULES[STAGE]
    return _RULES.get(span.name) if span.name != STAGE else None


def _shape_problems(trace: Trace) -> Iterator[str]:
    """One tree of known spans, each inside its parent."""
    by_id = {span.span_id: span for span in trace.spans}
    if not _TRACE_ID.match(trace.trace_id):
        yield f"trace id {trace.trace_id!r} is not 32 lower-case hex characters"
    if len(by_id) != len(trace.spans):
        yield "span ids repeat"
    for number, span in enumerate(trace.spans):
        parent = by_id.get(span.parent_id) if span.parent_id is not None else None
        if (number == 0) != (span.parent_id is None):
            yield f"{span.name}: the first span, and only it, is the root"
        elif span.parent_id is not None and parent is None:
            yield f"{span.name}: its parent is not in the trace"
        rule = _rule_of(span, parent)
        if rule is None:
            yield f"{span.name}: not a span of the contract"
        elif rule.parent != (parent.name if parent else None):
            yield f"{span.name}: belongs under {rule.parent}, is under {parent.name if parent else None}"
        elif rule.kind != span.kind:
            yield f"{span.name}: is {span.kind}, not {rule.kind}"
        if span.end_ns < span.start_ns:
            yield f"{span.name}: ends before it starts"
        if parent is not None and not parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns:
            yield f"{span.name}: reaches outside {parent.name}"


def _span_problems(trace: Trace, facts: Mapping[Condition, bool]) -> Iterator[str]:
    by_id = {span.span_id: span for span in trace.spans}
    counts = Counter((span.parent_id, span.name) for span in trace.spans)
    names = {span.name for span in trace.spans}
    response = facts["on every response"]
    for rule in SPANS:
        if rule.required is not None and facts[rule.required] and rule.name not in names:
            yield f"{rule.name}: missing, required {rule.required}"
    for (_, name), count in counts.items():
        most = _RULES[name].most if name in _RULES else 1
        if count > most:
            yield f"{name}: appears {count} times, at most {most}"
    for span in trace.spans:
        parent = by_id.get(span.parent_id) if span.parent_id is not None else None
        known = _rule_of(span, parent)
        if known is None:
            continue
        # a request that ended early has whatever it got to
        if response and not facts[known.allowed]:
            yield f"{span.name}: only allowed {known.allowed}"
        if span.status == "ok":
            yield from _attribute_problems(span, known, finished=trace.tags.get("outcome") != "fallback")


def _attribute_problems(span: FinishedSpan, rule: SpanRule, *, finished: bool) -> Iterator[str]:
    for name in (*rule.attributes, *(rule.late if finished else ())):
        if span.attributes.get(name) is None:
            yield f"{span.name}: attribute {name!r} is missing"
    for name in rule.nullable:
        if name not in span.attributes:
            yield f"{span.name}: attribute {name!r} is missing"


def _tag_problems(trace: Trace, facts: Mapping[Condition, bool]) -> Iterator[str]:
    for rule in TAGS:
        value = trace.tags.get(rule.name)
        if value is None:
            if rule.required is not None and facts[rule.required]:
                yield f"tag {rule.name!r}: missing, required {rule.required}"
        elif rule.values is not None and value not in rule.values:
            yield f"tag {rule.name!r}: {value!r} is not one of {sorted(rule.values)}"
    if facts["on answers of a model"]:
        for name in ("prompt_version", "bedrock_model_id"):
            if trace.tags.get(name) == "none":
                yield f"tag {name!r}: none on an answer of a model"
    if facts["on understood messages"] and trace.tags.get("intent") == "unknown":
        yield "tag 'intent': unknown on an understood message"
    if facts["on every response"] and (trace.tags.get("cache_hit") == "true") != (
        trace.tags.get("route") == "cached"
    ):
        yield "tag 'cache_hit': true if and only if the route is cached"


def _content_problems(trace: Trace, facts: Mapping[Condition, bool]) -> Iterator[str]:
    for name, value in (("request", trace.request_preview), ("response", trace.response_preview)):
        if len(value) > PREVIEW_CHARS:
            yield f"the {name} preview has {len(value)} characters, at most {PREVIEW_CHARS}"
    for name, expected in (("session_id", trace.session_id), ("response_id", trace.response_id)):
        if trace.tags.get(name, expected) != expected:
            yield f"tag {name!r}: differs from the trace's own"
    if not facts["on every response"]:
        return
    if trace.root.status == "error":
        yield f"{ROOT}: failed, although there was a response"
    sides = [span.attributes.get("guardrail_stage") for span in trace.spans if span.name == GUARDRAILS]
    if sides not in (["input", "output"], ["input", "retrieved", "output"]):
        yield f"{GUARDRAILS}: sides are {sides}, not input and then output, retrieved at most between"
    retrieved = {span.name: span for span in trace.spans if span.parent_id is not None}
    if "retrieve_chunks" in retrieved and retrieved["retrieve_chunks"].status == "ok":
        for name in ("keyword_search", "rerank_chunks"):
            if name not in retrieved:
                yield f"{name}: missing under retrieve_chunks"
        if SNAPSHOT not in trace.artifacts:
            yield f"artifact {SNAPSHOT!r}: missing although chunks were retrieved"
