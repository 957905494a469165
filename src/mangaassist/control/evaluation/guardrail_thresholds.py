"""Thresholds by intent at a stated false-positive rate, with the interval of that rate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mangaassist.control.evaluation.guardrail_replay import LoggedAnswer
from mangaassist.domain.intents import Intent
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.stats.estimates import IntervalEstimate
from mangaassist.stats.moments import BinomialCounts

_STEPS = 10_000
"""Thresholds are told to four decimals, rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSuggestion:
    """A threshold for one intent (None: all together), and what it and the present one cost.

    `threshold` is None where even the strictest one flags too many, or there is nothing to tell it from;
    `detail` says which. The interval is that of the suggested threshold's false-positive rate.
    """

    stage: str
    intent: str | None
    benign: int
    labelled_benign: int
    violations: int
    threshold: float | None
    false_positive_rate: float | None
    low: float | None
    high: float | None
    recall: float | None
    present_threshold: float
    present_false_positive_rate: float | None
    detail: str

    def document(self) -> dict[str, object]:
        """Return the JSON of one suggestion."""
        return asdict(self)


def suggest_thresholds(
    answers: Sequence[LoggedAnswer],
    *,
    stage: str,
    policy: StagePolicy,
    rate: float,
    confidence: float = 0.95,
    unlabelled_are_fine: bool = False,
) -> list[ThresholdSuggestion]:
    """Return a suggestion for all intents together and for each.

    Benign are the answers labelled fine; with `unlabelled_are_fine` those without a label too, which makes
    the rate an upper bound wherever violations hide among them. The threshold is the lowest that flags at
    most `rate` of the benign ones; being an order statistic of their scores, its true rate is Beta
    distributed, and the Clopper-Pearson interval covers it although it was chosen on the same data (David
    and Nagaraja, Order Statistics, 2003, 2.5; for tied scores it is conservative).
    """
    groups: defaultdict[str | None, list[LoggedAnswer]] = defaultdict(list)
    for answer in answers:
        if stage in answer.scores:
            groups[None].append(answer)
            groups[answer.intent].append(answer)
    ordered = sorted(groups, key=lambda intent: (intent is not None, intent or ""))
    return [
        _suggestion(
            groups[intent],
            stage=stage,
            intent=intent,
            policy=policy,
            rate=rate,
            confidence=confidence,
            unlabelled_are_fine=unlabelled_are_fine,
        )
        for intent in ordered
    ]


def _suggestion(
    answers: Sequence[LoggedAnswer],
    *,
    stage: str,
    intent: str | None,
    policy: StagePolicy,
    rate: float,
    confidence: float,
    unlabelled_are_fine: bool,
) -> ThresholdSuggestion:
    fine = ("fine", None) if unlabelled_are_fine else ("fine",)
    benign = sorted((one.scores[stage] for one in answers if one.label in fine), reverse=True)
    violations = [one.scores[stage] for one in answers if one.label == "violation"]
    present = policy.threshold_for(Intent(intent) if intent in set(Intent) else None)
    threshold, detail = _lowest(benign, rate)
    estimate = _rate_at(benign, threshold, confidence) if threshold is not None else None
    now = _rate_at(benign, present, confidence)
    return ThresholdSuggestion(
        stage=stage,
        intent=intent,
        benign=len(benign),
        labelled_benign=sum(one.label == "fine" for one in answers),
        violations=len(violations),
        threshold=threshold,
        false_positive_rate=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        recall=sum(score >= threshold for score in violations) / len(violations)
        if violations and threshold is not None
        else None,
        present_threshold=present,
        present_false_positive_rate=now.value if now else None,
        detail=detail,
    )


def _lowest(benign: Sequence[float], rate: float) -> tuple[float | None, str]:
    """Return the lowest threshold that flags at most `rate`; `benign` is sorted, highest first."""
    if not benign:
        return None, "no benign answers: label some, or count unlabelled ones as fine"
    allowed = math.floor(rate * len(benign) + 1e-9)
    if allowed >= len(benign):
        return 0.0, "every threshold keeps the rate"
    steps = math.floor(benign[allowed] * _STEPS)
    # dividing may round down onto the score itself
    threshold = next(
        step / _STEPS for step in (steps, steps + 1, steps + 2) if step / _STEPS > benign[allowed]
    )
    if threshold > 1:
        return None, f"{allowed + 1} benign answers have the highest score; no threshold keeps the rate"
    return threshold, f"flags {sum(score >= threshold for score in benign)} of {len(benign)}"


def _rate_at(benign: Sequence[float], threshold: float, confidence: float) -> IntervalEstimate | None:
    # scipy takes a fifth of a second to import
    from mangaassist.stats.proportions import clopper_pearson

    flagged = sum(score >= threshold for score in benign)
    estimate = clopper_pearson(BinomialCounts(successes=flagged, n=len(benign)), confidence=confidence)
    return estimate if isinstance(estimate, IntervalEstimate) else None
