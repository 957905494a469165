"""Sample sizes: as statsmodels plans them, just enough, and monotone in what is asked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep, samplesize_proportions_2indep_onetail

from mangaassist.stats.mcnemar import PairedCounts, tango_statistic
from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.outcome import Reason
from mangaassist.stats.power import (
    ArmSizes,
    design_effect,
    detectable_effect,
    paired_deviation,
    power_for_means,
    power_for_proportions,
    size_for_means,
    size_for_noninferiority,
    size_for_paired_noninferiority,
    size_for_pairs,
    size_for_proportions,
    size_for_rare_events,
)
from mangaassist.stats.proportions import clopper_pearson
from tests.support.outcomes import computed, refused

EFFECTS = st.floats(0.1, 1.5)
POWERS = st.sampled_from([0.5, 0.8, 0.9, 0.99])


@given(EFFECTS, POWERS, st.sampled_from([0.25, 1.0, 4.0]))
def test_arms_for_means_are_the_least_with_the_power(effect: float, power: float, ratio: float) -> None:
    arms = computed(size_for_means(1.0, effect, power=power, control_per_treatment=ratio))
    assert power_for_means(1.0, effect, arms) >= power
    if arms.treatment > 3:
        fewer = ArmSizes(
            control=max(2, math.ceil((arms.treatment - 1) * ratio)), treatment=arms.treatment - 1
        )
        assert power_for_means(1.0, effect, fewer) < power


@given(EFFECTS, st.integers(5, 200), st.integers(5, 200))
def test_the_power_for_means_is_that_of_statsmodels(effect: float, control: int, treatment: int) -> None:
    arms = ArmSizes(control=control, treatment=treatment)
    for sides, alternative in ((1, "larger"), (2, "two-sided")):
        ours = power_for_means(1.0, effect, arms, sides=sides)  # type: ignore[arg-type]  # a Literal in a loop
        oracle = TTestIndPower().power(
            effect, treatment, 0.05, ratio=control / treatment, alternative=alternative
        )
        # scipy's noncentral t underflows to NaN far out
        assert math.isnan(oracle) or ours == pytest.approx(oracle, abs=1e-6)


@given(st.floats(0.1, 0.85), st.floats(0.02, 0.14), POWERS, st.sampled_from([0.5, 1.0, 5.0]))
def test_arms_for_proportions_are_those_of_statsmodels(
    baseline: float, effect: float, power: float, ratio: float
) -> None:
    arms = computed(size_for_proportions(baseline, effect, power=power, control_per_treatment=ratio, sides=1))
    oracle = samplesize_proportions_2indep_onetail(
        effect, baseline, power, ratio=ratio, alpha=0.05, alternative="larger"
    )
    assert arms.treatment == pytest.approx(oracle, abs=1.01)


@given(st.floats(0.1, 0.85), st.floats(0.02, 0.14), st.integers(50, 2_000))
def test_the_power_for_proportions_is_that_of_statsmodels(baseline: float, effect: float, n: int) -> None:
    ours = power_for_proportions(baseline, effect, ArmSizes(control=n, treatment=n))
    assert ours == pytest.approx(power_proportions_2indep(effect, baseline, n).power, abs=1e-9)


@pytest.mark.parametrize(
    ("margin", "control_per_treatment", "units"),
    [(0.10, 19, 137), (0.05, 3, 700), (0.03, 1, 2_900), (0.02, 1, 6_500)],
)
def test_the_stages_of_a_rollout_need_these_units(
    margin: float, control_per_treatment: float, units: int
) -> None:
    # one-sided 5 %, 80 % power, rate 0.7: the rounded figures of the specification
    deviation = math.sqrt(0.21 * (1 + 1 / control_per_treatment))
    size = computed(size_for_noninferiority(deviation, margin, power=0.8))
    assert size == pytest.approx(units, rel=0.011)


def test_a_four_point_drop_among_15_percent_discordant_pairs() -> None:
    # 1 % one-sided, 90 % power: 1,207 pairs
    assert computed(size_for_pairs(0.15, 0.04, alpha=0.01, power=0.9, sides=1)) == pytest.approx(1_207, abs=1)


@given(st.floats(0.02, 0.5), st.floats(0.01, 0.1), POWERS)
def test_paired_margins_need_more_cases_for_more_discordance_power_or_strictness(
    discordance: float, margin: float, power: float
) -> None:
    size = computed(size_for_paired_noninferiority(discordance, margin, power=power))
    assert computed(size_for_paired_noninferiority(min(1.0, discordance * 1.5), margin, power=power)) >= size
    assert computed(size_for_paired_noninferiority(discordance, margin / 2, power=power)) >= size
    assert computed(size_for_paired_noninferiority(discordance, margin, power=0.999)) >= size
    # the score test plans with a larger variance at the margin than the plain normal one
    plain = computed(size_for_noninferiority(paired_deviation(discordance), margin, power=power))
    assert plain <= size


@pytest.mark.parametrize(
    ("discordance", "margin"),
    [(0.06, 0.02), (0.15, 0.02), (0.03, 0.02), (0.1, 0.05), (0.06, 0.05), (0.1, 0.01)],
)
def test_the_planned_pairs_clear_the_margin_as_often_as_planned_by_enumeration(
    discordance: float, margin: float
) -> None:
    n = computed(size_for_paired_noninferiority(discordance, margin, power=0.9))

    def chance_to_pass(difference: float) -> float:
        total = 0.0
        for discordant in range(int(binom.isf(1e-9, n, discordance)) + 1):
            # the score grows with the gains, so the passing tables are those from some number of gains on
            low, high = 0, discordant + 1
            while low < high:
                gained = (low + high) // 2
                table = PairedCounts(n=n, gained=gained, lost=discordant - gained)
                passes = tango_statistic(table, -margin) >= 1.6448536269514722
                low, high = (low, gained) if passes else (gained + 1, high)
            gain_chance = (discordance + difference) / (2 * discordance)
            tail = binom.sf(low - 1, discordant, gain_chance)
            total += float(binom.pmf(discordant, n, discordance) * tail)
        return total

    assert 0.9 <= chance_to_pass(0.0) <= 0.92
    assert chance_to_pass(-margin) <= 0.051


@given(st.floats(0.1, 3), st.integers(2, 10_000), POWERS)
def test_the_detectable_effect_is_found_with_that_power(deviation: float, n: int, power: float) -> None:
    effect = computed(detectable_effect(deviation, n, power=power, sides=1))
    size = computed(size_for_noninferiority(deviation, effect, power=power))
    assert size in (n, n + 1)


@given(st.floats(0.002, 0.3), st.integers(0, 5))
def test_rare_events_need_just_enough_trials(target: float, events: int) -> None:
    n = size_for_rare_events(target, events=events)

    def bound(trials: int) -> float:
        counts = BinomialCounts(n=trials, successes=events)
        return computed(clopper_pearson(counts, alternative="less")).high

    assert bound(n) < target
    assert n - 1 <= events or bound(n - 1) >= target


def test_clusters_inflate_the_variance() -> None:
    assert design_effect(1.0, 0.5) == 1.0
    assert design_effect(5.0, 0.0) == 1.0
    assert design_effect(5.0, 0.25) == pytest.approx(2.0)
    assert design_effect(5.0, 0.25, size_variation=0.8) > 2.0


def test_what_no_sample_can_show_is_refused() -> None:
    for outcome in (
        size_for_means(1.0, 0.0),
        size_for_proportions(0.5, 0.0),
        size_for_pairs(0.1, 0.0),
        size_for_noninferiority(1.0, 0.02, difference=-0.02),
        size_for_paired_noninferiority(0.1, 0.02, difference=-0.05),
    ):
        assert refused(outcome).reason is Reason.UNREACHABLE
    refused(detectable_effect(1.0, 0))
    with pytest.raises(ValueError, match="both rates"):
        size_for_proportions(0.9, 0.2)
    with pytest.raises(ValueError, match="discordance"):
        size_for_pairs(0.1, 0.2)
    assert ArmSizes(control=3, treatment=4).total == 7
