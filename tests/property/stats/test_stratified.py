"""Post-stratified estimates and rates seen through an imperfect rater: unbiased, covering, and honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.stats.means import mean_interval
from mangaassist.stats.misclassification import corrected_rate
from mangaassist.stats.moments import BinomialCounts, Moments
from mangaassist.stats.outcome import Reason
from mangaassist.stats.proportions import wilson
from mangaassist.stats.stratified import BinaryStratum, Stratum, stratified_mean, stratified_proportion
from tests.support.outcomes import computed, refused

SHARES = (0.5, 0.3, 0.15, 0.05)
RATES = (0.95, 0.8, 0.6, 0.3)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=30).filter(lambda values: np.std(values) > 0.01))
def test_one_stratum_is_the_plain_mean(values: list[float]) -> None:
    moments = Moments.of(values)
    plain = computed(mean_interval(moments))
    stratified = computed(stratified_mean([Stratum(weight=3.0, moments=moments)]))
    assert (stratified.value, stratified.low, stratified.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


@given(st.floats(0.1, 50), st.integers(0, 10_000))
def test_only_the_proportions_of_the_weights_matter(scale: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    samples = [Moments.of(generator.normal(at, 1, 12)) for at in range(4)]
    before = computed(
        stratified_mean([Stratum(weight=w, moments=m) for w, m in zip(SHARES, samples, strict=True)])
    )
    after = computed(
        stratified_mean([Stratum(weight=w * scale, moments=m) for w, m in zip(SHARES, samples, strict=True)])
    )
    assert after.low == pytest.approx(before.low)
    assert before.value == pytest.approx(sum(w * m.mean for w, m in zip(SHARES, samples, strict=True)))


def test_intervals_cover_the_population_where_equal_quotas_would_mislead() -> None:
    truth = float(np.dot(SHARES, RATES))
    generator = np.random.default_rng(7)
    covered = {"mean": 0, "proportion": 0, "quota": 0}
    rounds = 500
    for _ in range(rounds):
        samples = [(generator.random(40) < rate).astype(float) for rate in RATES]
        binary = [
            BinaryStratum(weight=w, counts=BinomialCounts(n=40, successes=int(s.sum())))
            for w, s in zip(SHARES, samples, strict=True)
        ]
        continuous = [Stratum(weight=w, moments=Moments.of(s)) for w, s in zip(SHARES, samples, strict=True)]
        for name, interval in (
            ("mean", computed(stratified_mean(continuous))),
            ("proportion", computed(stratified_proportion(binary))),
            ("quota", computed(mean_interval(Moments.of(np.concatenate(samples))))),
        ):
            covered[name] += interval.low <= truth <= interval.high
    assert covered["proportion"] / rounds == pytest.approx(0.95, abs=0.025)
    assert covered["mean"] / rounds >= 0.9
    assert covered["quota"] / rounds < 0.3


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_one_binary_stratum_is_wilsons_interval(counts: tuple[int, int]) -> None:
    one = BinomialCounts(n=counts[0], successes=counts[1])
    plain = computed(wilson(one))
    stratified = computed(stratified_proportion([BinaryStratum(weight=1.0, counts=one)]))
    assert (stratified.low, stratified.high) == pytest.approx((plain.low, plain.high))


def test_missing_strata_and_equal_observations_are_refused() -> None:
    constant, varying = Moments.of([1.0, 1.0]), Moments.of([1.0, 2.0])
    assert refused(stratified_mean([])).reason is Reason.NO_DATA
    assert refused(stratified_mean([Stratum(weight=1.0, moments=constant)])).reason is Reason.NO_VARIATION
    empty = Stratum(weight=1.0, moments=Moments.of([]))
    assert refused(stratified_mean([empty, Stratum(weight=1.0, moments=varying)])).more_needed == 2
    no_cases = BinaryStratum(weight=1.0, counts=BinomialCounts(n=0, successes=0))
    assert refused(stratified_proportion([no_cases])).reason is Reason.NO_DATA
    refused(stratified_proportion([]))
    with pytest.raises(ValueError, match="weights"):
        stratified_mean([Stratum(weight=0.0, moments=varying)])


@given(st.floats(0.05, 0.95), st.floats(0.75, 1.0), st.floats(0.75, 1.0))
def test_the_correction_undoes_the_raters_errors(rate: float, sensitivity: float, specificity: float) -> None:
    n = 1_000_000
    seen = rate * sensitivity + (1 - rate) * (1 - specificity)
    estimate = computed(
        corrected_rate(
            BinomialCounts(n=n, successes=round(n * seen)),
            true_positives=BinomialCounts(n=n, successes=round(n * sensitivity)),
            true_negatives=BinomialCounts(n=n, successes=round(n * specificity)),
        )
    )
    assert estimate.value == pytest.approx(rate, abs=1e-4)
    assert estimate.low <= rate <= estimate.high


def test_the_corrected_rate_covers_with_the_errors_of_all_three_samples() -> None:
    generator = np.random.default_rng(11)
    rate, sensitivity, specificity, rounds = 0.8, 0.9, 0.85, 2_000
    seen = rate * sensitivity + (1 - rate) * (1 - specificity)
    covered = 0
    for q, positives, negatives in zip(
        generator.binomial(1_000, seen, rounds),
        generator.binomial(120, sensitivity, rounds),
        generator.binomial(60, specificity, rounds),
        strict=True,
    ):
        interval = computed(
            corrected_rate(
                BinomialCounts(n=1_000, successes=int(q)),
                true_positives=BinomialCounts(n=120, successes=int(positives)),
                true_negatives=BinomialCounts(n=60, successes=int(negatives)),
            )
        )
        covered += interval.low <= rate <= interval.high
    assert covered / rounds == pytest.approx(0.95, abs=0.02)


def test_a_rater_no_better_than_chance_tells_nothing() -> None:
    coin = BinomialCounts(n=40, successes=22)
    outcome = refused(
        corrected_rate(BinomialCounts(n=500, successes=300), true_positives=coin, true_negatives=coin)
    )
    assert "chance" in outcome.detail
    refused(corrected_rate(BinomialCounts(n=0, successes=0), true_positives=coin, true_negatives=coin))
