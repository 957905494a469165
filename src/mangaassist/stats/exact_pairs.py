"""Exact test of a difference of paired proportions against a margin, for few discordant pairs.

Unconditional: the p-value is the largest over the unknown share of discordant pairs, searched within its
99.9 % confidence interval (Berger and Boos 1994); tables are ordered by Tango's score (Hsueh, Liu and Chen
2001).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betainc
from scipy.stats import binom

from mangaassist.stats.mcnemar import PairedCounts, constrained_variance, tango_statistic
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute, too_few
from mangaassist.stats.proportions import clopper_pearson

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_NUISANCE_ERROR = 0.001
_GRID = 80
_NEGLIGIBLE = 1e-12


def exact_paired_p(pairs: PairedCounts, null: float) -> float | CannotCompute:
    """Return the p-value of "the difference is at most `null`" against a greater one."""
    discordance = clopper_pearson(
        BinomialCounts(n=pairs.n, successes=pairs.discordant), confidence=1.0 - _NUISANCE_ERROR
    )
    if isinstance(discordance, CannotCompute):
        return too_few(0, 1, what="pairs")
    lowest = max(abs(null), discordance.low, 1e-9)
    highest = min(1.0, max(lowest, discordance.high))
    totals = np.arange(int(binom.isf(_NEGLIGIBLE, pairs.n, highest)) + 1)
    shares = np.linspace(lowest, highest, _GRID)[:, None]
    gain_chances = np.clip((shares + null) / (2 * shares), 0.0, 1.0)
    tails = _binomial_tail(_least_gains(pairs, totals, null), totals, gain_chances)
    chances = (binom.pmf(totals, pairs.n, shares) * tails).sum(axis=1)
    return min(1.0, float(chances.max()) + _NUISANCE_ERROR)


def exact_paired_bound(pairs: PairedCounts, *, alpha: float = 0.05) -> float | CannotCompute:
    """Return the lower bound of the difference: the margin at which the exact p-value is `alpha`."""
    if pairs.n == 0:
        return too_few(0, 1, what="pairs")

    def excess(null: float) -> float:
        p_value = exact_paired_p(pairs, null)
        return (1.0 if isinstance(p_value, CannotCompute) else p_value) - alpha

    high = pairs.difference
    low = high - 4.0 / pairs.n
    while excess(low) >= 0.0:
        if low <= -1.0 + 1e-9:
            return -1.0
        low = max(-1.0 + 1e-9, high - 2 * (high - low))
    return float(brentq(excess, low, high, xtol=1e-5))


def _least_gains(pairs: PairedCounts, totals: Integers, null: float) -> Integers:
    """Return, for each number of discordant pairs, the fewest gains with a score as high as observed.

    One more than the number of discordant pairs where no table reaches it. The score grows with the gains, so
    bisection finds it.
    """
    observed = tango_statistic(pairs, null) - 1e-9
    low, high = np.zeros_like(totals), totals + 1
    while (low < high).any():
        gains = (low + high) // 2
        reached = _scores(pairs.n, gains, np.maximum(totals - gains, 0), null) >= observed
        low, high = np.where(reached, low, np.minimum(gains + 1, high)), np.where(reached, gains, high)
    return low


def _scores(n: int, gained: Integers, lost: Integers, null: float) -> Floats:
    """Return Tango's statistic of many tables of `n` pairs."""
    gap = (gained - lost) / n - null
    variance = constrained_variance(gained / n, lost / n, null) / n
    limit = np.where(np.abs(gap) < 1e-12, 0.0, np.copysign(np.inf, gap))
    scores: Floats = np.divide(gap, np.sqrt(np.maximum(variance, 0.0)), out=limit, where=variance > 0.0)
    return scores


def _binomial_tail(least: Integers, trials: Integers, chances: Floats) -> Floats:
    """Return P(Binomial(trials, chance) >= least): one row for each chance."""
    inside = (least > 0) & (least <= trials)
    tail = np.where(
        inside, betainc(np.where(inside, least, 1), np.maximum(trials - least + 1, 1), chances), 0.0
    )
    return np.where(least <= 0, 1.0, tail)
