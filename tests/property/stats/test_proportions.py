"""Intervals of proportions: coverage by enumeration, monotone, symmetric, as statsmodels gives them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from mangaassist.stats.estimates import IntervalEstimate
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.proportions import clopper_pearson, wilson
from tests.support.outcomes import computed, refused

Method = Callable[..., IntervalEstimate | CannotCompute]
COUNTS = st.integers(1, 400).flatmap(
    lambda n: st.builds(BinomialCounts, n=st.just(n), successes=st.integers(0, n))
)
CONFIDENCE = st.sampled_from([0.8, 0.9, 0.95, 0.99])
METHODS = [pytest.param(wilson, "wilson", id="wilson"), pytest.param(clopper_pearson, "beta", id="exact")]


@pytest.mark.parametrize(("method", "oracle"), METHODS)
@given(counts=COUNTS, confidence=CONFIDENCE)
def test_intervals_are_those_of_statsmodels(
    method: Method, oracle: str, counts: BinomialCounts, confidence: float
) -> None:
    interval = computed(method(counts, confidence=confidence))
    expected = proportion_confint(counts.successes, counts.n, alpha=1 - confidence, method=oracle)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("method", "oracle"), METHODS)
@given(counts=COUNTS, confidence=CONFIDENCE)
def test_counting_failures_instead_mirrors_the_interval(
    method: Method, oracle: str, counts: BinomialCounts, confidence: float
) -> None:
    interval = computed(method(counts, confidence=confidence))
    mirrored = computed(method(BinomialCounts(n=counts.n, successes=counts.failures), confidence=confidence))
    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


@pytest.mark.parametrize(("method", "oracle"), METHODS)
@given(counts=COUNTS)
def test_more_confidence_widens_and_more_successes_raise(
    method: Method, oracle: str, counts: BinomialCounts
) -> None:
    narrow = computed(method(counts, confidence=0.9))
    wide = computed(method(counts, confidence=0.99))
    assert wide.low <= narrow.low <= counts.rate <= narrow.high <= wide.high
    more = computed(method(BinomialCounts(n=counts.n + 1, successes=counts.successes + 1), confidence=0.9))
    assert more.low >= narrow.low - 1e-12


@pytest.mark.parametrize(("method", "oracle"), METHODS)
@given(counts=COUNTS)
def test_a_one_sided_bound_is_the_end_of_the_interval_with_its_error_on_both_sides(
    method: Method, oracle: str, counts: BinomialCounts
) -> None:
    both = computed(method(counts, confidence=0.9))
    lower = computed(method(counts, confidence=0.95, alternative="greater"))
    upper = computed(method(counts, confidence=0.95, alternative="less"))
    assert (lower.low, lower.high) == pytest.approx((both.low, 1.0))
    assert (upper.low, upper.high) == pytest.approx((0.0, both.high))


def coverage(intervals: list[IntervalEstimate], n: int, rate: float) -> float:
    hits = [at for at, interval in enumerate(intervals) if interval.low <= rate <= interval.high]
    return float(binom.pmf(hits, n, rate).sum())


@pytest.mark.parametrize("n", [5, 30, 120])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_coverage_by_enumeration(n: int, confidence: float) -> None:
    counts = [BinomialCounts(n=n, successes=k) for k in range(n + 1)]
    rates = np.linspace(0.01, 0.99, 197)
    exact = [computed(clopper_pearson(one, confidence=confidence)) for one in counts]
    score = [computed(wilson(one, confidence=confidence)) for one in counts]
    exact_coverage = [coverage(exact, n, rate) for rate in rates]
    score_coverage = [coverage(score, n, rate) for rate in rates]
    print(f"n = {n}, {confidence}: exact min {min(exact_coverage):.3f} mean {np.mean(exact_coverage):.3f}")
    print(f"n = {n}, {confidence}: Wilson min {min(score_coverage):.3f} mean {np.mean(score_coverage):.3f}")
    assert min(exact_coverage) >= confidence
    assert np.mean(score_coverage) == pytest.approx(confidence, abs=0.02)


@pytest.mark.parametrize("n", [10, 60])
def test_one_sided_exact_bounds_cover_by_enumeration(n: int) -> None:
    bounds = [
        computed(clopper_pearson(BinomialCounts(n=n, successes=k), alternative="less")).high
        for k in range(n + 1)
    ]
    for rate in np.linspace(0.005, 0.995, 199):
        missed = binom.pmf([k for k in range(n + 1) if bounds[k] < rate], n, rate).sum()
        assert missed <= 0.05 + 1e-12


def test_no_events_in_500_trials_leave_the_bound_of_the_rule_of_three() -> None:
    # 1 - 0.05^(1/500) = 0.60 %
    bound = computed(clopper_pearson(BinomialCounts(n=500, successes=0), alternative="less"))
    assert bound.high == pytest.approx(1 - 0.05 ** (1 / 500), abs=1e-12)


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_no_trials_have_no_interval(method: Method) -> None:
    outcome = refused(method(BinomialCounts(n=0, successes=0)))
    assert outcome.more_needed == 1


def test_a_confidence_outside_0_and_1_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        wilson(BinomialCounts(n=3, successes=1), confidence=95)
