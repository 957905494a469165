"""Paired binary outcomes: McNemar (1947) and Tango's score interval of the difference (1998)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import chdtrc, ndtr
from scipy.stats import binom

from mangaassist.stats.estimates import Alternative, EffectTest, tails
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.wald import normal_quantile, wald_test

Shares = TypeVar("Shares", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCounts:
    """Cases by outcome of the first (control) and second (treatment) system; effects are second - first.

    Raises `ValueError` for negative counts or more discordant pairs than `n`.
    """

    n: int
    gained: int
    lost: int

    def __post_init__(self) -> None:
        if min(self.gained, self.lost) < 0 or self.discordant > self.n:
            raise ValueError(f"expected gained and lost within n, got {self!r}")

    @property
    def discordant(self) -> int:
        """Cases on which exactly one of the two succeeded."""
        return self.gained + self.lost

    @property
    def difference(self) -> float:
        """Success rate of the second system minus that of the first."""
        return (self.gained - self.lost) / self.n

    def swapped(self) -> PairedCounts:
        """Return the counts with the two systems exchanged."""
        return PairedCounts(n=self.n, gained=self.lost, lost=self.gained)


def mcnemar_exact(
    pairs: PairedCounts, *, alternative: Alternative = "two-sided", mid_p: bool = False
) -> float | CannotCompute:
    """Return the exact p-value of equal rates; `mid_p` counts half of the observed table's probability."""
    if pairs.discordant == 0:
        return _no_discordance(pairs)
    m = pairs.discordant
    half = 0.5 if mid_p else 0.0
    # chance of as few losses, and of as few gains, as were seen
    few_losses = binom.cdf(pairs.lost, m, 0.5) - half * binom.pmf(pairs.lost, m, 0.5)
    few_gains = binom.cdf(pairs.gained, m, 0.5) - half * binom.pmf(pairs.gained, m, 0.5)
    p_value = {
        "two-sided": 2 * min(few_losses, few_gains),
        "greater": few_losses,
        "less": few_gains,
    }[alternative]
    return float(min(1.0, p_value))


def mcnemar_score(pairs: PairedCounts) -> float | CannotCompute:
    """Return the chi-square p-value (no continuity correction), for 30 and more discordant pairs."""
    if pairs.discordant == 0:
        return _no_discordance(pairs)
    return float(chdtrc(1, (pairs.gained - pairs.lost) ** 2 / pairs.discordant))


def paired_wald(
    pairs: PairedCounts, *, confidence: float = 0.95, alternative: Alternative = "two-sided"
) -> EffectTest | CannotCompute:
    """Return the difference of the two rates with the plain normal interval."""
    if pairs.discordant == 0:
        return _no_discordance(pairs)
    variance = (pairs.discordant - pairs.n * pairs.difference**2) / pairs.n**2
    if variance <= 0.0:
        detail = "every case changed in the same direction: a standard error of zero"
        return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
    return wald_test(pairs.difference, math.sqrt(variance), confidence=confidence, alternative=alternative)


def paired_score(
    pairs: PairedCounts,
    *,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test the difference of the two rates against `null` by Tango's score; the interval is its dual.

    At `null` 0 it is McNemar's score test. Without discordant pairs the interval is ± z²/(n + z²).
    """
    if pairs.n == 0:
        return too_few(0, 1, what="pairs")
    below, above = tails(confidence, alternative)
    low = _bound(pairs, -normal_quantile(below)) if below else -1.0
    high = _bound(pairs, normal_quantile(above)) if above else 1.0
    z = tango_statistic(pairs, null)
    p_value = {
        "two-sided": 2 * float(ndtr(-abs(z))),
        "greater": float(ndtr(-z)),
        "less": float(ndtr(z)),
    }[alternative]
    return EffectTest(
        effect=pairs.difference, low=low, high=high, confidence=confidence, p_value=min(1.0, p_value)
    )


def tango_statistic(pairs: PairedCounts, null: float) -> float:
    """Return (difference - null) over its standard error at the likeliest rates that differ by `null`."""
    gap = pairs.difference - null
    variance = float(constrained_variance(pairs.gained / pairs.n, pairs.lost / pairs.n, null)) / pairs.n
    if variance <= 0.0:
        return 0.0 if abs(gap) < 1e-12 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def constrained_variance(gained: Shares, lost: Shares, null: float) -> Shares:
    """Return the variance of a pair's difference at the likeliest rates that differ by `null` (Tango 1998).

    `gained` and `lost` are shares of all pairs; the likeliest chance q to lose solves
    2 q² + linear q - lost null (1 - null) = 0.
    """
    linear = (2 - gained + lost) * null - gained - lost
    product = 8 * lost * null * (1 - null)
    root = np.sqrt(np.maximum(0.0, linear * linear + product))
    variance: Shares = (root - linear) / 2 + null * (1 - null)
    return variance


def _bound(pairs: PairedCounts, z: float) -> float:
    """Return the difference at which Tango's statistic is `z`: a lower bound for z > 0."""
    edge = math.copysign(1.0 - 1e-12, -z)

    def beyond(null: float) -> float:
        return max(-1e6, min(1e6, tango_statistic(pairs, null))) - z

    if beyond(edge) * beyond(pairs.difference) >= 0.0:
        return math.copysign(1.0, -z)
    return float(brentq(beyond, *sorted((edge, pairs.difference)), xtol=1e-12))


def _no_discordance(pairs: PairedCounts) -> CannotCompute:
    """Return the outcome of pairs that never differ."""
    if pairs.n == 0:
        return too_few(0, 1, what="pairs")
    detail = f"the two systems agree on all {pairs.n} pairs"
    return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
