"""What a shopper says of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

FeedbackValue = Literal["thumbs_up", "thumbs_down", "escalation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEvent:
    """One feedback event; (`response_id`, `feedback`) is stored once, repeats change nothing."""

    feedback_id: str
    response_id: str
    trace_id: str
    feedback: FeedbackValue
    timestamp: datetime
    reason_code: str | None = None
    comment: str | None = None
