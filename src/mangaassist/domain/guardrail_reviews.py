"""Guarded answers that people look at, and what they say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mangaassist.domain.guardrails import Action, Phase

ReviewLabel = Literal["violation", "fine", "unsure"]
"""The guardrails were right to object; they were not; it cannot be told."""

ReviewReason = Literal["blocked", "observed", "sampled"]
"""Replaced or blocked; would have been by a stage that only observes; drawn from what passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailReview:
    """One answer in the review queue, without personal data.

    `text` is what the guardrails saw (not the fallback that was shown instead); `findings` holds, by stage,
    what is needed to judge: action, score, threshold, rule, reason and the claims with their evidence.
    """

    response_id: str
    created_at: datetime
    reason: ReviewReason
    intent: str
    channel: str
    phase: Phase
    stage: str | None
    rule_id: str | None
    action: Action
    ruleset_version: str
    question: str
    text: str
    findings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    label: ReviewLabel | None = None
    note: str | None = None
    labelled_by: str | None = None
    labelled_at: datetime | None = None
