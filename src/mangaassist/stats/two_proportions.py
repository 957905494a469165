"""Difference of two independent proportions by the score test (Miettinen and Nurminen 1985).

Holds its size at small counts and rates near 0 or 1, where the interval of the plain normal test fails.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import ndtr

from mangaassist.stats.estimates import Alternative, EffectTest, tails
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute, too_few
from mangaassist.stats.wald import normal_quantile


def proportion_difference(
    control: BinomialCounts,
    treatment: BinomialCounts,
    *,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test treatment - control against `null` (a margin, for non-inferiority); the interval is its dual."""
    if min(control.n, treatment.n) == 0:
        return too_few(0, 1, what="trials in each arm")
    below, above = tails(confidence, alternative)
    low = _bound(control, treatment, -normal_quantile(below)) if below else -1.0
    high = _bound(control, treatment, normal_quantile(above)) if above else 1.0
    z = score_statistic(control, treatment, null)
    p_value = {
        "two-sided": 2 * ndtr(-abs(z)),
        "greater": ndtr(-z),
        "less": ndtr(z),
    }[alternative]
    effect = treatment.rate - control.rate
    return EffectTest(effect=effect, low=low, high=high, confidence=confidence, p_value=float(p_value))


def score_statistic(control: BinomialCounts, treatment: BinomialCounts, null: float) -> float:
    """Return (difference - null) over its standard error at the likeliest rates that differ by `null`."""
    gap = treatment.rate - control.rate - null
    rate_0 = _constrained_rate(control, treatment, null)
    rate_1 = rate_0 + null
    total = control.n + treatment.n
    variance = rate_0 * (1 - rate_0) / control.n + rate_1 * (1 - rate_1) / treatment.n
    variance *= total / (total - 1)
    if variance <= 0.0:
        return 0.0 if abs(gap) < 1e-12 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _constrained_rate(control: BinomialCounts, treatment: BinomialCounts, null: float) -> float:
    """Return the maximum-likelihood control rate when the treatment rate is `null` higher (closed form)."""
    n0, x0, n1 = control.n, control.successes, treatment.n
    total, hits = n0 + n1, control.successes + treatment.successes
    l2 = ((n1 + 2 * n0) * null - total - hits) / (3 * total)
    l1 = ((n0 * null - total - 2 * x0) * null + hits) / (3 * total)
    l0 = x0 * null * (1 - null) / (2 * total)
    q = l2**3 - 1.5 * l1 * l2 + l0
    p = math.copysign(math.sqrt(max(0.0, l2 * l2 - l1)), q)
    if p == 0.0:
        return min(1.0, max(0.0, -l2))
    angle = (math.pi + math.acos(min(1.0, max(-1.0, q / p**3)))) / 3
    rate = 2 * p * math.cos(angle) - l2
    return min(1.0, 1.0 - null, max(0.0, -null, rate))


def _bound(control: BinomialCounts, treatment: BinomialCounts, z: float) -> float:
    """Return the difference at which the score statistic is `z`: a lower bound for z > 0."""
    effect = treatment.rate - control.rate
    edge = math.copysign(1.0 - 1e-12, -z)

    def beyond(null: float) -> float:
        statistic = score_statistic(control, treatment, null)
        return max(-1e6, min(1e6, statistic)) - z

    if beyond(edge) * beyond(effect) >= 0.0:
        return math.copysign(1.0, -z)
    return float(brentq(beyond, *sorted((edge, effect)), xtol=1e-12))
