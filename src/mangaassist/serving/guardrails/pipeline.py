"""Runs every stage of a phase, each in its own span, and combines what they found."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.guardrails import SEVERITY, Action, GuardrailVerdict, Phase, StageResult
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy
from mangaassist.serving.guardrails.splicing import splice
from mangaassist.serving.guardrails.stage import Finding, GuardrailStage, LearnedStage
from mangaassist.serving.guardrails.streaming import Replacement, StreamGuard, StreamRules
from mangaassist.serving.tracing import Span, TraceRecorder

PREVIEW_CHARS = 500


@dataclass(frozen=True, slots=True)
class _Outcome:
    finding: Finding
    result: StageResult


class GuardrailPipeline:
    """All stages under one ruleset.

    Every stage that is not off runs and is scored, also when an earlier one has decided. A finding takes
    effect when its score reaches the ruleset's threshold. Of the enforced ones the most severe acts (the
    first in order on ties); all enforced redactions are applied together. A stage that throws or times out
    counts by its failure policy. `redact` cleans what goes onto spans.
    """

    def __init__(
        self,
        stages: Sequence[GuardrailStage],
        ruleset: Ruleset,
        stream_rules: StreamRules,
        *,
        redact: Callable[[str], str],
        stream_replacement: Callable[[GuardrailContext], Replacement] | None = None,
    ) -> None:
        known = {stage.name for stage in stages}
        unknown = sorted(set(ruleset.stages) - known)
        missing = sorted(known - set(ruleset.stages))
        if unknown or missing:
            raise ConfigurationError(
                f"guardrail ruleset {ruleset.name!r}: unknown stages {unknown}, "
                f"stages without a policy {missing}"
            )
        self._stages = tuple(stage for stage in stages if ruleset.stages[stage.name].mode != "off")
        self._ruleset = ruleset
        self._version = _version_of(ruleset, stages)
        self._stream_rules = stream_rules
        self._redact = redact
        self._stream_replacement = stream_replacement

    @property
    def version(self) -> str:
        """The version of the ruleset and of what its stages learned."""
        return self._version

    @property
    def ruleset(self) -> Ruleset:
        """The ruleset itself."""
        return self._ruleset

    @property
    def stages(self) -> tuple[GuardrailStage, ...]:
        """The stages that are on, in order."""
        return self._stages

    def stream_guard(self, context: GuardrailContext) -> StreamGuard:
        """Return a fresh guard for one streamed answer."""
        replacement = self._stream_replacement(context) if self._stream_replacement else None
        return StreamGuard(self._stream_rules, replacement)

    def redact(self, text: str) -> str:
        """Return what of a text may stand on a span."""
        return self._redact(text)

    def has_stages(self, phase: Phase) -> bool:
        """Whether any stage of a phase is on."""
        return any(stage.phase == phase for stage in self._stages)

    async def run(
        self, phase: Phase, text: str, context: GuardrailContext, *, trace: TraceRecorder
    ) -> GuardrailVerdict:
        """Check one text and say what must happen to it."""
        with trace.span("apply_guardrails", "GUARDRAIL") as span:
            outcomes = await self._outcomes(phase, text, context, trace, span)
            verdict = self._combine(phase, text, outcomes)
            self._describe(span, verdict)
            span.set(input_chars=len(text))
            if verdict.flagged:
                span.set(input_preview=self._redact(text)[:PREVIEW_CHARS])
        return verdict

    async def screen(
        self, texts: Sequence[str], context: GuardrailContext, *, trace: TraceRecorder
    ) -> tuple[GuardrailVerdict, ...]:
        """Check every retrieved text; one verdict each, one span a stage with the worst of its scores."""
        with trace.span("apply_guardrails", "GUARDRAIL") as span:
            by_text: list[list[_Outcome]] = [[] for _ in texts]
            for stage in self._stages:
                if stage.phase != "retrieved":
                    continue
                with trace.span(stage.name, "GUARDRAIL") as own:
                    outcomes = [await self._outcome(stage, text, context, own) for text in texts]
                    for found, outcome in zip(by_text, outcomes, strict=True):
                        found.append(outcome)
                    worst = max(outcomes, key=_severity, default=None)
                    if worst is not None:
                        self._describe_stage(own, worst)
                    flagged = sum(not outcome.result.passed for outcome in outcomes)
                    own.set(checked_count=len(texts), flagged_count=flagged)
            verdicts = tuple(
                self._combine("retrieved", text, found) for text, found in zip(texts, by_text, strict=True)
            )
            worst_verdict = max(verdicts, key=lambda verdict: verdict.severity, default=None)
            self._describe(span, worst_verdict or self._combine("retrieved", "", []))
            span.set(checked_count=len(texts))
        return verdicts

    async def _outcomes(
        self, phase: Phase, text: str, context: GuardrailContext, trace: TraceRecorder, parent: Span
    ) -> list[_Outcome]:
        """Return the outcomes in the order of the stages; those that wait do so side by side."""
        stages = [stage for stage in self._stages if stage.phase == phase]
        waiting = {
            stage.name: self._apart(stage, text, context, trace, parent) for stage in stages if stage.waits
        }
        waited = dict(zip(waiting, await asyncio.gather(*waiting.values()), strict=True)) if waiting else {}
        outcomes = []
        for stage in stages:
            if stage.waits:
                outcomes.append(waited[stage.name])
                continue
            with trace.span(stage.name, "GUARDRAIL") as span:
                outcome = await self._outcome(stage, text, context, span)
                self._describe_stage(span, outcome)
            outcomes.append(outcome)
        return outcomes

    async def _apart(
        self, stage: GuardrailStage, text: str, context: GuardrailContext, trace: TraceRecorder, parent: Span
    ) -> _Outcome:
        with trace.span(stage.name, "GUARDRAIL", parent=parent) as span:
            outcome = await self._outcome(stage, text, context, span)
            self._describe_stage(span, outcome)
        return outcome

    async def _outcome(
        self, stage: GuardrailStage, text: str, context: GuardrailContext, span: Span
    ) -> _Outcome:
        policy = self._ruleset.stages[stage.name]
        started_ms = span.duration_ms
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
        threshold = policy.threshold_for(context.intent, context.channel)
        return _Outcome(
            finding,
            StageResult(
                stage=stage.name,
                action=_effect(finding, threshold),
                score=finding.score,
                rule_id=finding.rule_id,
                reason=finding.reason,
                spans=finding.spans,
                claims=finding.claims,
                latency_ms=span.duration_ms - started_ms,
                mode=policy.mode,
                threshold=threshold,
                failed=failed,
            ),
        )

    def _combine(self, phase: Phase, text: str, outcomes: Iterable[_Outcome]) -> GuardrailVerdict:
        found = tuple(outcomes)
        enforced = [outcome for outcome in found if outcome.result.mode == "enforce"]
        deciding = max(enforced, key=_severity, default=None)
        allowed = GuardrailVerdict(
            action="allow",
            text=text,
            checked_text=text,
            results=tuple(outcome.result for outcome in found),
            phase=phase,
            ruleset_version=self._version,
        )
        if deciding is None or deciding.result.passed:
            return allowed
        pieces = [
            (span, replacement)
            for outcome in enforced
            if outcome.result.action == "redact"
            for span, replacement in zip(outcome.finding.spans, outcome.finding.replacements, strict=True)
        ]
        return replace(
            allowed,
            action=deciding.result.action,
            text=splice(text, pieces),
            deciding_stage=deciding.result.stage,
            rule_id=deciding.result.rule_id,
        )

    def _describe(self, span: Span, verdict: GuardrailVerdict) -> None:
        span.set(
            guardrail_stage=verdict.phase,
            verdict=verdict.action,
            rule_id=verdict.rule_id,
            deciding_stage=verdict.deciding_stage,
            fallback_triggered=verdict.fallback_triggered,
            guardrail_ruleset_version=self._version,
        )

    def _describe_stage(self, span: Span, outcome: _Outcome) -> None:
        finding, result = outcome.finding, outcome.result
        policy = self._ruleset.stages[result.stage]
        span.set(
            passed=result.passed,
            score=result.score,
            threshold=result.threshold,
            reason=self._redact(result.reason) if result.reason else None,
            rule_id=result.rule_id,
            latency_ms=round(result.latency_ms, 4),
            action=result.action,
            mode=result.mode,
            fallback_triggered=result.mode == "enforce" and result.action in ("replace", "block"),
            **finding.details,
        )
        if finding.spans:
            span.set(flagged=tuple(f"{flag.start}-{flag.end}:{flag.kind}" for flag in finding.spans[:20]))
        if result.latency_ms > policy.timeout_ms:
            span.set(over_time=True)


def _version_of(ruleset: Ruleset, stages: Iterable[GuardrailStage]) -> str:
    """Return the ruleset's version; with learned stages, a hash over theirs too."""
    learned = sorted(f"{stage.name}={stage.version}" for stage in stages if isinstance(stage, LearnedStage))
    if not learned:
        return ruleset.version
    digest = hashlib.sha256("\n".join((ruleset.version, *learned)).encode()).hexdigest()
    return f"{ruleset.name}-{digest[:8]}"


def _effect(finding: Finding, threshold: float) -> Action:
    """A finding below the threshold is only recorded."""
    return "allow" if finding.score is not None and finding.score < threshold else finding.action


def _severity(outcome: _Outcome) -> int:
    return SEVERITY[outcome.result.action]


def _failure(policy: StagePolicy, error: Exception) -> Finding:
    return Finding(
        action="block" if policy.failure_policy == "closed" else "allow",
        rule_id="stage_failed",
        reason=f"the stage failed ({type(error).__name__}); policy {policy.failure_policy}",
    )
