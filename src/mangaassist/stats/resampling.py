"""Bootstrap intervals of means, paired differences and ratios (Efron's percentile method)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean with its interval; the interval is as wide as `confidence` asks."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: Sequence[float], *, random: Random, confidence: float = 0.95) -> Estimate:
    """Return the mean and its percentile interval; raises `ValueError` for no values.

    For the difference of two systems on the same items, give the differences item by item.
    """
    if not values:
        raise ValueError("the mean of no values cannot be computed")
    generator = np.random.default_rng(random.getrandbits(64))
    sample = np.asarray(values, dtype=np.float64)
    # one row at a time: a matrix of all resamples would take gigabytes for long samples
    means = np.array(
        [sample[generator.integers(0, len(sample), len(sample))].mean() for _ in range(RESAMPLES)]
    )
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(mean=float(sample.mean()), low=float(low), high=float(high))


def resampling_weights(
    count: int, *, random: Random, resamples: int = RESAMPLES
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield, for each resample, how often it draws each of `count` items."""
    generator = np.random.default_rng(random.getrandbits(64))
    for _ in range(resamples):
        drawn = generator.integers(0, count, count)
        yield np.bincount(drawn, minlength=count).astype(np.float64)


def bootstrap_ratio(
    numerators: npt.ArrayLike, denominators: npt.ArrayLike, *, random: Random, confidence: float = 0.95
) -> Estimate:
    """Return Σ numerators / Σ denominators over units with its percentile interval.

    For few units of skewed values; the denominators are not negative. Resamples without any denominator count
    as infinite, so the upper end can be. Raises `ValueError` when the denominators sum to zero.
    """
    y, x = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if x.sum() <= 0.0:
        raise ValueError("the ratio to a denominator of zero cannot be computed")
    sums = np.array([(weights @ y, weights @ x) for weights in resampling_weights(len(x), random=random)])
    ratios = np.full(len(sums), np.inf)
    np.divide(sums[:, 0], sums[:, 1], out=ratios, where=sums[:, 1] > 0.0)
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1.0 - tail], method="inverted_cdf")
    return Estimate(mean=float(y.sum() / x.sum()), low=float(low), high=float(high))
