"""What a canary decision is made from: sums by stage and arm, never rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mangaassist.stats.moments import BinomialCounts, Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryArms:
    """Good answers among the scored ones of both arms, one per randomised unit."""

    canary: BinomialCounts
    control: BinomialCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanArms:
    """A number's moments in both arms, one value per randomised unit."""

    canary: Moments
    control: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEvidence:
    """What one stage has seen so far, after the warm-up; a fallback counts in the arm it was assigned to."""

    assigned_canary: int
    assigned_control: int
    elapsed_h: float
    outcomes: Mapping[str, BinaryArms | MeanArms]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvidence:
    """The stages begun so far, the current one last; `first_failures` of the first canary answers."""

    stages: tuple[StageEvidence, ...]
    first_answers: int = 0
    first_failures: int = 0


class Verdict(StrEnum):
    """What to do with the canary now."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    ROLLBACK = "ROLLBACK"
    INCONCLUSIVE = "INCONCLUSIVE"


class ReasonCode(StrEnum):
    """Why."""

    HARM_SHOWN = "harm_shown"
    FLOOR_BROKEN = "floor_broken"
    FAILURE_BURST = "failure_burst"
    SAMPLE_RATIO = "sample_ratio"
    NO_DATA = "no_data"
    TOO_FEW_REQUESTS = "too_few_requests"
    TOO_EARLY = "too_early"
    MARGIN_OPEN = "margin_open"
    MARGIN_MET = "margin_met"
    DURATION_EXCEEDED = "duration_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason, in a word and in a sentence."""

    code: ReasonCode
    text: str
    monitor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReading:
    """One rule's state: harm is shown when `anytime_p` falls to `alpha`; None while there is too little data.

    `effect` is canary minus control (for a floor, the canary's own value).
    """

    rule: str
    monitor: str
    alpha: float
    anytime_p: float | None
    effect: float | None

    @property
    def alarms(self) -> bool:
        """Whether the rule asks for a rollback."""
        return self.anytime_p is not None and self.anytime_p <= self.alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """A verdict with its reasons.

    `harm_bound` is the upper end of the harm on the promotion monitor. `more_canary_requests` is how many the
    stage is expected to need still, if the candidate goes on as observed; None when that cannot be said.
    """

    verdict: Verdict
    stage: str
    reasons: tuple[Reason, ...]
    readings: tuple[MonitorReading, ...] = ()
    harm_bound: float | None = None
    more_canary_requests: int | None = None
