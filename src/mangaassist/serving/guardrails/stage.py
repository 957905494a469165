"""The one interface of every guardrail stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mangaassist.domain.guardrails import Action, FlaggedSpan, Phase
from mangaassist.domain.trace import AttributeValue
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a stage found. `score` is 0 (fine) to 1 (certain violation); `details` go onto its span.

    `replacements` are the texts for the spans of a redaction, in the order of the spans.
    """

    action: Action = "allow"
    score: float | None = None
    rule_id: str | None = None
    reason: str | None = None
    spans: tuple[FlaggedSpan, ...] = ()
    replacements: tuple[str, ...] = ()
    details: Mapping[str, AttributeValue] = field(default_factory=dict)


class GuardrailStage(Protocol):
    """Checks one text.

    Promises: deterministic, no side effects, microseconds of CPU; what it raises is handled by the
    stage's failure policy. A stage that calls out sets `waits` and is bounded by its time-out.
    """

    @property
    def name(self) -> str:
        """The name of its span, its ruleset section and its scores."""
        ...

    @property
    def phase(self) -> Phase:
        """Whether it checks messages or answers."""
        ...

    @property
    def waits(self) -> bool:
        """Whether the check awaits anything outside the process."""
        ...

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Return what was found, always with a score where the stage has one."""
        ...
