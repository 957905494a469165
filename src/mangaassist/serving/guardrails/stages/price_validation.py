"""price_validation: every amount in an answer stands in what the answer was made from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class PriceValidationStage:
    """Replaces an answer that states a dollar amount found in no fact, passage, order or question."""

    name = "price_validation"
    phase: Phase = "output"
    waits = False

    def __init__(self) -> None:
        self._amount = re.compile(r"\$\s?(\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:\.\d{1,2})?)")

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when an amount is not supported."""
        stated = list(self._amount.finditer(text))
        if not stated or context.facts is None:
            return Finding(score=0.0)
        known = {round(amount * 100) for amount in _amounts(context.facts)}
        known |= {_cents(match.group(1)) for match in self._amount.finditer(_texts(context))}
        wrong = [match for match in stated if _cents(match.group(1)) not in known]
        if not wrong:
            return Finding(score=0.0)
        return Finding(
            action="replace",
            score=1.0,
            rule_id="unsupported_price",
            reason="the answer states an amount that no source contains",
            spans=tuple(FlaggedSpan(start=match.start(), end=match.end(), kind="price") for match in wrong),
        )


def _cents(amount: str) -> int:
    return round(float(amount.replace(",", "")) * 100)


def _amounts(facts: AnswerFacts) -> Iterator[float]:
    for item in (*facts.subjects, *facts.candidates):
        yield from (product.price_usd for product in item.products if product.price_usd is not None)
    for order in facts.orders:
        yield from (order.total_usd, order.shipping_usd)
        yield from (item.price_usd for item in order.items)
        if order.refund_usd is not None:
            yield order.refund_usd
    for promotion in (*facts.promotions, *facts.expired_promotions):
        yield from (amount for amount in (promotion.value, promotion.min_order_usd) if amount is not None)
    constraints = facts.constraints
    yield from (
        price for price in (constraints.max_price_usd, constraints.min_price_usd) if price is not None
    )
    if facts.customer is not None:
        # the store's policy: 100 points are worth $5
        yield facts.customer.points // 100 * 5


def _texts(context: GuardrailContext) -> str:
    facts = context.facts
    parts = [context.question, *(chunk.text for chunk in context.chunks)]
    if facts is not None:
        parts += [passage.text for passage in facts.passages]
        parts += [promotion.body for promotion in (*facts.promotions, *facts.expired_promotions)]
        parts += [order.status_note for order in facts.orders if order.status_note]
    return "\n".join(parts)
