"""input_toxicity: threats and insults, scored for the record and for escalation."""

from __future__ import annotations

from mangaassist.domain.guardrails import Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.rule_set import RuleSet
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class InputToxicityStage:
    """Blocks at the threshold; the shipped ruleset only observes, because angry customers need help."""

    name = "input_toxicity"
    phase: Phase = "input"
    waits = False

    def __init__(self, ruleset: Ruleset) -> None:
        self._rules = RuleSet(ruleset.stages[self.name].rules)

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is the highest score of a matching rule."""
        rule = self._rules.strongest(text)
        if rule is None:
            return Finding(score=0.0)
        if rule.score < policy.threshold_for(context.intent):
            return Finding(score=rule.score, rule_id=rule.id)
        return Finding(action="block", score=rule.score, rule_id=rule.id, reason="abusive message")
