"""input_length: messages longer than the store answers are refused."""

from __future__ import annotations

from mangaassist.domain.guardrails import Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class InputLengthStage:
    """Blocks above `max_chars`."""

    name = "input_length"
    phase: Phase = "input"
    waits = False

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 above the limit."""
        limit = policy.max_chars or 4_000
        if len(text) <= limit:
            return Finding(score=0.0)
        return Finding(
            action="block", score=1.0, rule_id="too_long", reason=f"{len(text)} characters, limit {limit}"
        )
