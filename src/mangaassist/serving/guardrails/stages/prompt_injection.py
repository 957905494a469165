"""prompt_injection: attempts to give the assistant other orders, by rules over normalised text."""

from __future__ import annotations

import unicodedata

from mangaassist.domain.guardrails import Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.rule_set import RuleSet, span_of
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy
from mangaassist.serving.guardrails.stage import Finding

_INVISIBLE = dict.fromkeys(
    [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF, *range(0xE0000, 0xE0080)]
)


def normalised(text: str) -> str:
    """NFKC without zero-width, bidirectional and tag characters."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).translate(_INVISIBLE)


class PromptInjectionStage:
    """Blocks when the strongest matching rule reaches the threshold."""

    name = "prompt_injection"
    phase: Phase = "input"
    waits = False

    def __init__(self, ruleset: Ruleset) -> None:
        self._rules = RuleSet(ruleset.stages[self.name].rules)

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is the highest score of a matching rule, 0 when none matches."""
        view = normalised(text)
        rule = self._rules.strongest(view)
        if rule is None:
            return Finding(score=0.0, details={"prompt_injection_score": 0.0, "decision": "allow"})
        blocked = rule.score >= policy.threshold_for(context.intent)
        return Finding(
            action="block" if blocked else "allow",
            score=rule.score,
            rule_id=rule.id,
            reason="the message tries to change the assistant's instructions" if blocked else None,
            spans=span_of(rule, view),
            details={
                "prompt_injection_score": rule.score,
                "decision": "block" if blocked else "allow",
                "pattern_id": rule.id,
            },
        )
