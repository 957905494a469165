"""What enters the review queue: an answer or message that was, or would have been, replaced or blocked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from mangaassist.domain.guardrail_reviews import GuardrailReview, ReviewReason
from mangaassist.domain.guardrails import GuardrailVerdict, StageResult
from mangaassist.serving.exchange import Exchange

KEPT_CHARS: Final = 2_000
KEPT_CLAIMS: Final = 12


def review_of(exchange: Exchange, *, redact: Callable[[str], str], now: datetime) -> GuardrailReview | None:
    """Return the review of a finished exchange, without personal data; None when nothing was objected to.

    What only cuts something out (a redaction) changes the text and is not queued.
    """
    # the fallback that is shown for a stopped stream passes: what matters is what stopped it
    for verdict in (exchange.stream_verdict, exchange.output_verdict, exchange.input_verdict):
        objecting = _objecting(verdict)
        if verdict is None or objecting is None:
            continue
        understood = exchange.understood
        reason: ReviewReason = "blocked" if verdict.fallback_triggered else "observed"
        return GuardrailReview(
            response_id=exchange.response_id,
            created_at=now,
            reason=reason,
            intent=understood.decision.intent.value if understood else "unknown",
            channel=exchange.request.channel,
            phase=verdict.phase,
            stage=verdict.deciding_stage or objecting.stage,
            rule_id=verdict.rule_id or objecting.rule_id,
            action=verdict.action if verdict.fallback_triggered else objecting.action,
            ruleset_version=verdict.ruleset_version,
            question=redact(exchange.request.message)[:KEPT_CHARS],
            text=redact(verdict.checked_text)[:KEPT_CHARS],
            findings={result.stage: finding_document(result, redact) for result in verdict.results},
        )
    return None


def finding_document(result: StageResult, redact: Callable[[str], str]) -> dict[str, object]:
    """Return what a person needs to judge one stage's result."""
    weak = [claim for claim in result.claims if claim.support < 1][:KEPT_CLAIMS]
    return {
        "action": result.action,
        "mode": result.mode,
        "score": result.score,
        "threshold": result.threshold,
        "rule_id": result.rule_id,
        "reason": redact(result.reason) if result.reason else None,
        "claims": [
            {
                "text": redact(claim.text),
                "kind": claim.kind,
                "support": claim.support,
                "reason": claim.reason,
                "evidence": redact(claim.evidence) if claim.evidence else None,
                "source_id": claim.source_id,
            }
            for claim in weak
        ],
    }


def _objecting(verdict: GuardrailVerdict | None) -> StageResult | None:
    """Return the first result that would replace or block, enforced or not."""
    if verdict is None:
        return None
    return next((result for result in verdict.results if result.action in ("replace", "block")), None)
