"""Paired differences of two systems on the same cases, clustered: what the gate needs to know of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangaassist.stats.estimates import Alternative, EffectTest
from mangaassist.stats.mcnemar import PairedCounts
from mangaassist.stats.means import mean_test
from mangaassist.stats.moments import PairMoments
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.ratios import linearised


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSummary:
    """Sufficient statistics of differences (second system - first), by independent unit.

    `units` holds by unit the sum of the differences (y) and the number of cases (x). `counts` is given when
    each unit is one case and every difference is -1, 0 or 1, so that exact methods apply.
    """

    units: PairMoments
    gaining_units: int
    losing_units: int
    largest_unit: int
    counts: PairedCounts | None = None

    @classmethod
    def of(cls, differences: npt.ArrayLike, clusters: npt.ArrayLike | None = None) -> PairedSummary:
        """Summarise the difference of each case; `clusters` names the unit (conversation) of each.

        Repeats of a case are averaged beforehand, or given the same cluster.
        """
        array = np.asarray(differences, dtype=np.float64)
        codes = np.arange(len(array)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
        sizes = np.bincount(codes)
        sums = np.bincount(codes, weights=array)
        gaining, losing = int((sums > 0).sum()), int((sums < 0).sum())
        binary = len(sums) == len(array) and bool(np.isin(array, (-1.0, 0.0, 1.0)).all())
        return cls(
            units=PairMoments.of(sums, sizes),
            gaining_units=gaining,
            losing_units=losing,
            largest_unit=int(sizes.max(initial=0)),
            counts=PairedCounts(n=len(array), gained=gaining, lost=losing) if binary else None,
        )

    @property
    def cases(self) -> int:
        """Number of cases."""
        return round(self.units.n * self.units.mean_x)

    @property
    def changed_units(self) -> int:
        """Units whose sum of differences is not zero."""
        return self.gaining_units + self.losing_units

    @property
    def effect(self) -> float:
        """Mean difference over cases; raises `ZeroDivisionError` without any."""
        return self.units.mean_y / self.units.mean_x

    @property
    def deviation(self) -> float:
        """Standard deviation of a unit's contribution to the mean difference; 0 below two units."""
        moments = linearised(self.units)
        return 0.0 if isinstance(moments, CannotCompute) else math.sqrt(moments.variance)


def paired_difference(
    pairs: PairedSummary,
    *,
    null: float = 0.0,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> EffectTest | CannotCompute:
    """Test the mean difference against `null` with the cluster-robust standard error (Miller 2024)."""
    moments = linearised(pairs.units)
    if isinstance(moments, CannotCompute):
        return moments
    return mean_test(moments, null=null, confidence=confidence, alternative=alternative)
