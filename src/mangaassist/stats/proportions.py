"""Intervals of one proportion and score tests of two (Wilson 1927, Clopper and Pearson 1934)."""

from __future__ import annotations

import math

from scipy.special import betaincinv

from mangaassist.stats.estimates import Alternative, IntervalEstimate, tails
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute, too_few
from mangaassist.stats.wald import normal_quantile


def wilson(
    counts: BinomialCounts, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> IntervalEstimate | CannotCompute:
    """Return the score interval: covers close to `confidence` on average over the possible rates."""
    below, above = tails(confidence, alternative)
    if counts.n == 0:
        return too_few(0, 1, what="trials")
    low = _wilson_bound(counts, normal_quantile(below)) if below else 0.0
    high = _wilson_bound(counts, -normal_quantile(above)) if above else 1.0
    return IntervalEstimate(value=counts.rate, low=low, high=high, confidence=confidence)


def clopper_pearson(
    counts: BinomialCounts, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> IntervalEstimate | CannotCompute:
    """Return the exact interval: covers at least `confidence` whatever the rate; wide on purpose."""
    below, above = tails(confidence, alternative)
    if counts.n == 0:
        return too_few(0, 1, what="trials")
    hits, misses = counts.successes, counts.failures
    low = float(betaincinv(hits, misses + 1, below)) if below and hits else 0.0
    high = float(betaincinv(hits + 1, misses, 1.0 - above)) if above and misses else 1.0
    return IntervalEstimate(value=counts.rate, low=low, high=high, confidence=confidence)


def _wilson_bound(counts: BinomialCounts, z: float) -> float:
    """Return the rate at which the score statistic is `z` standard errors from the observed one."""
    n, rate = counts.n, counts.rate
    spread = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    bound = (rate + z * z / (2 * n) + spread) / (1 + z * z / n)
    # the exact ends: without failures the upper bound is 1, without successes the lower one 0
    if (counts.failures == 0 and z > 0) or (counts.successes == 0 and z < 0):
        return 1.0 if z > 0 else 0.0
    return min(1.0, max(0.0, bound))
