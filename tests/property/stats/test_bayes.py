"""Bayesian read-out: closed forms, identities, and agreement of quadrature with simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln
from scipy.stats import beta, norm

from mangaassist.stats.bayes import compare, compare_effect, compare_means, compare_rates
from mangaassist.stats.means import welch
from mangaassist.stats.moments import BinomialCounts, Moments
from mangaassist.stats.outcome import Reason
from tests.support.outcomes import computed, refused

COUNTS = st.integers(0, 3_000).flatmap(
    lambda n: st.builds(BinomialCounts, n=st.just(n), successes=st.integers(0, n))
)
SMALL = st.integers(0, 60).flatmap(
    lambda n: st.builds(BinomialCounts, n=st.just(n), successes=st.integers(0, n))
)


def chance_in_closed_form(control: BinomialCounts, treatment: BinomialCounts) -> float:
    """P(T > C) for whole-numbered Beta posteriors as a finite sum (Cook 2005; Miller 2015)."""
    a_c, b_c = 1 + control.successes, 1 + control.failures
    a_t, b_t = 1 + treatment.successes, 1 + treatment.failures
    terms = [
        betaln(a_c + at, b_c + b_t) - math.log(b_t + at) - betaln(1 + at, b_t) - betaln(a_c, b_c)
        for at in range(a_t)
    ]
    return float(np.exp(terms).sum())


@settings(max_examples=40)
@given(SMALL, SMALL)
def test_the_chance_to_be_better_is_the_closed_form(
    control: BinomialCounts, treatment: BinomialCounts
) -> None:
    result = compare_rates(control, treatment)
    assert result.chance_treatment_better == pytest.approx(
        chance_in_closed_form(control, treatment), abs=1e-9
    )


@settings(max_examples=40)
@given(COUNTS, COUNTS)
def test_losses_differ_by_the_difference_of_the_posterior_means(
    control: BinomialCounts, treatment: BinomialCounts
) -> None:
    result = compare_rates(control, treatment)
    means = [(1 + arm.successes) / (2 + arm.n) for arm in (control, treatment)]
    assert result.difference == pytest.approx(means[1] - means[0], abs=1e-9)
    assert min(result.loss_of_treatment, result.loss_of_control) >= -1e-12
    assert -1.0 <= result.low <= result.high <= 1.0


@settings(max_examples=40)
@given(COUNTS, COUNTS)
def test_exchanging_the_arms_mirrors_the_result(control: BinomialCounts, treatment: BinomialCounts) -> None:
    forward, backward = compare_rates(control, treatment), compare_rates(treatment, control)
    assert forward.chance_treatment_better == pytest.approx(1 - backward.chance_treatment_better, abs=1e-9)
    assert forward.loss_of_treatment == pytest.approx(backward.loss_of_control, abs=1e-12)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low), abs=1e-7)


@settings(max_examples=25)
@given(COUNTS, st.integers(1, 400), st.data())
def test_more_successes_of_the_treatment_only_speak_for_it(
    control: BinomialCounts, n: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, n - 1))
    fewer = compare_rates(control, BinomialCounts(n=n, successes=hits))
    more = compare_rates(control, BinomialCounts(n=n, successes=hits + 1))
    assert more.chance_treatment_better >= fewer.chance_treatment_better - 1e-9
    assert more.loss_of_treatment <= fewer.loss_of_treatment + 1e-12
    assert more.low >= fewer.low - 1e-9


@pytest.mark.parametrize(("n_control", "n_treatment"), [(1_000_000, 50), (50, 1_000_000)])
def test_a_sharp_posterior_beside_a_wide_one_is_integrated_rightly(n_control: int, n_treatment: int) -> None:
    control = BinomialCounts(n=n_control, successes=int(n_control * 0.7))
    treatment = BinomialCounts(n=n_treatment, successes=int(n_treatment * 0.7))
    result = compare_rates(control, treatment)
    # against the sharp one as a point, to a thousandth of the wide one's width
    wide = min(control, treatment, key=lambda counts: counts.n)
    ends = beta(1 + wide.successes, 1 + wide.failures).ppf([0.025, 0.975]) - 0.7
    expected = ends if wide is treatment else -ends[::-1]
    assert (result.low, result.high) == pytest.approx(tuple(expected), abs=1e-4)


@settings(max_examples=25)
@given(st.floats(-3, 3), st.floats(0.05, 2))
def test_a_flat_prior_on_an_effect_gives_the_two_normal_posteriors(effect: float, error: float) -> None:
    closed = compare_effect(effect, error)
    part = error / math.sqrt(2)
    numeric = compare(norm(0, part), norm(effect, part))
    assert closed.chance_treatment_better == pytest.approx(numeric.chance_treatment_better, abs=1e-7)
    assert closed.loss_of_treatment == pytest.approx(numeric.loss_of_treatment, abs=1e-7)
    assert closed.loss_of_control == pytest.approx(numeric.loss_of_control, abs=1e-7)
    assert (closed.low, closed.high) == pytest.approx((numeric.low, numeric.high), abs=1e-5)


@given(st.floats(-3, 3), st.floats(0.05, 2), st.floats(0.05, 2))
def test_a_proper_prior_pulls_towards_no_effect(effect: float, error: float, prior: float) -> None:
    flat, pulled = compare_effect(effect, error), compare_effect(effect, error, prior_deviation=prior)
    assert abs(pulled.difference) <= abs(flat.difference) + 1e-12
    assert pulled.high - pulled.low <= flat.high - flat.low + 1e-12
    nearly_flat = compare_effect(effect, error, prior_deviation=1e6)
    assert nearly_flat.difference == pytest.approx(flat.difference, abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_means_of_many_units_agree_with_welch(seed: int) -> None:
    generator = np.random.default_rng(seed)
    arms = [Moments.of(generator.lognormal(1, 0.5, 600)), Moments.of(generator.lognormal(1.02, 0.6, 500))]
    posterior = computed(compare_means(*arms))
    test = computed(welch(*arms, alternative="greater"))
    assert posterior.chance_treatment_better == pytest.approx(1 - test.p_value, abs=2e-3)
    both = computed(welch(*arms))
    assert (posterior.low, posterior.high) == pytest.approx((both.low, both.high), abs=5e-3)


def test_the_posteriors_of_few_units_have_the_tails_of_students_t() -> None:
    arms = [Moments(n=3, mean=1.0, squares=2.0), Moments(n=4, mean=2.0, squares=3.0)]
    result = computed(compare_means(*arms))
    generator = np.random.default_rng(1)
    draws = [
        moments.mean + math.sqrt(moments.mean_variance) * generator.standard_t(moments.n - 1, 1_000_000)
        for moments in arms
    ]
    assert result.chance_treatment_better == pytest.approx(float((draws[1] > draws[0]).mean()), abs=0.002)
    ends = np.quantile(draws[1] - draws[0], [0.025, 0.975])
    assert (result.low, result.high) == pytest.approx(tuple(ends), abs=0.05)


def test_means_without_variation_or_units_are_refused() -> None:
    constant, few = Moments.of([1.0, 1.0, 1.0]), Moments.of([1.0, 2.0])
    varying = Moments.of([1.0, 2.0, 3.0])
    assert refused(compare_means(constant, varying)).reason is Reason.NO_VARIATION
    assert refused(compare_means(few, varying)).more_needed == 1


def test_without_data_both_arms_are_alike() -> None:
    nothing = BinomialCounts(n=0, successes=0)
    result = compare_rates(nothing, nothing)
    assert result.chance_treatment_better == pytest.approx(0.5)
    # E[max(C - T, 0)] of two uniform rates
    assert result.loss_of_treatment == pytest.approx(1 / 6)
