from __future__ import annotations

from dataclasses import replace

import pytest
from tools.trace_contract import PAGE, contract_markdown

from mangaassist.domain.trace import Trace
from mangaassist.domain.trace_contract import SPANS, TAGS, violations
from tests.support.traces import TraceMaker, with_span, without_span


def test_answers_of_models_templates_and_abandoned_requests_keep_the_contract() -> None:
    make = TraceMaker()
    for trace in (make.answered(), make.answered(outcome="fallback"), make.template(), make.abandoned()):
        assert violations(trace) == []


def test_a_complete_answer_has_every_span_of_the_contract() -> None:
    names = {span.name for span in TraceMaker().answered().spans}
    assert {rule.name for rule in SPANS} - {"<stage>"} <= names


@pytest.mark.parametrize(
    "name",
    [
        "load_context",
        "apply_guardrails",
        "intent_classification",
        "route_intent",
        "keyword_search",
        "rerank_chunks",
        "assemble_facts",
        "build_prompt",
        "bedrock_generate",
        "persist_response",
    ],
)
def test_a_missing_span_is_named(name: str) -> None:
    problems = violations(without_span(TraceMaker().answered(), name))
    assert any(problem.startswith(f"{name}: ") for problem in problems), problems


@pytest.mark.parametrize("name", [rule.name for rule in TAGS if rule.required is not None])
def test_a_missing_tag_is_named(name: str) -> None:
    trace = TraceMaker().answered()
    tags = {key: value for key, value in trace.tags.items() if key != name}
    problems = violations(replace(trace, tags=tags))
    assert any(problem.startswith(f"tag '{name}': missing") for problem in problems), problems


def test_a_missing_attribute_is_named() -> None:
    trace = with_span(TraceMaker().answered(), "build_prompt", attributes={"prompt_version": "x"})
    assert "build_prompt: attribute 'prompt_chars' is missing" in violations(trace)


def test_a_step_that_failed_need_not_have_set_its_attributes() -> None:
    trace = with_span(
        TraceMaker().answered(outcome="fallback"),
        "bedrock_generate",
        attributes={},
        status="error",
        error="DependencyTimeoutError",
    )
    assert violations(trace) == []


def test_a_refused_message_is_not_understood_any_further() -> None:
    make = TraceMaker()
    refused = _refused(make.template())
    for name in ("intent_classification", "route_intent", "assemble_facts"):
        refused = without_span(refused, name)
    assert violations(refused) == []
    assert "bedrock_generate: only allowed on answers of a model" in violations(_refused(make.answered()))


def test_a_cached_answer_looked_it_up_and_generated_nothing() -> None:
    trace = TraceMaker().answered()
    tags = {**trace.tags, "route": "cached", "cache_hit": "true"}
    cached = replace(trace, tags=tags)
    assert "build_prompt: only allowed on answers of a model" in violations(cached)
    for name in ("retrieve_chunks", "build_prompt", "bedrock_generate"):
        cached = without_span(cached, name)
    assert violations(cached) == []
    missing = violations(without_span(cached, "cache_lookup"))
    assert missing == ["cache_lookup: missing, required on cached answers"]


def test_the_cache_tag_agrees_with_the_route() -> None:
    trace = TraceMaker().template()
    assert violations(replace(trace, tags={**trace.tags, "cache_hit": "true"})) == [
        "tag 'cache_hit': true if and only if the route is cached"
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"parent_id": "f" * 16}, "persist_response: its parent is not in the trace"),
        ({"parent_id": None}, "persist_response: the first span, and only it, is the root"),
        ({"name": "save_response"}, "save_response: not a span of the contract"),
        ({"kind": "LLM"}, "persist_response: is LLM, not TASK"),
        ({"end_ns": 0}, "persist_response: ends before it starts"),
    ],
)
def test_a_broken_tree_is_described(changes: dict[str, object], problem: str) -> None:
    assert problem in violations(with_span(TraceMaker().template(), "persist_response", **changes))


def test_a_retrieval_leaves_its_chunk_snapshot() -> None:
    trace = replace(TraceMaker().answered(), artifacts={})
    assert violations(trace) == ["artifact 'chunk_snapshot.json': missing although chunks were retrieved"]


def test_previews_are_short() -> None:
    trace = replace(TraceMaker().template(), request_preview="x" * 501)
    assert violations(trace) == ["the request preview has 501 characters, at most 500"]


def test_the_reference_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == contract_markdown(), "run `python -m tools.trace_contract`"


def _refused(trace: Trace) -> Trace:
    span = next(span for span in trace.spans if span.name == "apply_guardrails")
    attributes = {**span.attributes, "verdict": "block", "fallback_triggered": True}
    blocked = with_span(trace, "apply_guardrails", attributes=attributes)
    return replace(blocked, tags={**trace.tags, "outcome": "blocked", "intent": "out_of_scope"})
