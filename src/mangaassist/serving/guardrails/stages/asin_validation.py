"""asin_validation: product ids in an answer exist in the catalogue."""

from __future__ import annotations

import re

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class AsinValidationStage:
    """Replaces an answer that names an ASIN or ISBN-10 which the store does not sell."""

    name = "asin_validation"
    phase: Phase = "output"
    waits = False

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._id = re.compile(r"(?<![\w-])(?:B0[0-9A-Z]{8}|\d{9}[\dX])(?![\w-])")

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when an unknown id was found; ids that the shopper typed may be repeated."""
        unknown = tuple(
            FlaggedSpan(start=match.start(), end=match.end(), kind="product_id")
            for match in self._id.finditer(text)
            if self._catalog.product(match.group()) is None and match.group() not in context.question
        )
        if not unknown:
            return Finding(score=0.0)
        return Finding(
            action="replace",
            score=1.0,
            rule_id="unknown_product_id",
            reason="the answer names a product that is not in the catalogue",
            spans=unknown,
        )
