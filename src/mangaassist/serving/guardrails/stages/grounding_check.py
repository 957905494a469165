"""grounding_check: how much of an answer's content stands in its sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mangaassist.domain.guardrails import Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class GroundingCheckStage:
    """Lexical support: the share of a sentence's names and numbers found in facts, chunks or question.

    The score is the share that is not; `grounding_score` on the span is the share that is.
    """

    name = "grounding_check"
    phase: Phase = "output"
    waits = False

    def __init__(self) -> None:
        self._claim = re.compile(r"\b(?:[A-Z][a-z]{2,}|\d+(?:\.\d+)?)\b")
        self._sentence = re.compile(r"(?<=[.!?])\s+")

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is the unsupported share."""
        if context.facts is None or context.handler != "llm":
            return Finding(score=0.0, details={"grounding_score": 1.0, "unsupported_claim_count": 0})
        known = " ".join(_sources(context)).casefold()
        claims = [claim for sentence in self._sentence.split(text) for claim in self._claims(sentence)]
        unsupported = [claim for claim in claims if claim.casefold() not in known]
        score = len(unsupported) / len(claims) if claims else 0.0
        details = {"grounding_score": round(1.0 - score, 4), "unsupported_claim_count": len(unsupported)}
        if not unsupported:
            return Finding(score=score, details=details)
        return Finding(
            action="replace",
            score=score,
            rule_id="low_support",
            reason=f"{len(unsupported)} of {len(claims)} names and numbers stand in no source",
            details=details,
        )

    def _claims(self, sentence: str) -> Iterator[str]:
        # the first word of a sentence is capitalised whatever it is
        for match in self._claim.finditer(sentence):
            if match.start() > 0 or match.group()[0].isdigit():
                yield match.group()


def _sources(context: GuardrailContext) -> Iterator[str]:
    yield context.question
    yield from (f"{chunk.title} {chunk.text}" for chunk in context.chunks)
    facts = context.facts
    if facts is None:
        return
    yield from (f"{passage.title} {passage.text}" for passage in facts.passages)
    for item in (*facts.subjects, *facts.candidates):
        series = item.series
        yield f"{series.title} {series.description} {series.authors} {series.first_year}"
        yield f"{series.volumes} {series.stocked_volumes}"
        yield from (
            f"{product.title} {product.price_usd} {product.release_date}" for product in item.products
        )
        yield from item.reasons
    for order in facts.orders:
        yield f"{order.order_id} {order.items} {order.carrier} {order.tracking_number}"
        yield f"{order.status_note} {order.total_usd}"
    yield from (f"{promotion.title} {promotion.body}" for promotion in facts.promotions)
    if facts.customer is not None:
        yield f"{facts.customer.name} {facts.customer.points}"
