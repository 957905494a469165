"""competitor_filter: other shops and piracy sites are not named in answers."""

from __future__ import annotations

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding
from mangaassist.serving.guardrails.streaming import StreamRules


class CompetitorFilterStage:
    """Replaces the answer when it names one; the same names that the stream guard holds back."""

    name = "competitor_filter"
    phase: Phase = "output"
    waits = False

    def __init__(self, rules: StreamRules) -> None:
        self._rules = rules

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when a name was found."""
        found = next(self._rules.scan(text), None)
        if found is None:
            return Finding(score=0.0)
        return Finding(
            action="replace",
            score=1.0,
            rule_id=found.rule.id,
            reason="the answer names another shop",
            spans=(FlaggedSpan(start=found.span.start, end=found.span.end, kind="competitor"),),
        )
