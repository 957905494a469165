"""What a shopper says of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

FeedbackValue = Literal[
    "thumbs_up", "thumbs_down", "escalation", "product_click", "cart_add", "purchase", "resolved"
]
"""What the shopper thought of the answer, and what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEvent:
    """One feedback event; (`response_id`, `feedback`) is stored once, repeats change nothing.

    `value` is the worth of an outcome in US dollars, where it has one.
    """

    feedback_id: str
    response_id: str
    trace_id: str
    feedback: FeedbackValue
    timestamp: datetime
    reason_code: str | None = None
    comment: str | None = None
    value: float | None = None
