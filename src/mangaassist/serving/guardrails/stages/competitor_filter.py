"""competitor_filter: other shops and piracy sites are not named in answers."""

from __future__ import annotations

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding
from mangaassist.serving.guardrails.streaming import StreamRules, lowered


class CompetitorFilterStage:
    """Replaces the answer when it names one; the same names that the stream guard holds back."""

    name = "competitor_filter"
    phase: Phase = "output"
    waits = False

    def __init__(self, rules: StreamRules) -> None:
        self._rules = rules

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when a name was found."""
        found = self._rules.pattern.search(lowered(text) + " ") if self._rules.pattern else None
        if found is None:
            return Finding(score=0.0)
        return Finding(
            action="replace",
            score=1.0,
            rule_id=found.group(),
            reason="the answer names another shop",
            spans=(FlaggedSpan(start=found.start(), end=found.end(), kind="competitor"),),
        )
