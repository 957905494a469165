"""input_toxicity: threats and insults, scored for the record and for escalation."""

from __future__ import annotations

import re2

from mangaassist.domain.guardrails import Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class InputToxicityStage:
    """Blocks at the threshold; the shipped ruleset only observes, because angry customers need help."""

    name = "input_toxicity"
    phase: Phase = "input"
    waits = False

    def __init__(self, ruleset: Ruleset) -> None:
        self._rules = ruleset.stages[self.name].rules
        self._set = re2.Set.SearchSet()
        for rule in self._rules:
            self._set.Add("(?i)" + rule.pattern)
        if self._rules:
            self._set.Compile()

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is the highest score of a matching rule."""
        matched = self._set.Match(text) if self._rules else []
        if not matched:
            return Finding(score=0.0)
        rule = max((self._rules[index] for index in matched), key=lambda candidate: candidate.score)
        if rule.score < policy.threshold_for(context.intent):
            return Finding(score=rule.score, rule_id=rule.id)
        return Finding(action="block", score=rule.score, rule_id=rule.id, reason="abusive message")
