"""Krippendorff's alpha (2011) with a bootstrap interval over items: agreement of raters beyond chance.

Any number of raters, ratings may be missing. Alpha is 1 for perfect agreement and 0 for what chance gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

import numpy as np
import numpy.typing as npt

from mangaassist.stats.estimates import IntervalEstimate, tails
from mangaassist.stats.outcome import CannotCompute, Reason, too_few
from mangaassist.stats.resampling import RESAMPLES, resampling_weights

Level = Literal["nominal", "ordinal", "interval"]
Array = npt.NDArray[np.float64]
_MOST_UNDEFINED = 0.05


def krippendorff_alpha(
    ratings_by_rater: Sequence[Sequence[float | None]],
    *,
    level: Level,
    random: Random,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> IntervalEstimate | CannotCompute:
    """Return alpha and its percentile interval; one row a rater, one column an item, None not rated.

    Nominal categories are given as codes. Items rated once or not at all do not take part.
    """
    counts, values = item_counts(ratings_by_rater)
    if len(counts) < 2:
        return too_few(len(counts), 2, what="items with two ratings")
    disagreement = _Disagreement(counts, values, level)
    alpha = disagreement.alpha(np.ones(len(counts)))
    if alpha is None:
        detail = "all ratings are equal: there is no disagreement to compare with chance"
        return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
    weights = resampling_weights(len(counts), random=random, resamples=resamples)
    draws = [draw for row in weights if (draw := disagreement.alpha(row)) is not None]
    if len(draws) < (1.0 - _MOST_UNDEFINED) * resamples:
        detail = "nearly all ratings are equal: too few items differ for an interval"
        return CannotCompute(reason=Reason.NO_VARIATION, detail=detail)
    below, above = tails(confidence, "two-sided")
    low, high = np.quantile(draws, [below, 1.0 - above])
    return IntervalEstimate(value=alpha, low=float(low), high=float(high), confidence=confidence)


def item_counts(ratings_by_rater: Sequence[Sequence[float | None]]) -> tuple[Array, Array]:
    """Return how often each value was given to each item with two or more ratings, and the values."""
    table = np.array(
        [[np.nan if rating is None else rating for rating in row] for row in ratings_by_rater],
        dtype=np.float64,
    )
    values = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == values).sum(axis=0).astype(np.float64)
    return counts[counts.sum(axis=1) >= 2], values


class _Disagreement:
    """Observed and expected disagreement of weighted items."""

    def __init__(self, counts: Array, values: Array, level: Level) -> None:
        self._counts = counts
        self._values = values
        self._level = level
        per_pair = counts / (counts.sum(axis=1, keepdims=True) - 1)
        # coincidences of item u: n_uc (n_uk - [c = k]) / (m_u - 1), one row an item
        square = per_pair[:, :, None] * counts[:, None, :]
        index = np.arange(len(values))
        square[:, index, index] -= per_pair
        self._coincidences = square.reshape(len(counts), -1)

    def alpha(self, weights: Array) -> float | None:
        """Return alpha with every item taken `weights` times; None when all ratings are equal."""
        marginals = weights @ self._counts
        total = marginals.sum()
        distances = self._distances(marginals)
        observed = (weights @ self._coincidences) @ distances.ravel()
        expected = marginals @ distances @ marginals / (total - 1)
        return None if expected <= 0.0 else float(1.0 - observed / expected)

    def _distances(self, marginals: Array) -> Array:
        """Return the squared differences of all pairs of values at this level of measurement."""
        if self._level == "nominal":
            return 1.0 - np.eye(len(self._values))
        if self._level == "interval":
            position = self._values
        else:
            # the ratings between two values, half of those at the ends: differences of mid-ranks
            position = np.cumsum(marginals) - marginals / 2
        squared: Array = (position[:, None] - position) ** 2
        return squared
