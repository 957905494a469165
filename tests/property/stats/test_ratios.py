"""Ratios and clustered means: delta method as tea-tasting and statsmodels give it, Fieller by its duality."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
import tea_tasting
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mangaassist.stats.means import mean_interval
from mangaassist.stats.moments import JointMoments, Moments, PairMoments
from mangaassist.stats.outcome import Reason
from mangaassist.stats.ratios import (
    linearised,
    linearised_with_covariate,
    ratio_difference,
    ratio_interval,
)
from mangaassist.stats.resampling import bootstrap_ratio
from mangaassist.stats.wald import t_quantile
from tests.support.outcomes import computed, refused

UNITS = st.lists(st.tuples(st.floats(0, 50), st.floats(1, 10)), min_size=3, max_size=25)
SEEDS = st.integers(0, 10_000)


def units(rows: list[tuple[float, float]]) -> PairMoments:
    y, x = np.array(rows).T
    return PairMoments.of(y, x)


@settings(max_examples=25)
@given(SEEDS)
def test_the_difference_of_ratios_is_that_of_tea_tasting(seed: int) -> None:
    generator = np.random.default_rng(seed)
    variant = np.arange(200) % 2
    x = generator.poisson(4, 200) + 1.0
    y = generator.binomial(x.astype(int), 0.6).astype(float)
    table = pa.table({"variant": variant, "y": y, "x": x})
    expected = tea_tasting.Experiment({"r": tea_tasting.RatioOfMeans("y", "x")}).analyze(table)["r"]
    arms = [PairMoments.of(y[variant == arm], x[variant == arm]) for arm in (0, 1)]
    result = computed(ratio_difference(*arms))
    assert result.effect == pytest.approx(expected.effect_size)
    assert result.p_value == pytest.approx(expected.pvalue)
    assert (result.low, result.high) == pytest.approx(
        (expected.effect_size_ci_lower, expected.effect_size_ci_upper)
    )


@given(SEEDS)
def test_the_clustered_mean_has_the_sandwich_error_of_statsmodels(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 6, 40)
    clusters = np.repeat(np.arange(40), sizes)
    values = generator.normal(size=40)[clusters] + generator.normal(size=len(clusters))
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    moments = computed(linearised(PairMoments.of(np.bincount(clusters, weights=values), sizes)))
    assert moments.mean == pytest.approx(float(fit.params[0]))
    # statsmodels without its correction divides by G where ours divides by G - 1
    assert math.sqrt(moments.mean_variance * 39 / 40) == pytest.approx(float(fit.bse[0]))


@given(UNITS)
def test_with_denominators_of_one_the_ratio_is_the_mean(rows: list[tuple[float, float]]) -> None:
    y = [value for value, _ in rows]
    ratio = computed(ratio_interval(PairMoments.of(y, np.ones(len(y)))))
    mean = computed(mean_interval(Moments.of(y)))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((mean.value, mean.low, mean.high), abs=1e-6)


@given(UNITS, st.floats(0.1, 10), st.floats(0.1, 10))
def test_new_units_of_measure_scale_the_ratio(
    rows: list[tuple[float, float]], scale_y: float, scale_x: float
) -> None:
    before = computed(linearised(units(rows)))
    after = computed(linearised(units([(y * scale_y, x * scale_x) for y, x in rows])))
    factor = scale_y / scale_x
    assert after.mean == pytest.approx(before.mean * factor, rel=1e-9, abs=1e-12)
    assert after.squares == pytest.approx(before.squares * factor**2, rel=1e-6, abs=1e-6 * factor**2)


@given(UNITS)
def test_doubling_every_cluster_does_not_make_the_ratio_surer(rows: list[tuple[float, float]]) -> None:
    once = computed(linearised(units(rows)))
    doubled = computed(linearised(units([(2 * y, 2 * x) for y, x in rows])))
    assert doubled.mean_variance == pytest.approx(once.mean_variance, rel=1e-6, abs=1e-9)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3)), min_size=4, max_size=20),
    st.floats(-20, 20),
)
def test_fiellers_set_holds_the_ratios_that_a_t_test_does_not_reject(
    rows: list[tuple[float, float]], ratio: float
) -> None:
    pair = units(rows)
    assume(pair.mean_x > 0.01)
    residuals = pair.combination(1.0, -ratio)
    assume(residuals.squares > 1e-6)
    interval = computed(ratio_interval(pair))
    assume(math.isfinite(interval.low) and math.isfinite(interval.high))
    assume(min(abs(ratio - interval.low), abs(ratio - interval.high)) > 1e-6)
    t = residuals.mean / math.sqrt(residuals.mean_variance)
    accepted = abs(t) <= t_quantile(0.975, pair.n - 1)
    assert accepted == (interval.low < ratio < interval.high)


@given(UNITS)
def test_far_from_zero_fieller_and_the_delta_method_agree(rows: list[tuple[float, float]]) -> None:
    steady = [(y, 100.0 + x) for y, x in rows]
    delta, exact = (
        computed(mean_interval(computed(linearised(units(steady))))),
        computed(ratio_interval(units(steady))),
    )
    width = delta.high - delta.low
    assert exact.low == pytest.approx(delta.low, abs=0.2 * width + 1e-6)
    assert exact.high == pytest.approx(delta.high, abs=0.2 * width + 1e-6)


def test_a_denominator_that_may_be_zero_has_no_upper_end() -> None:
    # one unit in ten has a denominator at all: cost per rare success
    pair = units([(1.0, 0.0)] * 18 + [(1.0, 1.0), (1.2, 1.0)])
    interval = computed(ratio_interval(pair))
    assert interval.value == pytest.approx(20.2 / 2)
    assert 0.0 < interval.low < interval.value
    assert interval.high == math.inf


def test_a_ratio_with_unclear_sign_has_no_end_at_all() -> None:
    pair = units([(5.0, 0.1), (-5.0, 0.1), (4.0, -3.0), (-4.2, 3.0)])
    interval = computed(ratio_interval(pair))
    assert (interval.low, interval.high) == (-math.inf, math.inf)


@given(UNITS)
def test_one_sided_fieller_bounds_are_the_ends_of_the_wider_interval(rows: list[tuple[float, float]]) -> None:
    both = computed(ratio_interval(units(rows), confidence=0.9))
    lower = computed(ratio_interval(units(rows), confidence=0.95, alternative="greater"))
    upper = computed(ratio_interval(units(rows), confidence=0.95, alternative="less"))
    assert (lower.low, lower.high) == pytest.approx((both.low, math.inf))
    assert (upper.low, upper.high) == pytest.approx((-math.inf, both.high))


def test_denominators_of_zero_are_refused_with_their_reason() -> None:
    nothing = units([(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)])
    assert refused(ratio_interval(nothing)).reason is Reason.ZERO_DENOMINATOR
    assert refused(linearised(units([(1.0, 1.0)]))).reason is Reason.TOO_FEW_UNITS
    some = units([(1.0, 1.0), (2.0, 1.0), (3.0, 1.1)])
    assert refused(ratio_difference(some, nothing)).reason is Reason.ZERO_DENOMINATOR
    rare = units([(1.0, 0.0)] * 18 + [(1.0, 1.0), (1.2, 1.0)])
    assert refused(ratio_difference(some, rare)).reason is Reason.ZERO_DENOMINATOR


@given(SEEDS)
def test_linearised_ratios_keep_their_covariance_with_a_covariate(seed: int) -> None:
    generator = np.random.default_rng(seed)
    y, x, past = generator.normal(5, 1, 30), generator.normal(4, 1, 30), generator.normal(size=30)
    pair = computed(linearised_with_covariate(JointMoments.of(np.column_stack([y, x, past]))))
    ratio = y.sum() / x.sum()
    values = (y - ratio * x) / x.mean()
    assert pair.mean_y == pytest.approx(ratio)
    assert pair.covariance == pytest.approx(float(np.cov(values, past)[0, 1]))
    assert pair.y.variance == pytest.approx(float(values.var(ddof=1)))


def test_the_bootstrap_of_a_ratio_agrees_with_the_delta_method() -> None:
    generator = np.random.default_rng(5)
    x = generator.poisson(5, 400) + 1.0
    y = x * 0.3 + generator.normal(0, 0.5, 400)
    delta = computed(ratio_interval(PairMoments.of(y, x)))
    drawn = bootstrap_ratio(y, x, random=Random(3))
    assert drawn.mean == pytest.approx(delta.value)
    assert (drawn.low, drawn.high) == pytest.approx(
        (delta.low, delta.high), abs=0.15 * (delta.high - delta.low)
    )
    again = bootstrap_ratio(y, x, random=Random(3))
    assert again == drawn
    rare = bootstrap_ratio([1.0] * 8, [0.0] * 7 + [1.0], random=Random(3))
    assert (rare.mean, rare.high) == (8.0, math.inf)
    with pytest.raises(ValueError, match="denominator of zero"):
        bootstrap_ratio([1.0, 2.0], [0.0, 0.0], random=Random(3))
