"""format_validation: an answer has text, a sane length and no leftovers of templates or markup."""

from __future__ import annotations

import re

from mangaassist.domain.guardrails import Phase
from mangaassist.domain.trace import AttributeValue
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class FormatValidationStage:
    """Replaces empty answers, answers over `max_words`, and ones that show prompt or template syntax."""

    name = "format_validation"
    phase: Phase = "output"
    waits = False

    def __init__(self) -> None:
        self._leftover = re.compile(r"\{\{|\}\}|\{%|</?(?:passage|product|order|customer_message)\b")

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when a check failed."""
        missing = [
            name
            for name, wrong in (
                ("text", not text.strip()),
                ("length", policy.max_words is not None and len(text.split()) > policy.max_words),
                ("clean_markup", self._leftover.search(text) is not None),
            )
            if wrong
        ]
        details: dict[str, AttributeValue] = {"schema_passed": not missing, "missing_fields": tuple(missing)}
        if not missing:
            return Finding(score=0.0, details=details)
        return Finding(
            action="replace",
            score=1.0,
            rule_id=missing[0],
            reason=f"failed: {', '.join(missing)}",
            details=details,
        )
