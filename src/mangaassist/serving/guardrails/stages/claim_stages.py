"""asin_validation, price_validation, fact_validation: typed claims held against catalogue and sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mangaassist.domain.guardrails import ClaimCheck, ClaimKind, FlaggedSpan, Phase
from mangaassist.domain.trace import AttributeValue
from mangaassist.serving.guardrails.claims.checking import ClaimChecker
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class _ClaimStage:
    """Replaces an answer that makes an unsupported claim of its kinds; the score is 1 when there is one."""

    phase: Phase = "output"
    waits = False
    name: str
    kinds: frozenset[ClaimKind]

    def __init__(self, checker: ClaimChecker) -> None:
        self._checker = checker

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Return every claim of the stage's kinds with what speaks for or against it."""
        claims = tuple(claim for claim in self._checker.check(text, context) if claim.kind in self.kinds)
        wrong = [claim for claim in claims if not claim.support]
        details: dict[str, AttributeValue] = {
            "claim_count": len(claims),
            "unsupported_claim_count": len(wrong),
        }
        if not wrong:
            return Finding(score=0.0, claims=claims, details=details)
        return Finding(
            action="replace",
            score=1.0,
            rule_id=_commonest(wrong),
            reason=explained(wrong),
            spans=tuple(FlaggedSpan(start=one.start, end=one.end, kind=one.kind) for one in wrong),
            claims=claims,
            details=details,
        )


class AsinValidationStage(_ClaimStage):
    """Product ids (ASIN, ISBN-10, ISBN-13): real, well-formed and of the product they are given to."""

    name = "asin_validation"
    kinds = frozenset({"product_id"})


class PriceValidationStage(_ClaimStage):
    """Amounts: the price of what they are said of, or in a source as they are."""

    name = "price_validation"
    kinds = frozenset({"price"})


class FactValidationStage(_ClaimStage):
    """Dates, years, volume numbers, counts, ratings, percentages, order numbers, stock and availability."""

    name = "fact_validation"
    kinds = frozenset({"date", "year", "volume", "count", "stock", "number"})


def explained(claims: Sequence[ClaimCheck]) -> str:
    """Return the first few unsupported claims with what is known instead."""
    return "; ".join(
        f"{claim.reason}: “{claim.text}”" + (f" (known: {claim.evidence})" if claim.evidence else "")
        for claim in claims[:3]
    )


def _commonest(claims: Sequence[ClaimCheck]) -> str:
    return Counter(claim.reason or claim.kind for claim in claims).most_common(1)[0][0]
