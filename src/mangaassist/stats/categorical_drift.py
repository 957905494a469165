"""Has the mix of categories changed since the baseline, by more than chance and by enough to matter?

A test alone alarms on anything once the counts are large; a distance alone alarms on chance while they are
small. An alarm needs both: a small p-value and an effect above its floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from mangaassist.stats.outcome import CannotCompute, Reason, too_few

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftThresholds:
    """When a change of mix is an alarm.

    It must be more than chance: the chi-square test of the whole mix below `alpha_mix`, or the most changed
    category below `alpha_category`; their sum bounds the false alarms. And it must matter: a Jensen-Shannon
    distance (base 2) of at least `distance_floor`, or a population stability index of at least `psi_floor`
    and above what chance gives in 1 of 100 unchanged samples of this size.
    """

    alpha_mix: float = 0.001
    alpha_category: float = 0.004
    distance_floor: float = 0.045
    psi_floor: float = 0.1
    min_count: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryShare:
    """One category's share before and now."""

    category: str
    baseline: float
    current: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalDrift:
    """A comparison of two samples of categories; `shares` with the largest change first.

    `p_value` is that of the chi-square test of the whole mix, `category_p_value` that of the most changed
    category, corrected for their number. `psi_chance` is the index that unchanged samples of this size exceed
    1 time in 100.
    """

    alarm: bool
    p_value: float
    statistic: float
    category_p_value: float
    distance: float
    psi: float
    psi_chance: float
    shares: tuple[CategoryShare, ...]


def categorical_drift(
    baseline: Mapping[str, int], current: Mapping[str, int], *, thresholds: DriftThresholds | None = None
) -> CategoricalDrift | CannotCompute:
    """Compare counts by category; a category unseen on one side counts as 0 there."""
    limits = thresholds or DriftThresholds()
    names = sorted(
        name for name in baseline.keys() | current.keys() if baseline.get(name) or current.get(name)
    )
    before = np.array([baseline.get(name, 0) for name in names], dtype=np.float64)
    now = np.array([current.get(name, 0) for name in names], dtype=np.float64)
    fewest = int(min(before.sum(), now.sum()))
    if fewest < limits.min_count:
        return too_few(fewest, limits.min_count, what="observations in the smaller sample")
    if len(names) < 2:
        return CannotCompute(reason=Reason.NO_VARIATION, detail="there is only one category")
    figures = drift_figures(before[np.newaxis], now[np.newaxis])
    shares = [
        CategoryShare(category=name, baseline=float(was), current=float(share))
        for name, was, share in zip(names, before / before.sum(), now / now.sum(), strict=True)
    ]
    shares.sort(key=lambda one: -abs(one.current - one.baseline))
    return CategoricalDrift(
        alarm=bool(figures.alarms(limits)[0]),
        p_value=float(figures.p_value[0]),
        statistic=float(figures.statistic[0]),
        category_p_value=float(figures.category_p_value[0]),
        distance=float(figures.distance[0]),
        psi=float(figures.psi[0]),
        psi_chance=float(figures.psi_chance[0]),
        shares=tuple(shares),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFigures:
    """The figures of many current samples against one baseline, one element a sample."""

    p_value: Floats
    statistic: Floats
    category_p_value: Floats
    distance: Floats
    psi: Floats
    psi_chance: Floats

    def alarms(self, thresholds: DriftThresholds) -> npt.NDArray[np.bool_]:
        """Return which samples differ by more than chance and by enough to matter."""
        index_floor = np.maximum(thresholds.psi_floor, self.psi_chance)
        matters = (self.distance >= thresholds.distance_floor) | (self.psi >= index_floor)
        mix, category = thresholds.alpha_mix, thresholds.alpha_category
        unlikely = (self.p_value < mix) | (self.category_p_value < category)
        return np.asarray(unlikely & matters)


def drift_figures(baseline: Floats, current: Floats) -> DriftFigures:
    """Compare each row of `current` with the row of `baseline` at its place, or with its only row.

    The whole mix is tested by chi-square (homogeneity, no continuity correction), each category by the pooled
    z-test of two shares with Bonferroni's correction: one category that grows alone is found sooner that way.
    Where a count is 0, the index adds half an observation to every count (else it would be infinite).
    """
    size, sizes = baseline.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    pooled = (baseline + current) / (size + sizes)
    seen = pooled > 0.0
    gaps = current / sizes - baseline / size
    # of two samples, each category adds gap^2 / pooled * harmonic size to the chi-square statistic
    harmonic = size * sizes / (size + sizes)
    terms = np.divide(harmonic * gaps**2, pooled, out=np.zeros_like(pooled), where=seen)
    spread = pooled * (1.0 - pooled)
    scores = np.divide(harmonic * gaps**2, spread, out=np.zeros_like(pooled), where=spread > 0.0)
    statistic, categories = terms.sum(axis=1), seen.sum(axis=1)
    degrees = np.maximum(categories - 1, 1)
    return DriftFigures(
        p_value=stats.chi2.sf(statistic, degrees),
        statistic=statistic,
        category_p_value=np.minimum(1.0, categories * stats.chi2.sf(scores.max(axis=1), 1)),
        distance=np.sqrt(js_divergence(baseline / size, current / sizes)),
        psi=stability_index(baseline, current),
        psi_chance=stats.chi2.isf(0.01, degrees) * (1.0 / size + 1.0 / sizes)[:, 0],
    )


def js_divergence(one: Floats, other: Floats) -> Floats:
    """Return the Jensen-Shannon divergence in bits along the last axis: 0 for equal, 1 for disjoint."""
    middle = (one + other) / 2.0
    divergence = (special.rel_entr(one, middle) + special.rel_entr(other, middle)).sum(axis=-1) / 2.0
    return np.asarray(np.clip(divergence / np.log(2.0), 0.0, 1.0))


def stability_index(baseline: Floats, current: Floats) -> Floats:
    """Return the population stability index (natural logarithm) of counts, along the last axis."""
    gap = (baseline == 0.0).any(axis=-1, keepdims=True) | (current == 0.0).any(axis=-1, keepdims=True)
    before, now = baseline + 0.5 * gap, current + 0.5 * gap
    was, share = before / before.sum(axis=-1, keepdims=True), now / now.sum(axis=-1, keepdims=True)
    return np.asarray(((share - was) * np.log(share / was)).sum(axis=-1))
