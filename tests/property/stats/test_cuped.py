"""CUPED: as tea-tasting has it, indifferent to the covariate's scale, never against an arm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.stats.cuped import cuped
from mangaassist.stats.means import welch
from mangaassist.stats.moments import JointMoments, PairMoments
from mangaassist.stats.outcome import Reason
from mangaassist.stats.ratios import linearised_with_covariate
from tests.support.outcomes import computed, refused

SEEDS = st.integers(0, 10_000)


def arms(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Arm, outcome, number of observations, behaviour before."""
    generator = np.random.default_rng(seed)
    past = generator.gamma(2, 1, n)
    count = generator.poisson(3, n) + 1.0
    return np.arange(n) % 2, past + generator.normal(2, 1, n), count, past


def pairs(arm: np.ndarray, y: np.ndarray, x: np.ndarray) -> list[PairMoments]:
    return [PairMoments.of(y[arm == which], x[arm == which]) for which in (0, 1)]


@settings(max_examples=25)
@given(SEEDS)
def test_adjusted_means_and_ratios_agree_with_tea_tasting(seed: int) -> None:
    arm, y, count, past = arms(seed)
    metrics = {
        "mean": tea_tasting.Mean("y", covariate="past"),
        "ratio": tea_tasting.RatioOfMeans("y", "count", numer_covariate="past"),
    }
    table = pa.table({"variant": arm, "y": y, "count": count, "past": past})
    expected = tea_tasting.Experiment(metrics).analyze(table)
    joint = np.column_stack([y, count, past])
    ratios = [computed(linearised_with_covariate(JointMoments.of(joint[arm == which]))) for which in (0, 1)]
    for name, given_pairs in (("mean", pairs(arm, y, past)), ("ratio", ratios)):
        adjustment = computed(cuped(*given_pairs))
        result = computed(welch(adjustment.control, adjustment.treatment))
        # its slope also counts the difference between the arms, which vanishes with their size
        width = result.high - result.low
        assert result.effect == pytest.approx(expected[name].effect_size, abs=0.02 * width)
        assert result.low == pytest.approx(expected[name].effect_size_ci_lower, abs=0.03 * width)


@given(SEEDS, st.floats(0.1, 10), st.floats(-20, 20))
def test_scale_and_origin_of_the_covariate_do_not_matter(seed: int, scale: float, shift: float) -> None:
    arm, y, _, past = arms(seed, 60)
    before = computed(cuped(*pairs(arm, y, past)))
    after = computed(cuped(*pairs(arm, y, scale * past + shift)))
    assert after.control.mean == pytest.approx(before.control.mean)
    assert after.treatment.squares == pytest.approx(before.treatment.squares)
    assert after.theta == pytest.approx(before.theta / scale)


@given(SEEDS)
def test_the_variance_never_grows_and_falls_by_the_explained_share(seed: int) -> None:
    arm, y, _, past = arms(seed, 100)
    adjustment = computed(cuped(*pairs(arm, y, past)))
    assert 0.0 <= adjustment.variance_reduction <= 1.0
    within_y, within_past = y.copy(), past.copy()
    for which in (0, 1):
        within_y[arm == which] -= within_y[arm == which].mean()
        within_past[arm == which] -= within_past[arm == which].mean()
    explained = np.corrcoef(within_y, within_past)[0, 1] ** 2
    assert adjustment.variance_reduction == pytest.approx(explained)


def test_a_covariate_that_is_the_outcome_takes_all_variance_away() -> None:
    arm, y, _, _ = arms(1, 50)
    assert computed(cuped(*pairs(arm, y, y))).variance_reduction == pytest.approx(1.0)


def test_constant_covariates_and_single_units_are_refused() -> None:
    arm, y, _, _ = arms(1, 50)
    assert refused(cuped(*pairs(arm, y, np.ones(50)))).reason is Reason.NO_VARIATION
    one = PairMoments.of([1.0], [1.0])
    assert refused(cuped(one, one)).more_needed == 1
    empty = JointMoments.of(np.empty((0, 3)))
    refused(linearised_with_covariate(empty))
