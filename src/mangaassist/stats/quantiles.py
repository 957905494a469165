"""Intervals of quantiles: order statistics, and Woodruff (1952) for clustered observations.

Both need only ranks or levels from the caller, so that a database can fetch the few values they name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from mangaassist.stats.estimates import Alternative, IntervalEstimate, tails
from mangaassist.stats.moments import PairMoments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.ratios import linearised
from mangaassist.stats.wald import t_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileRanks:
    """Ranks (from 1) of the sorted observations that hold a quantile and its ends; None is infinity."""

    rank: int
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileLevels:
    """Levels in [0, 1] whose sample quantiles are the ends of the interval; None is infinity."""

    low: float | None
    high: float | None


def quantile_ranks(
    n: int, q: float, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> QuantileRanks | CannotCompute:
    """Return the ranks of the distribution-free interval of the `q` quantile of `n` independent values.

    It covers at least `confidence`, whatever the distribution; with too few values the outcome says how many.
    """
    _check_level(q)
    below, above = tails(confidence, alternative)
    needed = max(
        math.ceil(math.log(below) / math.log1p(-q)) if below else 1,
        math.ceil(math.log(above) / math.log(q)) if above else 1,
    )
    if n < needed:
        return too_few(n, needed, what="values")
    low = max(1, int(binom.ppf(below, n, q))) if below else None
    high = int(binom.isf(above, n, q)) + 1 if above else None
    return QuantileRanks(rank=_rank(n, q), low=low, high=high)


def quantile_interval(
    values: npt.ArrayLike, q: float, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> IntervalEstimate | CannotCompute:
    """Return the `q` quantile of independent `values` with its order-statistic interval."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    ranks = quantile_ranks(len(ordered), q, confidence=confidence, alternative=alternative)
    if isinstance(ranks, CannotCompute):
        return ranks
    return IntervalEstimate(
        value=float(ordered[ranks.rank - 1]),
        low=-math.inf if ranks.low is None else float(ordered[ranks.low - 1]),
        high=math.inf if ranks.high is None else float(ordered[ranks.high - 1]),
        confidence=confidence,
    )


def clustered_quantile_levels(
    below_estimate: PairMoments,
    q: float,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> QuantileLevels | CannotCompute:
    """Return the levels whose quantiles bound the `q` quantile of clustered observations.

    `below_estimate` has, by unit, the number of observations at or below the estimated quantile (y) and the
    number of observations (x).
    """
    _check_level(q)
    shares = linearised(below_estimate)
    if isinstance(shares, CannotCompute):
        return shares
    error = math.sqrt(shares.mean_variance)
    below, above = tails(confidence, alternative)
    low = q + t_quantile(below, shares.n - 1) * error if below else None
    high = q - t_quantile(above, shares.n - 1) * error if above else None
    if (low is not None and low <= 0.0) or (high is not None and high >= 1.0):
        half_width_units = t_quantile(1 - (below or above), shares.n - 1) / min(q, 1 - q)
        needed = math.floor(shares.variance * half_width_units**2) + 1
        return too_few(shares.n, max(needed, shares.n + 1))
    return QuantileLevels(low=low, high=high)


def clustered_quantile_interval(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    q: float,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> IntervalEstimate | CannotCompute:
    """Return the `q` quantile of `values` with Woodruff's interval; `clusters` holds the unit of each."""
    _check_level(q)
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0:
        return too_few(0, 2)
    estimate = float(np.quantile(array, q, method="inverted_cdf"))
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    below = np.bincount(codes, weights=array <= estimate)
    units = PairMoments.of(below, np.bincount(codes))
    levels = clustered_quantile_levels(units, q, confidence=confidence, alternative=alternative)
    if isinstance(levels, CannotCompute):
        return levels
    return IntervalEstimate(
        value=estimate,
        low=-math.inf if levels.low is None else _quantile(array, levels.low),
        high=math.inf if levels.high is None else _quantile(array, levels.high),
        confidence=confidence,
    )


def independent_difference(
    control: IntervalEstimate, treatment: IntervalEstimate
) -> IntervalEstimate | CannotCompute:
    """Return treatment - control from two intervals of independent estimates (Zou and Donner 2008).

    For quantiles and ratios whose own intervals are not symmetric; both must have the same confidence.
    """
    if control.confidence != treatment.confidence:
        raise ValueError("expected two intervals of the same confidence")
    gap = treatment.value - control.value
    if not math.isfinite(gap):
        return CannotCompute(
            reason=Reason.ZERO_DENOMINATOR, detail="an estimate is infinite: the difference is undefined"
        )
    low = gap - math.hypot(treatment.value - treatment.low, control.high - control.value)
    high = gap + math.hypot(treatment.high - treatment.value, control.value - control.low)
    return IntervalEstimate(value=gap, low=low, high=high, confidence=control.confidence)


def _quantile(values: npt.NDArray[np.float64], level: float) -> float:
    """Return the smallest value with at least the share `level` at or below it."""
    return float(np.quantile(values, level, method="inverted_cdf"))


def _rank(n: int, q: float) -> int:
    """Return the rank of the smallest value with at least the share `q` at or below it."""
    return min(n, max(1, math.ceil(n * q - 1e-9)))


def _check_level(q: float) -> None:
    """Raise `ValueError` unless `q` is a quantile strictly inside the sample."""
    if not 0.0 < q < 1.0:
        raise ValueError(f"a quantile lies between 0 and 1, got {q!r}")
