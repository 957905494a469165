"""The intents of the store and the outcome of classifying a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Intent(StrEnum):
    """What a shopper wants; `OUT_OF_SCOPE` is an explicit outcome, not a failure."""

    RECOMMENDATION = "recommendation"
    PRODUCT_QUESTION = "product_question"
    FAQ = "faq"
    ORDER_TRACKING = "order_tracking"
    PROMOTION = "promotion"
    CHECKOUT_HELP = "checkout_help"
    RETURN_REQUEST = "return_request"
    CHITCHAT = "chitchat"
    ESCALATION = "escalation"
    OUT_OF_SCOPE = "out_of_scope"


ClassificationPath = Literal["rule", "model", "fallback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentDecision:
    """One classified message.

    `confidence` is calibrated: of the decisions made with confidence c, about a share c is right.
    `stage` names the cascade stage that decided (`rule:<id>`, `first_stage`, `encoder`).
    """

    intent: Intent
    confidence: float
    classification_path: ClassificationPath
    stage: str
    classifier_version: str
    out_of_scope_score: float = 0.0
    runner_up: Intent | None = None
