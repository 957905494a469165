"""pii_detection: personal data in an answer that the store did not put there."""

from __future__ import annotations

from mangaassist.domain.guardrails import Phase
from mangaassist.domain.trace import AttributeValue
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.recognisers import find_personal_data
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class PiiDetectionStage:
    """Redacts e-mail addresses, phone and card numbers that no source of the answer contains."""

    name = "pii_detection"
    phase: Phase = "output"
    waits = False

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when anything was found."""
        spans = find_personal_data(text)
        if spans:
            known = _own_contacts(context)
            spans = [
                span
                for span in spans
                if text[span.start : span.end] not in known
                and text[span.start : span.end].rpartition("@")[2].rstrip(".") not in policy.allowed_hosts
            ]
        details: dict[str, AttributeValue] = {
            "entity_count": len(spans),
            "entity_types": tuple(sorted({span.kind for span in spans})),
            "redaction_applied": bool(spans) and policy.mode == "enforce",
        }
        if not spans:
            return Finding(score=0.0, details=details)
        return Finding(
            action="redact",
            score=1.0,
            rule_id=spans[0].kind,
            reason=f"{len(spans)} piece(s) of personal data",
            spans=tuple(spans),
            replacements=tuple(f"[{span.kind}]" for span in spans),
            details=details,
        )


def _own_contacts(context: GuardrailContext) -> str:
    """The store's own texts, in which its address and telephone number stand."""
    texts = [chunk.text for chunk in context.chunks]
    if context.facts is not None:
        texts += [passage.text for passage in context.facts.passages]
    return "\n".join(texts)
