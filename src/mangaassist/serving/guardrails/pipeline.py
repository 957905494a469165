"""Runs every stage of a phase, each in its own span, and combines what they found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.guardrails import SEVERITY, GuardrailVerdict, Phase, StageResult
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy
from mangaassist.serving.guardrails.splicing import splice
from mangaassist.serving.guardrails.stage import Finding, GuardrailStage
from mangaassist.serving.guardrails.streaming import StreamGuard, StreamRules
from mangaassist.serving.tracing import TraceRecorder


class GuardrailPipeline:
    """All stages under one ruleset.

    Every stage that is not off runs and is scored, also when an earlier one has decided. Of the
    enforced findings the most severe acts (the first in order on ties); all enforced redactions are
    applied together. A stage that throws or times out counts by its failure policy.
    """

    def __init__(self, stages: Sequence[GuardrailStage], ruleset: Ruleset, stream_rules: StreamRules) -> None:
        known = {stage.name for stage in stages}
        unknown = sorted(set(ruleset.stages) - known)
        missing = sorted(known - set(ruleset.stages))
        if unknown or missing:
            raise ConfigurationError(
                f"guardrail ruleset {ruleset.name!r}: unknown stages {unknown}, "
                f"stages without a policy {missing}"
            )
        self._stages = tuple(stages)
        self._ruleset = ruleset
        self._version = ruleset.version
        self._stream_rules = stream_rules

    @property
    def version(self) -> str:
        """The version of the ruleset."""
        return self._version

    def stream_guard(self) -> StreamGuard:
        """Return a fresh guard for one streamed answer."""
        return StreamGuard(self._stream_rules)

    async def run(
        self, phase: Phase, text: str, context: GuardrailContext, *, trace: TraceRecorder
    ) -> GuardrailVerdict:
        """Check one text and say what must happen to it."""
        with trace.span("apply_guardrails", "GUARDRAIL") as span:
            results: list[StageResult] = []
            redactions: list[Finding] = []
            for stage in self._stages:
                policy = self._ruleset.stages[stage.name]
                if stage.phase != phase or policy.mode == "off":
                    continue
                finding, result = await self._run_stage(stage, policy, text, context, trace)
                results.append(result)
                if result.action == "redact" and policy.mode == "enforce":
                    redactions.append(finding)
            verdict = self._combine(text, tuple(results), redactions)
            span.set(
                guardrail_stage=phase,
                verdict=verdict.action,
                rule_id=verdict.rule_id,
                deciding_stage=verdict.deciding_stage,
                fallback_triggered=verdict.fallback_triggered,
                guardrail_ruleset_version=self._version,
            )
        return verdict

    async def _run_stage(
        self,
        stage: GuardrailStage,
        policy: StagePolicy,
        text: str,
        context: GuardrailContext,
        trace: TraceRecorder,
    ) -> tuple[Finding, StageResult]:
        with trace.span(stage.name, "GUARDRAIL") as span:
            failed = False
            try:
                if stage.waits:
                    async with asyncio.timeout(policy.timeout_ms / 1000):
                        finding = await stage.check(text, context, policy)
                else:
                    finding = await stage.check(text, context, policy)
            except Exception as error:  # the boundary of a stage: its failure policy decides
                failed = True
                span.error = type(error).__name__
                finding = _failure(policy, error)
            latency_ms = span.duration_ms
            span.set(
                passed=finding.action == "allow",
                score=finding.score,
                reason=finding.reason,
                rule_id=finding.rule_id,
                latency_ms=round(latency_ms, 4),
                action=finding.action,
                mode=policy.mode,
                **finding.details,
            )
        return finding, StageResult(
            stage=stage.name,
            action=finding.action,
            score=finding.score,
            rule_id=finding.rule_id,
            reason=finding.reason,
            spans=finding.spans,
            latency_ms=latency_ms,
            mode=policy.mode,
            failed=failed,
        )

    def _combine(
        self, text: str, results: tuple[StageResult, ...], redactions: list[Finding]
    ) -> GuardrailVerdict:
        enforced = [result for result in results if result.mode == "enforce"]
        deciding = max(enforced, key=lambda result: SEVERITY[result.action], default=None)
        if deciding is None or deciding.action == "allow":
            return GuardrailVerdict(action="allow", text=text, results=results, ruleset_version=self._version)
        pieces = [
            (span, replacement)
            for finding in redactions
            for span, replacement in zip(finding.spans, finding.replacements, strict=True)
        ]
        return GuardrailVerdict(
            action=deciding.action,
            text=splice(text, pieces),
            results=results,
            deciding_stage=deciding.stage,
            rule_id=deciding.rule_id,
            ruleset_version=self._version,
        )


def _failure(policy: StagePolicy, error: Exception) -> Finding:
    return Finding(
        action="block" if policy.failure_policy == "closed" else "allow",
        rule_id="stage_failed",
        reason=f"the stage failed ({type(error).__name__}); policy {policy.failure_policy}",
    )
