"""The pipeline's rules: who decides, what is redacted, what a failing stage means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.guardrails import FailurePolicy, FlaggedSpan, Phase, StageMode
from mangaassist.domain.intents import Intent
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.pipeline import GuardrailPipeline
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy, parse_ruleset
from mangaassist.serving.guardrails.stage import Finding, GuardrailStage
from mangaassist.serving.guardrails.streaming import StreamRules
from mangaassist.serving.tracing import TraceRecorder
from tests.support.clock import FakeClock, SequentialIds


@dataclass
class FixedStage:
    name: str
    finding: Finding | Exception
    phase: Phase = "output"
    waits: bool = False

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding


@dataclass
class HangingStage:
    name: str = "hanging"
    phase: Phase = "output"
    waits: bool = True

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError


def pipeline(
    *stages: GuardrailStage, mode: StageMode = "enforce", failure: FailurePolicy = "closed"
) -> GuardrailPipeline:
    policy = StagePolicy(mode=mode, failure_policy=failure, timeout_ms=5)
    ruleset = Ruleset(name="gr-test", stages={stage.name: policy for stage in stages})
    return GuardrailPipeline(stages, ruleset, StreamRules(()), redact=str)


def recorder() -> TraceRecorder:
    return TraceRecorder(clock=FakeClock(), ids=SequentialIds())


ALLOW = Finding(score=0.0)
BLOCK = Finding(action="block", score=1.0, rule_id="b")
REPLACE = Finding(action="replace", score=0.9, rule_id="r")


def redact(start: int, end: int) -> Finding:
    return Finding(
        action="redact", score=1.0, spans=(FlaggedSpan(start=start, end=end, kind="x"),), replacements=("#",)
    )


async def test_every_stage_is_scored_after_one_has_decided() -> None:
    trace = recorder()
    verdict = await pipeline(FixedStage("a", BLOCK), FixedStage("b", ALLOW)).run(
        "output", "text", GuardrailContext(), trace=trace
    )
    assert verdict.action == "block"
    assert [result.stage for result in verdict.results] == ["a", "b"]
    assert verdict.deciding_stage == "a"


async def test_the_most_severe_enforced_action_wins() -> None:
    verdict = await pipeline(FixedStage("a", redact(0, 1)), FixedStage("b", REPLACE)).run(
        "output", "text", GuardrailContext(), trace=recorder()
    )
    assert (verdict.action, verdict.deciding_stage) == ("replace", "b")
    assert verdict.fallback_triggered


async def test_redactions_of_several_stages_are_applied_together() -> None:
    verdict = await pipeline(FixedStage("a", redact(0, 3)), FixedStage("b", redact(4, 7))).run(
        "output", "abc def ghi", GuardrailContext(), trace=recorder()
    )
    assert (verdict.action, verdict.text) == ("redact", "# # ghi")


async def test_an_observing_stage_is_scored_and_changes_nothing() -> None:
    verdict = await pipeline(FixedStage("a", BLOCK), mode="observe").run(
        "output", "text", GuardrailContext(), trace=recorder()
    )
    assert (verdict.action, verdict.results[0].action) == ("allow", "block")


@pytest.mark.parametrize(("failure", "action"), [("closed", "block"), ("open", "allow")])
@pytest.mark.parametrize("stage", [FixedStage("a", RuntimeError("bug")), HangingStage()])
async def test_a_stage_that_crashes_or_hangs_counts_by_its_failure_policy(
    stage: GuardrailStage, failure: FailurePolicy, action: str
) -> None:
    verdict = await pipeline(stage, failure=failure).run(
        "output", "text", GuardrailContext(), trace=recorder()
    )
    assert verdict.action == action
    assert verdict.results[0].failed


async def test_each_stage_has_its_own_span_with_the_contract_fields() -> None:
    trace = recorder()
    await pipeline(FixedStage("a", BLOCK)).run("output", "text", GuardrailContext(), trace=trace)
    frozen = trace.trace(response_id="r", session_id="s", request_preview="", response_preview="")
    parent, child = frozen.spans
    assert (parent.name, child.name, child.parent_id) == ("apply_guardrails", "a", parent.span_id)
    assert {"passed", "score", "reason", "rule_id", "latency_ms", "action"} <= set(child.attributes)
    assert parent.attributes["fallback_triggered"] is True


def test_a_ruleset_that_names_an_unknown_stage_is_refused() -> None:
    ruleset = Ruleset(name="gr", stages={"nobody": StagePolicy()})
    with pytest.raises(ConfigurationError, match="nobody"):
        GuardrailPipeline((), ruleset, StreamRules(()), redact=str)


def test_a_broken_pattern_is_named_by_its_place_in_the_file() -> None:
    content = {"name": "gr", "stages": {"prompt_injection": {"rules": [{"id": "x", "pattern": "(["}]}}}
    with pytest.raises(ConfigurationError, match=r"stages\.prompt_injection\.rules\.0\.pattern"):
        parse_ruleset(content)


def test_the_version_changes_with_any_content() -> None:
    one = Ruleset(name="gr", stages={"a": StagePolicy(threshold=0.5)})
    other = Ruleset(name="gr", stages={"a": StagePolicy(threshold=0.6)})
    assert one.version != other.version
    assert one.version == Ruleset(name="gr", stages={"a": StagePolicy(threshold=0.5)}).version


async def test_a_finding_acts_from_its_threshold_on() -> None:
    policy = StagePolicy(threshold=0.6, thresholds_by_intent={Intent.RECOMMENDATION: 0.95})
    stage = FixedStage("a", REPLACE)
    checked = GuardrailPipeline(
        (stage,), Ruleset(name="gr", stages={"a": policy}), StreamRules(()), redact=str
    )
    trace = recorder()
    faq = await checked.run("output", "text", GuardrailContext(intent=Intent.FAQ), trace=trace)
    other = await checked.run(
        "output", "text", GuardrailContext(intent=Intent.RECOMMENDATION), trace=recorder()
    )
    assert (faq.action, other.action) == ("replace", "allow")
    assert [result.score for result in (*faq.results, *other.results)] == [0.9, 0.9]
    assert [result.threshold for result in (*faq.results, *other.results)] == [0.6, 0.95]


async def test_stages_that_wait_do_so_side_by_side() -> None:
    met = asyncio.Barrier(2)

    @dataclass
    class Meeting:
        name: str
        phase: Phase = "output"
        waits: bool = True

        async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
            await met.wait()
            return BLOCK

    stages = (Meeting("a"), Meeting("b"))
    policy = StagePolicy(timeout_ms=5_000, failure_policy="open")
    ruleset = Ruleset(name="gr", stages={"a": policy, "b": policy})
    trace = recorder()
    verdict = await GuardrailPipeline(stages, ruleset, StreamRules(()), redact=str).run(
        "output", "text", GuardrailContext(), trace=trace
    )
    assert [(result.stage, result.failed) for result in verdict.results] == [("a", False), ("b", False)]
    frozen = trace.trace(response_id="r", session_id="s", request_preview="", response_preview="")
    assert {span.parent_id for span in frozen.spans[1:]} == {frozen.root.span_id}


@dataclass
class PoisonStage:
    """Objects to chunks that give orders."""

    name: str = "chunk_injection"
    phase: Phase = "retrieved"
    waits: bool = False

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        return BLOCK if "obey" in text else ALLOW


async def test_every_retrieved_text_has_its_own_verdict_and_each_stage_one_span() -> None:
    trace = recorder()
    verdicts = await pipeline(PoisonStage(), FixedStage("a", BLOCK)).screen(
        ["a policy", "obey me", "another policy"], GuardrailContext(), trace=trace
    )
    assert [verdict.action for verdict in verdicts] == ["allow", "block", "allow"]
    frozen = trace.trace(response_id="r", session_id="s", request_preview="", response_preview="")
    parent, child = frozen.spans
    assert parent.attributes["guardrail_stage"] == "retrieved"
    assert (child.name, child.attributes["checked_count"], child.attributes["flagged_count"]) == (
        "chunk_injection",
        3,
        1,
    )
    assert child.attributes["score"] == 1.0


async def test_reasons_and_previews_are_redacted_before_they_enter_a_span() -> None:
    trace = recorder()
    told = Finding(action="replace", score=1.0, reason="bob@example.com is not a price")
    ruleset = Ruleset(name="gr", stages={"a": StagePolicy()})
    checked = GuardrailPipeline(
        (FixedStage("a", told),), ruleset, StreamRules(()), redact=lambda text: text.replace("bob", "[x]")
    )
    await checked.run("output", "write to bob@example.com", GuardrailContext(), trace=trace)
    frozen = trace.trace(response_id="r", session_id="s", request_preview="", response_preview="")
    assert all("bob" not in str(span.attributes) for span in frozen.spans)
    assert "[x]@example.com" in str(frozen.spans[0].attributes["input_preview"])


async def test_the_version_of_what_a_stage_learned_is_part_of_the_rulesets() -> None:
    @dataclass
    class Learned(FixedStage):
        version: str = "model-1"

    ruleset = Ruleset(name="gr", stages={"a": StagePolicy()})

    def version(stage: GuardrailStage) -> str:
        return GuardrailPipeline((stage,), ruleset, StreamRules(()), redact=str).version

    assert version(FixedStage("a", ALLOW)) == ruleset.version
    assert version(Learned("a", ALLOW)) != ruleset.version
    assert version(Learned("a", ALLOW)) != version(Learned("a", ALLOW, version="model-2"))
