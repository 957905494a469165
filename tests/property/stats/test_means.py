"""Means: as scipy and tea-tasting compute them, equivariant, and refused where they say nothing."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from mangaassist.stats.means import mean_interval, mean_test, relative_difference, welch
from mangaassist.stats.moments import Moments
from mangaassist.stats.outcome import Reason
from tests.support.outcomes import computed, refused

SAMPLES = st.lists(st.floats(-100, 100), min_size=3, max_size=25).filter(lambda values: np.std(values) > 0.01)
ALTERNATIVES = st.sampled_from(["two-sided", "greater", "less"])


@given(SAMPLES, SAMPLES, ALTERNATIVES)
def test_welch_is_that_of_scipy(control: list[float], treatment: list[float], alternative: str) -> None:
    result = computed(welch(Moments.of(control), Moments.of(treatment), alternative=alternative))  # type: ignore[arg-type]  # hypothesis draws plain strings
    expected = stats.ttest_ind(treatment, control, equal_var=False, alternative=alternative)
    interval = expected.confidence_interval(0.95)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-8, abs=1e-12)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), rel=1e-8)
    assert result.df == pytest.approx(expected.df)


@given(SAMPLES, ALTERNATIVES)
def test_the_test_of_one_mean_is_that_of_scipy(values: list[float], alternative: str) -> None:
    result = computed(mean_test(Moments.of(values), null=1.0, alternative=alternative))  # type: ignore[arg-type]  # hypothesis draws plain strings
    expected = stats.ttest_1samp(values, 1.0, alternative=alternative)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-8, abs=1e-12)
    interval = computed(mean_interval(Moments.of(values), alternative=alternative))  # type: ignore[arg-type]  # hypothesis draws plain strings
    assert (interval.low, interval.high) == pytest.approx((result.low, result.high))


@given(SAMPLES, SAMPLES, st.floats(-50, 50), st.floats(0.1, 10))
def test_a_new_zero_changes_nothing_and_a_new_unit_scales_the_effect(
    control: list[float], treatment: list[float], shift: float, scale: float
) -> None:
    before = computed(welch(Moments.of(control), Moments.of(treatment)))
    moved = [Moments.of(np.array(values) * scale + shift) for values in (control, treatment)]
    after = computed(welch(*moved))
    assert after.p_value == pytest.approx(before.p_value, rel=1e-6, abs=1e-9)
    assert (after.low, after.high) == pytest.approx(
        (before.low * scale, before.high * scale), rel=1e-6, abs=1e-6
    )


@given(SAMPLES, SAMPLES)
def test_exchanging_the_arms_mirrors_the_result(control: list[float], treatment: list[float]) -> None:
    forward = computed(welch(Moments.of(control), Moments.of(treatment)))
    backward = computed(welch(Moments.of(treatment), Moments.of(control)))
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))


@given(SAMPLES, SAMPLES, st.floats(0.5, 20))
def test_relative_differences_do_not_depend_on_the_unit(
    control: list[float], treatment: list[float], scale: float
) -> None:
    shifted = [np.array(values) + 500.0 for values in (control, treatment)]
    before = computed(relative_difference(*(Moments.of(values) for values in shifted)))
    after = computed(relative_difference(*(Moments.of(values * scale) for values in shifted)))
    assert (after.effect, after.low, after.high) == pytest.approx(
        (before.effect, before.low, before.high), rel=1e-6, abs=1e-9
    )


@settings(max_examples=25)
@given(st.integers(0, 1_000))
def test_effects_agree_with_tea_tasting(seed: int) -> None:
    generator = np.random.default_rng(seed)
    variant, y = generator.integers(0, 2, 300), generator.lognormal(1, 0.5, 300)
    assume(min(variant.sum(), 300 - variant.sum()) > 10)
    table = pa.table({"variant": variant, "y": y})
    expected = tea_tasting.Experiment({"y": tea_tasting.Mean("y")}).analyze(table)["y"]
    arms = [Moments.of(y[variant == arm]) for arm in (0, 1)]
    absolute, relative = computed(welch(*arms)), computed(relative_difference(*arms))
    assert absolute.p_value == pytest.approx(expected.pvalue)
    assert (absolute.low, absolute.high) == pytest.approx(
        (expected.effect_size_ci_lower, expected.effect_size_ci_upper)
    )
    assert relative.effect == pytest.approx(expected.rel_effect_size)


def test_a_relative_difference_to_nothing_is_refused() -> None:
    near_zero = Moments.of([-1.0, 1.0, -2.0, 2.5])
    assert refused(relative_difference(near_zero, near_zero)).reason is Reason.ZERO_DENOMINATOR


def test_equal_observations_and_single_units_are_refused() -> None:
    constant = Moments.of([3.0, 3.0, 3.0])
    assert refused(welch(constant, constant)).reason is Reason.NO_VARIATION
    assert refused(mean_test(constant)).reason is Reason.NO_VARIATION
    assert refused(mean_interval(Moments.of([3.0]))).more_needed == 1
    assert refused(mean_test(Moments.of([3.0]))).more_needed == 1
    assert refused(relative_difference(Moments.of([3.0]), constant)).reason is Reason.TOO_FEW_UNITS
    assert refused(welch(Moments.of([]), constant)).reason is Reason.NO_DATA


def test_one_varying_arm_is_enough() -> None:
    result = computed(welch(Moments.of([3.0, 3.0, 3.0]), Moments.of([3.0, 4.0, 5.0])))
    assert math.isclose(result.df, 2.0)
