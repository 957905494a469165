"""What a guardrail stage says of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["allow", "redact", "replace", "block"]
StageMode = Literal["off", "observe", "enforce"]
FailurePolicy = Literal["closed", "open"]
Phase = Literal["input", "output"]

SEVERITY: dict[Action, int] = {"allow": 0, "redact": 1, "replace": 2, "block": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedSpan:
    """Character offsets (end exclusive) of what a stage objects to, and its kind."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One stage's verdict on one text. `text` is the changed text for redact and replace."""

    stage: str
    action: Action
    score: float | None = None
    rule_id: str | None = None
    reason: str | None = None
    spans: tuple[FlaggedSpan, ...] = ()
    text: str | None = None
    latency_ms: float = 0.0
    mode: StageMode = "enforce"
    failed: bool = False

    @property
    def passed(self) -> bool:
        """Whether the stage let the text through unchanged."""
        return self.action == "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailVerdict:
    """All stages' results and what follows from them."""

    action: Action
    text: str
    results: tuple[StageResult, ...]
    deciding_stage: str | None = None
    rule_id: str | None = None
    ruleset_version: str = ""

    @property
    def fallback_triggered(self) -> bool:
        """Whether the answer was replaced by a fallback."""
        return self.action in ("replace", "block")

    @property
    def severity(self) -> int:
        """Rank of the action; higher is more severe."""
        return SEVERITY[self.action]
