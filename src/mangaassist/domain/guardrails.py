"""What a guardrail stage says of a text, and what follows from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["allow", "redact", "replace", "block"]
StageMode = Literal["off", "observe", "enforce"]
FailurePolicy = Literal["closed", "open"]
Phase = Literal["input", "retrieved", "stream", "output"]
"""The message, every retrieved chunk, the stream while it flows, the whole answer."""

ClaimKind = Literal[
    "product_id", "price", "date", "year", "volume", "count", "stock", "number", "name", "link", "prose"
]

STREAM_GUARD: Final = "stream_guard"
"""The stage under which a stream that was stopped is recorded."""

SEVERITY: dict[Action, int] = {"allow": 0, "redact": 1, "replace": 2, "block": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedSpan:
    """Character offsets (end exclusive) of what a stage objects to, and its kind."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCheck:
    """One claim of an answer held against its sources.

    `support` is 1 where a source says the same and 0 where one says otherwise or none says anything;
    `evidence` is the closest passage (or fact) and `source_id` where it stands.
    """

    text: str
    start: int
    end: int
    kind: ClaimKind
    support: float
    evidence: str | None = None
    source_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One stage's verdict on one text. Scores run from 0 (fine) to 1 (certain violation)."""

    stage: str
    action: Action
    score: float | None = None
    rule_id: str | None = None
    reason: str | None = None
    spans: tuple[FlaggedSpan, ...] = ()
    claims: tuple[ClaimCheck, ...] = ()
    latency_ms: float = 0.0
    mode: StageMode = "enforce"
    threshold: float | None = None
    failed: bool = False

    @property
    def passed(self) -> bool:
        """Whether the stage let the text through unchanged."""
        return self.action == "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailVerdict:
    """All stages' results and what follows from them: `text` is what `checked_text` became."""

    action: Action
    text: str
    checked_text: str = ""
    results: tuple[StageResult, ...]
    phase: Phase = "output"
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

    @property
    def flagged(self) -> tuple[StageResult, ...]:
        """The results that objected, observed ones included."""
        return tuple(result for result in self.results if result.action != "allow")
