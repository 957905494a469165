"""Rates seen through an imperfect rater, corrected by its errors on cases of known truth."""

from __future__ import annotations

import math

from mangaassist.stats.estimates import IntervalEstimate
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.wald import normal_quantile, wald_interval


def corrected_rate(
    observed: BinomialCounts,
    *,
    true_positives: BinomialCounts,
    true_negatives: BinomialCounts,
    confidence: float = 0.95,
) -> IntervalEstimate | CannotCompute:
    """Return (q + specificity - 1) / (sensitivity + specificity - 1) (Rogan and Gladen 1978), cut to [0, 1].

    `true_positives` counts the positives found among known positives, `true_negatives` the negatives found
    among known negatives. The variance has the errors of all three samples.
    """
    fewest = min(observed.n, true_positives.n, true_negatives.n)
    if fewest == 0:
        return too_few(0, 1, what="cases in the smallest sample")
    sensitivity, specificity = true_positives.rate, true_negatives.rate
    if _informedness_bound(true_positives, true_negatives, confidence) <= 0.0:
        detail = "the rater is not shown to be better than chance: its rates say nothing about the truth"
        return CannotCompute(reason=Reason.ZERO_DENOMINATOR, detail=detail)
    q, slope = observed.rate, sensitivity + specificity - 1.0
    rate = (q + specificity - 1.0) / slope
    variance = (
        _variance(observed)
        + rate**2 * _variance(true_positives)
        + (1 - rate) ** 2 * _variance(true_negatives)
    ) / slope**2
    interval = wald_interval(rate, math.sqrt(variance), confidence=confidence)
    return IntervalEstimate(
        value=_cut(rate),
        low=_cut(interval.low),
        high=_cut(interval.high),
        confidence=confidence,
        standard_error=interval.standard_error,
    )


def _informedness_bound(
    true_positives: BinomialCounts, true_negatives: BinomialCounts, confidence: float
) -> float:
    """Return the lower bound of sensitivity + specificity - 1."""
    error = math.sqrt(_variance(true_positives) + _variance(true_negatives))
    slope = true_positives.rate + true_negatives.rate - 1.0
    return slope + normal_quantile(1 - confidence) * error


def _variance(counts: BinomialCounts) -> float:
    """Return the variance of the rate with one success and one failure added, which is never zero."""
    rate = (counts.successes + 1) / (counts.n + 2)
    return rate * (1 - rate) / (counts.n + 2)


def _cut(rate: float) -> float:
    """Return the rate within [0, 1]."""
    return min(1.0, max(0.0, rate))
