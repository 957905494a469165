"""Intervals of quantiles: coverage by enumeration, equivariance, clusters, how many values are missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from mangaassist.stats.estimates import IntervalEstimate
from mangaassist.stats.moments import PairMoments
from mangaassist.stats.quantiles import (
    clustered_quantile_interval,
    clustered_quantile_levels,
    independent_difference,
    quantile_interval,
    quantile_ranks,
)
from tests.support.outcomes import computed, refused

LEVELS = st.sampled_from([0.05, 0.25, 0.5, 0.9, 0.95, 0.99])
CONFIDENCE = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(st.integers(600, 20_000), LEVELS, CONFIDENCE)
def test_ranks_cover_at_least_as_promised_and_no_tighter_ones_do(n: int, q: float, confidence: float) -> None:
    ranks = computed(quantile_ranks(n, q, confidence=confidence))
    assert ranks.low is not None
    assert ranks.high is not None
    tail = (1 - confidence) / 2
    # X_(r) exceeds the quantile when fewer than r of n values lie below it
    assert binom.cdf(ranks.low - 1, n, q) <= tail < binom.cdf(ranks.low, n, q)
    assert binom.sf(ranks.high - 1, n, q) <= tail < binom.sf(ranks.high - 2, n, q)
    assert ranks.low <= ranks.rank <= ranks.high


@given(st.integers(1, 600), LEVELS)
def test_the_number_of_missing_values_is_just_enough(n: int, q: float) -> None:
    outcome = quantile_ranks(n, q)
    if not hasattr(outcome, "more_needed"):
        return
    needed = n + (refused(outcome).more_needed or 0)
    computed(quantile_ranks(needed, q))
    refused(quantile_ranks(needed - 1, q))


@settings(max_examples=25)
@given(st.lists(st.floats(0.001, 1000), min_size=80, max_size=200), st.sampled_from([0.25, 0.5, 0.95]))
def test_a_monotone_change_of_scale_carries_the_interval_along(values: list[float], q: float) -> None:
    plain = computed(quantile_interval(values, q))
    logged = computed(quantile_interval(np.log(values), q))
    assert (logged.low, logged.value, logged.high) == pytest.approx(
        tuple(np.log([plain.low, plain.value, plain.high]))
    )


@settings(max_examples=25)
@given(st.lists(st.floats(-100, 100), min_size=80, max_size=200))
def test_one_sided_bounds_are_the_ends_of_the_wider_interval(values: list[float]) -> None:
    both = computed(quantile_interval(values, 0.9, confidence=0.9))
    lower = computed(quantile_interval(values, 0.9, alternative="greater"))
    upper = computed(quantile_interval(values, 0.9, alternative="less"))
    assert (lower.low, lower.high) == (both.low, math.inf)
    assert (upper.low, upper.high) == (-math.inf, both.high)


def test_clusters_of_one_give_about_the_order_statistics() -> None:
    values = np.random.default_rng(1).lognormal(size=5_000)
    plain = computed(quantile_interval(values, 0.95))
    clustered = computed(clustered_quantile_interval(values, np.arange(5_000), 0.95))
    assert clustered.value == plain.value
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high), rel=0.01)


def test_copies_of_a_value_in_its_cluster_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(2).lognormal(size=800)
    once = computed(clustered_quantile_interval(values, np.arange(800), 0.9))
    copied = computed(clustered_quantile_interval(np.repeat(values, 6), np.repeat(np.arange(800), 6), 0.9))
    assert (copied.low, copied.value, copied.high) == (once.low, once.value, once.high)


def test_the_clustered_interval_covers_and_the_plain_one_does_not() -> None:
    generator = np.random.default_rng(3)
    truth = 1.2815515655 * math.sqrt(2)
    hits = {"plain": 0, "clustered": 0}
    for _ in range(400):
        clusters = np.repeat(np.arange(200), 5)
        values = generator.normal(size=200)[clusters] + generator.normal(size=1_000)
        plain = computed(quantile_interval(values, 0.9))
        clustered = computed(clustered_quantile_interval(values, clusters, 0.9))
        hits["plain"] += plain.low <= truth <= plain.high
        hits["clustered"] += clustered.low <= truth <= clustered.high
    assert hits["clustered"] / 400 == pytest.approx(0.95, abs=0.035)
    assert hits["plain"] / 400 < 0.9


def test_too_few_clusters_say_how_many_are_needed() -> None:
    values = np.random.default_rng(4).normal(size=60)
    outcome = refused(clustered_quantile_interval(values, np.arange(60) // 3, 0.97))
    assert outcome.more_needed is not None
    assert outcome.more_needed > 0
    refused(clustered_quantile_interval([], [], 0.5))
    refused(quantile_interval([1.0, 2.0], 0.5))
    refused(clustered_quantile_levels(PairMoments.of([1.0], [1.0]), 0.5))


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0.01, 5), st.floats(0.01, 5))
def test_symmetric_intervals_combine_by_squares(a: float, b: float, width_a: float, width_b: float) -> None:
    first = IntervalEstimate(value=a, low=a - width_a, high=a + width_a, confidence=0.95)
    second = IntervalEstimate(value=b, low=b - width_b, high=b + width_b, confidence=0.95)
    gap = computed(independent_difference(first, second))
    half = math.hypot(width_a, width_b)
    assert (gap.low, gap.value, gap.high) == pytest.approx((b - a - half, b - a, b - a + half))


def test_differences_of_unlike_or_infinite_estimates_are_refused() -> None:
    one = IntervalEstimate(value=1.0, low=0.0, high=2.0, confidence=0.95)
    endless = IntervalEstimate(value=math.inf, low=0.0, high=math.inf, confidence=0.95)
    refused(independent_difference(one, endless))
    with pytest.raises(ValueError, match="same confidence"):
        independent_difference(one, IntervalEstimate(value=1.0, low=0.0, high=2.0, confidence=0.9))
    with pytest.raises(ValueError, match="quantile"):
        quantile_ranks(10, 1.0)
