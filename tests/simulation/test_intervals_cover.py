"""Intervals cover what they promise on the data they are made for: skewed costs, rare successes, history."""

from __future__ import annotations

import numpy as np
import pytest

from mangaassist.stats.cuped import cuped
from mangaassist.stats.means import mean_interval, welch
from mangaassist.stats.moments import Moments, PairMoments
from mangaassist.stats.ratios import linearised, ratio_interval
from tests.simulation.rates import observed
from tests.support.outcomes import computed

SIZES = [pytest.param(1_500, id="small"), pytest.param(20_000, id="full", marks=pytest.mark.full_size)]


@pytest.mark.parametrize("replicates", SIZES)
def test_welch_keeps_its_size_on_skewed_costs_of_unequal_arms(replicates: int) -> None:
    generator = np.random.default_rng(71)
    false_alarms = 0
    for _ in range(replicates):
        arms = [Moments.of(generator.lognormal(0, 1, size)) for size in (2_000, 400)]
        false_alarms += computed(welch(*arms)).p_value < 0.05
    size = observed("Welch on lognormal costs, 2,000 against 400", false_alarms, replicates)
    assert size.low <= 0.055
    assert size.high >= 0.045


@pytest.mark.parametrize("replicates", SIZES)
@pytest.mark.parametrize(("sessions", "rate"), [(400, 0.7), (60, 0.3), (60, 0.1), (200, 0.05)])
def test_cost_per_success_covers_also_when_successes_are_rare(
    sessions: int, rate: float, replicates: int
) -> None:
    generator = np.random.default_rng(72)
    truth = float(np.exp(0.125)) * 3 / (3 * rate)
    covered = switched = 0
    for _ in range(replicates):
        turns = 1 + generator.poisson(2, sessions)
        costs = turns * generator.lognormal(0, 0.5, sessions)
        pair = PairMoments.of(costs, generator.binomial(turns, rate))
        interval = computed(ratio_interval(pair))
        covered += interval.low <= truth <= interval.high
        # the often advised rule: the delta method unless the denominator is within 5 errors of zero
        clear = pair.mean_x**2 >= 25 * pair.x.mean_variance
        other = computed(mean_interval(computed(linearised(pair)))) if clear else interval
        switched += other.low <= truth <= other.high
    coverage = observed(f"cost per success, {sessions} sessions, rate {rate}", covered, replicates)
    observed("the same, switching methods by the data", switched, replicates)
    assert switched <= covered + 0.003 * replicates
    assert coverage.high >= 0.94
    assert coverage.low <= 0.96


@pytest.mark.parametrize("replicates", SIZES)
def test_fieller_covers_when_the_denominator_is_near_zero(replicates: int) -> None:
    generator = np.random.default_rng(73)
    covered = endless = 0
    for _ in range(replicates):
        x = generator.normal(0.25, 1, 50)
        y = 2.0 * x + generator.normal(0, 0.5, 50)
        interval = computed(ratio_interval(PairMoments.of(y, x)))
        covered += interval.low <= 2.0 <= interval.high
        endless += not np.isfinite(interval.high - interval.low)
    coverage = observed("Fieller, denominator 1.8 errors from zero", covered, replicates)
    observed("of these without an end", endless, replicates)
    assert coverage.high >= 0.95


@pytest.mark.parametrize("replicates", SIZES)
def test_cuped_keeps_its_size_and_gains_power(replicates: int) -> None:
    generator = np.random.default_rng(74)
    false_alarms = found = found_without = 0
    for _ in range(replicates):
        past = generator.gamma(2, 1, (2, 300))
        outcome = past + generator.normal(0, 1, (2, 300))
        for effect in (0.0, 0.25):
            arms = [PairMoments.of(outcome[at] + effect * at, past[at]) for at in range(2)]
            adjustment = computed(cuped(*arms))
            adjusted = computed(welch(adjustment.control, adjustment.treatment)).p_value < 0.05
            if effect:
                found += adjusted
                found_without += computed(welch(arms[0].y, arms[1].y)).p_value < 0.05
            else:
                false_alarms += adjusted
    size = observed("CUPED false alarms", false_alarms, replicates)
    power = observed("CUPED power", found, replicates)
    without = observed("power without CUPED", found_without, replicates)
    assert size.low <= 0.055
    assert size.high >= 0.045
    assert power.low > without.high
