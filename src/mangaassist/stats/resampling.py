"""Bootstrap intervals of means and of paired differences (Efron's percentile method)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

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
