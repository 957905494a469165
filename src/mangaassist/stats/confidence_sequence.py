"""Asymptotic confidence sequences for differences of means and ratios: intervals one may watch all the time.

The interval of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024, Annals of Statistics, arXiv
2103.06476): a normal mixture over the standardised sum, tuned to be tightest at `planned_count` units.
Asymptotic means that the guarantee needs enough units for the variances to be known well, so estimates below
`min_units` of the smaller arm are refused. It covers the current mean difference: take no running
intersection of the intervals where the effect may change.

Phases with other treatment shares are pooled by the information each unit carries, share * (1 - share). The
weighted sum stays a martingale, so the pooled interval may be watched all the same; raw sums may never be
pooled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangaassist.stats.estimates import Alternative, EffectTest
from mangaassist.stats.moments import BinomialCounts, Moments, PairMoments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few

Floats = npt.NDArray[np.float64]
Numbers = float | Floats

MIN_UNITS = 100
_LOG_COUNTS = np.arange(0.0, math.log(1e12), 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmValue:
    """One arm: its units, its value, and the variance of one unit's contribution to that value."""

    n: int
    value: float
    unit_variance: float

    @classmethod
    def of_mean(cls, moments: Moments) -> ArmValue:
        """Return the arm's mean; needs two observations."""
        return cls(n=moments.n, value=moments.mean, unit_variance=moments.variance)

    @classmethod
    def of_share(cls, counts: BinomialCounts) -> ArmValue:
        """Return the arm's share of successes, with the variance p (1 - p); needs one observation."""
        return cls(n=counts.n, value=counts.rate, unit_variance=counts.rate * (1.0 - counts.rate))

    @classmethod
    def of_ratio(cls, moments: PairMoments) -> ArmValue:
        """Return the arm's ratio of sums, linearised (delta method); units are the randomised ones."""
        ratio = moments.mean_y / moments.mean_x
        residual = moments.combination(1.0 / moments.mean_x, -ratio / moments.mean_x)
        return cls(n=moments.n, value=ratio, unit_variance=residual.variance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Both arms while the treatment had the constant share `share` of the units."""

    share: float
    treatment: ArmValue
    control: ArmValue


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDifference:
    """Treatment minus control over all phases; numbers, or arrays of independent comparisons.

    `count` is in units of the first phase, `variance` that of one such unit: variance / count is the squared
    standard error.
    """

    difference: Numbers
    variance: Numbers
    count: Numbers


def difference_sequence(
    phases: Sequence[Phase],
    *,
    alpha: float,
    planned_count: float,
    alternative: Alternative = "two-sided",
    min_units: int = MIN_UNITS,
) -> EffectTest | CannotCompute:
    """Return treatment minus control with its sequence interval and anytime p-value of no difference.

    `planned_count` is the number of units, both arms together, at which the interval is to be tightest.
    """
    smaller = sum(min(phase.treatment.n, phase.control.n) for phase in phases)
    if smaller < min_units:
        return too_few(smaller, min_units, what="units in the smaller arm")
    filled = [phase for phase in phases if min(phase.treatment.n, phase.control.n) > 0]
    pooled = pool(
        count=np.array([phase.treatment.n + phase.control.n for phase in filled], dtype=np.float64),
        difference=np.array([phase.treatment.value - phase.control.value for phase in filled]),
        squared_error=np.array([_squared_error(phase) for phase in filled]),
        share=np.array([phase.share for phase in filled]),
    )
    effect, variance, count = (float(one) for one in (pooled.difference, pooled.variance, pooled.count))
    if variance <= 0.0:
        return CannotCompute(reason=Reason.NO_VARIATION, detail="every unit of both arms has the same value")
    one_sided = alternative != "two-sided"
    half = float(half_width(variance, count, alpha=alpha, planned_count=planned_count, one_sided=one_sided))
    return EffectTest(
        effect=effect,
        low=-math.inf if alternative == "less" else effect - half,
        high=math.inf if alternative == "greater" else effect + half,
        confidence=1.0 - alpha,
        p_value=_p_value(pooled, alpha=alpha, planned_count=planned_count, alternative=alternative),
        standard_error=math.sqrt(variance / count),
    )


def pool(*, count: Floats, difference: Floats, squared_error: Floats, share: Floats) -> PooledDifference:
    """Pool phases that lie along the first axis, each weighted by units * share * (1 - share)."""
    information = share * (1.0 - share)
    weight = count * information / information[0]
    total = weight.sum(axis=0)
    return PooledDifference(
        difference=(weight * difference).sum(axis=0) / total,
        variance=(weight**2 * squared_error).sum(axis=0) / total,
        count=total,
    )


def half_width(
    variance: Numbers, count: Numbers, *, alpha: float, planned_count: float, one_sided: bool
) -> Floats:
    """Return the distance from the estimate to the end of its interval, elementwise."""
    tuning = _tuning(alpha, planned_count=planned_count, one_sided=one_sided)
    spread = count * tuning + 1.0
    if one_sided:
        boundary = np.log1p(np.sqrt(spread) / (2.0 * alpha))
    else:
        boundary = np.log(np.sqrt(spread) / alpha)
    return np.asarray(np.sqrt(variance * 2.0 * spread / (count * count * tuning) * boundary))


def count_until(margin: float, *, variance: float, alpha: float, planned_count: float) -> float | None:
    """Return the count at which the one-sided half-width falls to `margin`, to 1 %; None if never."""
    counts = np.exp(_LOG_COUNTS)
    widths = half_width(variance, counts, alpha=alpha, planned_count=planned_count, one_sided=True)
    reached = np.flatnonzero(widths <= margin)
    return float(counts[reached[0]]) if len(reached) else None


def _squared_error(phase: Phase) -> float:
    return phase.treatment.unit_variance / phase.treatment.n + phase.control.unit_variance / phase.control.n


def _tuning(alpha: float, *, planned_count: float, one_sided: bool) -> float:
    """Return rho squared, which makes the interval tightest at `planned_count` (their appendix B.2)."""
    error = 2.0 * alpha if one_sided else alpha
    if not 0.0 < error < 1.0:
        raise ValueError(f"alpha must lie between 0 and {0.5 if one_sided else 1}, got {alpha!r}")
    return (-2.0 * math.log(error) + math.log1p(-2.0 * math.log(error))) / planned_count


def _p_value(
    pooled: PooledDifference, *, alpha: float, planned_count: float, alternative: Alternative
) -> float:
    """Return the level at which the interval, tuned for `alpha`, would just touch zero."""
    one_sided = alternative != "two-sided"
    tuning = _tuning(alpha, planned_count=planned_count, one_sided=one_sided)
    effect, variance, count = (float(one) for one in (pooled.difference, pooled.variance, pooled.count))
    spread = count * tuning + 1.0
    exponent = effect**2 * count**2 * tuning / (2.0 * variance * spread)
    if not one_sided:
        return min(1.0, math.sqrt(spread) * math.exp(-exponent))
    if (effect > 0.0) != (alternative == "greater"):
        return 1.0
    # ln(e^x - 1), written so that large x do not overflow
    excess = exponent + math.log(-math.expm1(-exponent)) if exponent > 0.0 else -math.inf
    return min(1.0, math.exp(min(0.0, 0.5 * math.log(spread) - math.log(2.0) - excess)))
