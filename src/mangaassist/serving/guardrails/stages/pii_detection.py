"""pii_detection: personal data in an answer that the store did not put there."""

from __future__ import annotations

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.domain.personal_data import RedactionPolicy
from mangaassist.domain.trace import AttributeValue
from mangaassist.ports.personal_data import PersonalDataDetector
from mangaassist.serving.guardrails.answer_privacy import AnswerPrivacy
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.personal_data.finder import without_overlaps
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.scanning import ScanRules
from mangaassist.serving.guardrails.stage import Finding


class PiiDetectionStage:
    """Redacts contact and payment data that no source of the answer contains, as the stream guard does.

    A `detector` adds what it finds; the store's ids win over that too.
    """

    name = "pii_detection"
    phase: Phase = "output"

    def __init__(
        self,
        rules: ScanRules,
        *,
        policy: RedactionPolicy | None = None,
        detector: PersonalDataDetector | None = None,
    ) -> None:
        self._rules = rules
        self._policy = policy or RedactionPolicy()
        self._detector = detector
        self.waits = detector is not None

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when anything was found."""
        found = [hit.span for hit in self._rules.scan(text)]
        if self._detector is not None:
            found = without_overlaps([*found, *await self._detector.detect(text)])
        privacy = AnswerPrivacy(context, policy=self._policy, stage=policy)
        spans: list[FlaggedSpan] = []
        replacements: list[str] = []
        for span in found:
            replacement = privacy(span.kind, text[span.start : span.end])
            if replacement is not None:
                spans.append(span)
                replacements.append(replacement)
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
            replacements=tuple(replacements),
            details=details,
        )
