"""The one interface of every guardrail stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mangaassist.domain.guardrails import Action, ClaimCheck, FlaggedSpan, Phase
from mangaassist.domain.trace import AttributeValue
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a stage found and what it would do about it.

    `score` is 0 (fine) to 1 (certain violation), for every stage. `action` takes effect when the score
    reaches the threshold of the ruleset (always, where there is no score): the pipeline compares, so
    that a recorded score can be replayed under another threshold. `replacements` are the texts for the
    spans of a redaction, in the order of the spans. `claims` explain a score claim by claim. `details` go
    onto the stage's span and must hold no personal data; `reason` is redacted on its way there.
    """

    action: Action = "allow"
    score: float | None = None
    rule_id: str | None = None
    reason: str | None = None
    spans: tuple[FlaggedSpan, ...] = ()
    replacements: tuple[str, ...] = ()
    claims: tuple[ClaimCheck, ...] = ()
    details: Mapping[str, AttributeValue] = field(default_factory=dict)


class GuardrailStage(Protocol):
    """Checks one text.

    Promises: deterministic, no side effects, microseconds of CPU; what it raises is handled by the
    stage's failure policy. A stage that calls out sets `waits`, runs beside the others that wait, and is
    bounded by its time-out; a stage that computes is bounded by construction and only reported when slow.
    """

    @property
    def name(self) -> str:
        """The name of its span, its ruleset section and its scores."""
        ...

    @property
    def phase(self) -> Phase:
        """What it checks: messages, retrieved chunks or answers."""
        ...

    @property
    def waits(self) -> bool:
        """Whether the check awaits anything outside the process."""
        ...

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Return what was found, always with a score where the stage has one."""
        ...


@runtime_checkable
class LearnedStage(GuardrailStage, Protocol):
    """A stage with a model: its version becomes part of the ruleset's."""

    @property
    def version(self) -> str:
        """The version of what it learned."""
        ...
