"""Confidence sequences: the published case, symmetric, true to scale, and consistent with their p-values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.stats.confidence_sequence import (
    ArmValue,
    Phase,
    count_until,
    difference_sequence,
    half_width,
)
from mangaassist.stats.estimates import EffectTest
from mangaassist.stats.moments import BinomialCounts, Moments, PairMoments
from mangaassist.stats.outcome import CannotCompute, Reason
from tests.support.outcomes import computed

VALUES = st.floats(-50.0, 50.0)
VARIANCES = st.floats(0.01, 100.0)
ARMS = st.builds(ArmValue, n=st.integers(100, 50_000), value=VALUES, unit_variance=VARIANCES)
PHASES = st.builds(Phase, share=st.floats(0.02, 0.98), treatment=ARMS, control=ARMS)
ALPHAS = st.floats(0.0005, 0.2)


def sequence(phases: list[Phase], *, alpha: float = 0.05, alternative: str = "two-sided") -> EffectTest:
    return computed(
        difference_sequence(phases, alpha=alpha, planned_count=5_000.0, alternative=alternative)  # type: ignore[arg-type]  # the tests pass only known words
    )


def test_the_published_case() -> None:
    arms = [
        ArmValue.of_share(BinomialCounts(n=n, successes=good)) for n, good in ((500, 325), (9_500, 6_650))
    ]
    result = sequence([Phase(share=0.05, treatment=arms[0], control=arms[1])])
    assert (result.effect, result.low, result.high, result.p_value) == pytest.approx(
        (-0.05, -0.11687104897696139, 0.016871048976961525, 0.34929167444997894), abs=1e-6
    )


@given(phase=PHASES)
def test_swapping_the_arms_turns_the_interval_around(phase: Phase) -> None:
    one = sequence([phase])
    other = sequence([Phase(share=1.0 - phase.share, treatment=phase.control, control=phase.treatment)])
    assert (other.effect, other.low, other.high) == pytest.approx((-one.effect, -one.high, -one.low))
    assert other.p_value == pytest.approx(one.p_value)


@given(phase=PHASES, scale=st.floats(0.01, 100.0), shift=VALUES)
def test_values_may_be_measured_in_any_unit_from_any_origin(phase: Phase, scale: float, shift: float) -> None:
    def moved(arm: ArmValue) -> ArmValue:
        return ArmValue(n=arm.n, value=scale * arm.value + shift, unit_variance=scale**2 * arm.unit_variance)

    one = sequence([phase])
    other = sequence(
        [Phase(share=phase.share, treatment=moved(phase.treatment), control=moved(phase.control))]
    )
    assert other.low == pytest.approx(scale * one.low, rel=1e-6, abs=1e-6 * scale)
    assert other.high == pytest.approx(scale * one.high, rel=1e-6, abs=1e-6 * scale)


@given(phase=PHASES, alpha=ALPHAS, alternative=st.sampled_from(["two-sided", "greater", "less"]))
def test_the_p_value_is_below_alpha_exactly_where_the_interval_excludes_zero(
    phase: Phase, alpha: float, alternative: str
) -> None:
    result = sequence([phase], alpha=alpha, alternative=alternative)
    excluded = result.low > 0.0 or result.high < 0.0
    if abs(result.p_value - alpha) > 1e-9:
        assert (result.p_value < alpha) is excluded


@given(phases=st.lists(PHASES, min_size=2, max_size=4), alpha=ALPHAS)
def test_one_sided_bounds_are_tighter_and_alpha_widens(phases: list[Phase], alpha: float) -> None:
    both = sequence(phases, alpha=alpha)
    assert sequence(phases, alpha=alpha, alternative="greater").low >= both.low
    assert sequence(phases, alpha=alpha, alternative="less").high <= both.high
    assert sequence(phases, alpha=alpha / 2).high >= both.high


@given(phases=st.lists(PHASES, min_size=2, max_size=4))
def test_the_pooled_effect_lies_between_those_of_the_phases(phases: list[Phase]) -> None:
    single = [one.treatment.value - one.control.value for one in phases]
    assert min(single) - 1e-9 <= sequence(phases).effect <= max(single) + 1e-9


@given(variance=VARIANCES, planned=st.floats(100.0, 1e6), alpha=ALPHAS)
def test_the_interval_narrows_and_is_nearly_tightest_where_planned(
    variance: float, planned: float, alpha: float
) -> None:
    counts = np.geomspace(10.0, 1e8, 50)
    widths = half_width(variance, counts, alpha=alpha, planned_count=planned, one_sided=False)
    assert (np.diff(widths) < 0.0).all()
    here, *others = (
        float(half_width(variance, planned, alpha=alpha, planned_count=tuned, one_sided=False))
        for tuned in (planned, planned / 20.0, planned * 20.0)
    )
    assert here <= min(others) * 1.02


@given(variance=VARIANCES, margin=st.floats(0.01, 1.0))
def test_the_count_until_a_margin_reaches_it_and_little_less_does_not(variance: float, margin: float) -> None:
    count = count_until(margin, variance=variance, alpha=0.05, planned_count=20_000.0)
    assert count is not None
    widths = [
        float(half_width(variance, n, alpha=0.05, planned_count=20_000.0, one_sided=True))
        for n in (count, count * 0.98)
    ]
    assert widths[0] <= margin
    assert widths[1] > margin or count <= 1.0


def test_no_count_reaches_a_margin_of_nothing() -> None:
    assert count_until(0.0, variance=1.0, alpha=0.05, planned_count=100.0) is None


def test_a_ratio_is_linearised_by_unit() -> None:
    generator = np.random.default_rng(4)
    turns = generator.integers(1, 9, 500)
    good = generator.binomial(turns, 0.7)
    arm = ArmValue.of_ratio(PairMoments.of(good, turns))
    ratio = good.sum() / turns.sum()
    residual = (good - ratio * turns) / turns.mean()
    assert (arm.value, arm.unit_variance) == pytest.approx((ratio, residual.var(ddof=1)))


def test_few_units_and_equal_values_cannot_be_compared() -> None:
    few = ArmValue.of_mean(Moments.of([1.0, 2.0, 3.0]))
    refused = difference_sequence(
        [Phase(share=0.5, treatment=few, control=few)], alpha=0.05, planned_count=100.0
    )
    assert isinstance(refused, CannotCompute)
    assert (refused.reason, refused.more_needed) == (Reason.TOO_FEW_UNITS, 97)
    equal = ArmValue(n=200, value=1.0, unit_variance=0.0)
    same = difference_sequence(
        [Phase(share=0.5, treatment=equal, control=equal)], alpha=0.05, planned_count=100.0
    )
    assert isinstance(same, CannotCompute)
    assert same.reason is Reason.NO_VARIATION


@pytest.mark.parametrize("alpha", [0.0, 1.0, 0.6])
def test_an_impossible_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        half_width(1.0, 100.0, alpha=alpha, planned_count=100.0, one_sided=True)


def test_intervals_are_infinite_on_the_side_that_is_not_asked_for() -> None:
    arm = ArmValue(n=200, value=1.0, unit_variance=1.0)
    phase = Phase(share=0.5, treatment=arm, control=arm)
    assert sequence([phase], alternative="greater").high == math.inf
    assert sequence([phase], alternative="less").low == -math.inf
