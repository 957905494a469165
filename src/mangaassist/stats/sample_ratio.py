"""Do units arrive in the arms in the shares they were assigned with? For one look, and for any number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mangaassist.stats.outcome import CannotCompute, Reason

PRIOR_STRENGTH = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """Units seen in each arm while the arms had these weights; weights need not sum to one.

    Raises `ValueError` unless there are as many counts as weights and a weight above 0 for at least two arms.
    """

    counts: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.weights) or min(self.counts, default=-1) < 0:
            raise ValueError("expected one count, 0 or more, for each weight")
        if min(self.weights) < 0.0 or sum(weight > 0.0 for weight in self.weights) < 2:
            raise ValueError("expected weights of 0 or more, at least two above 0")


def sample_ratio_p(arms: ArmCounts) -> float | CannotCompute:
    """Return the chi-square p-value of the counts, for one look; arms without weight must stay empty."""
    if sum(arms.counts) == 0:
        return CannotCompute(reason=Reason.NO_DATA, detail="no unit has been assigned", more_needed=1)
    counts, weights = _weighted(arms)
    if counts.sum() < sum(arms.counts):
        return 0.0
    expected = counts.sum() * weights
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, len(counts) - 1))


def log_e_sample_ratio(phases: Sequence[ArmCounts], *, strength: float = PRIOR_STRENGTH) -> float:
    """Return the log e-value against the stated weights, valid at every look (Lindon and Malek 2022).

    A Dirichlet mixture of prior `strength` units around the weights; phases with other weights multiply.
    """
    total = 0.0
    for arms in phases:
        counts, weights = _weighted(arms)
        if counts.sum() < sum(arms.counts):
            return float("inf")
        total -= math.lgamma(strength + counts.sum()) - math.lgamma(strength)
        for count, weight in zip(counts.tolist(), weights.tolist(), strict=True):
            total += math.lgamma(strength * weight + count) - math.lgamma(strength * weight)
            total -= count * math.log(weight)
    return total


def _weighted(arms: ArmCounts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return counts and normalised weights of the arms that can have units."""
    weights = np.asarray(arms.weights, dtype=np.float64)
    counts = np.asarray(arms.counts, dtype=np.float64)
    return counts[weights > 0.0], weights[weights > 0.0] / weights.sum()
