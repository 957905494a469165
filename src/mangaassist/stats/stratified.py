"""Estimates for a population from random samples within its strata (post-stratification; Cochran 1977)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mangaassist.stats.estimates import IntervalEstimate
from mangaassist.stats.moments import BinomialCounts, Moments
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.proportions import wilson
from mangaassist.stats.wald import wald_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """A stratum's share of the population (any positive scale) and its sample."""

    weight: float
    moments: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryStratum:
    """A stratum's share of the population (any positive scale) and its sample of a binary outcome."""

    weight: float
    counts: BinomialCounts


def stratified_mean(
    strata: Sequence[Stratum], *, confidence: float = 0.95
) -> IntervalEstimate | CannotCompute:
    """Return Σ w ȳ with SE² = Σ w² s² / n and Satterthwaite's degrees of freedom."""
    shares = _shares([stratum.weight for stratum in strata])
    if isinstance(shares, CannotCompute):
        return shares
    fewest = min(stratum.moments.n for stratum in strata)
    if fewest < 2:
        return too_few(fewest, 2, what="units in the smallest stratum")
    parts = [share**2 * stratum.moments.mean_variance for share, stratum in zip(shares, strata, strict=True)]
    variance = sum(parts)
    if variance == 0.0:
        detail = "all observations of every stratum are equal"
        return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
    df = 1.0 / sum(
        (part / variance) ** 2 / (stratum.moments.n - 1) for part, stratum in zip(parts, strata, strict=True)
    )
    mean = sum(share * stratum.moments.mean for share, stratum in zip(shares, strata, strict=True))
    return wald_interval(mean, math.sqrt(variance), df=df, confidence=confidence)


def stratified_proportion(
    strata: Sequence[BinaryStratum], *, confidence: float = 0.95
) -> IntervalEstimate | CannotCompute:
    """Return Σ w p with the Wilson intervals of the strata combined by squares (Zou and Donner 2008).

    Keeps its coverage when a small stratum has no failures, where the plain standard error is zero.
    """
    shares = _shares([stratum.weight for stratum in strata])
    if isinstance(shares, CannotCompute):
        return shares
    value = below = above = 0.0
    for share, stratum in zip(shares, strata, strict=True):
        interval = wilson(stratum.counts, confidence=confidence)
        if isinstance(interval, CannotCompute):
            return too_few(0, 1, what="units in the smallest stratum")
        value += share * interval.value
        below += (share * (interval.value - interval.low)) ** 2
        above += (share * (interval.high - interval.value)) ** 2
    return IntervalEstimate(
        value=value,
        low=max(0.0, value - math.sqrt(below)),
        high=min(1.0, value + math.sqrt(above)),
        confidence=confidence,
    )


def _shares(weights: Sequence[float]) -> list[float] | CannotCompute:
    """Return the weights scaled to one; raises `ValueError` for weights that are not positive."""
    if not weights:
        return CannotCompute(reason=Reason.NO_DATA, detail="no strata given")
    if min(weights) <= 0.0:
        raise ValueError(f"the weights of strata are positive, got {min(weights)!r}")
    return [weight / sum(weights) for weight in weights]
