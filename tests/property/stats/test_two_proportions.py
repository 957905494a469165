"""Difference of two proportions: the score test's likelihood, duality, symmetry and size by enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import test_proportions_2indep as score_oracle

from mangaassist.stats.moments import BinomialCounts
from mangaassist.stats.two_proportions import proportion_difference, score_statistic
from tests.support.outcomes import computed, refused

COUNTS = st.integers(2, 200).flatmap(
    lambda n: st.builds(BinomialCounts, n=st.just(n), successes=st.integers(0, n))
)
NULLS = st.floats(-0.6, 0.6)


def variance_of_the_likeliest(control: BinomialCounts, treatment: BinomialCounts, null: float) -> float:
    """The same variance by brute search for the likeliest pair of rates."""
    rates = np.linspace(max(0.0, -null), min(1.0, 1.0 - null), 20_001)
    likelihood = binom.logpmf(control.successes, control.n, rates) + binom.logpmf(
        treatment.successes, treatment.n, np.clip(rates + null, 0.0, 1.0)
    )
    rate = rates[int(np.argmax(likelihood))]
    other = rate + null
    total = control.n + treatment.n
    return float((rate * (1 - rate) / control.n + other * (1 - other) / treatment.n) * total / (total - 1))


@given(COUNTS, COUNTS, NULLS)
def test_the_variance_is_that_of_the_likeliest_rates_under_the_null(
    control: BinomialCounts, treatment: BinomialCounts, null: float
) -> None:
    statistic = score_statistic(control, treatment, null)
    gap = treatment.rate - control.rate - null
    assume(math.isfinite(statistic) and abs(gap) > 1e-3)
    assert (gap / statistic) ** 2 == pytest.approx(
        variance_of_the_likeliest(control, treatment, null), rel=0.01, abs=1e-6
    )


@given(COUNTS, COUNTS)
def test_without_margin_it_is_the_score_test_of_statsmodels(
    control: BinomialCounts, treatment: BinomialCounts
) -> None:
    # statsmodels divides by zero at the borders
    assume(0 < control.successes < control.n)
    assume(0 < treatment.successes < treatment.n)
    result = computed(proportion_difference(control, treatment))
    expected = score_oracle(
        treatment.successes, treatment.n, control.successes, control.n, method="score", correction=True
    )
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@given(COUNTS, COUNTS, NULLS)
def test_the_interval_holds_what_the_test_does_not_reject(
    control: BinomialCounts, treatment: BinomialCounts, null: float
) -> None:
    result = computed(proportion_difference(control, treatment, null=null))
    assume(min(abs(null - result.low), abs(null - result.high)) > 1e-6)
    assert (result.low <= null <= result.high) == (result.p_value > 0.05)
    assert -1.0 <= result.low <= result.effect <= result.high <= 1.0


@given(COUNTS, COUNTS)
def test_exchanging_the_arms_mirrors_the_result(control: BinomialCounts, treatment: BinomialCounts) -> None:
    forward = computed(proportion_difference(control, treatment))
    backward = computed(proportion_difference(treatment, control))
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low), abs=1e-7)
    assert forward.p_value == pytest.approx(backward.p_value, abs=1e-9)


@pytest.mark.parametrize(("n_control", "n_treatment"), [(40, 40), (120, 15)])
@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_the_size_is_close_to_the_nominal_one_by_enumeration(
    n_control: int, n_treatment: int, margin: float
) -> None:
    rejected = np.array(
        [
            [
                computed(
                    proportion_difference(
                        BinomialCounts(n=n_control, successes=x),
                        BinomialCounts(n=n_treatment, successes=y),
                        null=-margin,
                        alternative="greater",
                    )
                ).p_value
                <= 0.05
                for y in range(n_treatment + 1)
            ]
            for x in range(n_control + 1)
        ]
    )
    sizes = [
        binom.pmf(np.arange(n_control + 1), n_control, rate)
        @ rejected
        @ binom.pmf(np.arange(n_treatment + 1), n_treatment, rate - margin)
        for rate in np.linspace(0.2, 0.8, 13)
    ]
    print(
        f"{n_control} against {n_treatment}, margin {margin}: mean {np.mean(sizes):.3f}, max {max(sizes):.3f}"
    )
    assert 0.03 <= np.mean(sizes) <= 0.055
    assert max(sizes) <= 0.075


def test_an_empty_arm_has_no_difference() -> None:
    refused(proportion_difference(BinomialCounts(n=0, successes=0), BinomialCounts(n=5, successes=1)))
