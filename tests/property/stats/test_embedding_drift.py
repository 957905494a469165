"""Drift of vectors: found where it is planted, not where it is not, whatever the coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression

from mangaassist.stats.embedding_drift import RIDGE_SHARE, classify_domains, fit_logistic, kernel_distance
from mangaassist.stats.outcome import CannotCompute
from tests.support.outcomes import computed


def draw(seed: int, count: int, dimensions: int = 16, *, shift: float = 0.0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions))
    rows[:, 0] += shift
    return rows


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_a_shift_is_found_by_both(seed: int) -> None:
    before, now = draw(seed, 600), draw(seed + 20_000, 600, shift=1.0)
    generator = np.random.default_rng(seed)
    found = computed(classify_domains(before, now, generator=generator))
    assert found.alarms()
    # two normal clouds one deviation apart: AUC = Phi(1 / sqrt 2)
    assert found.auc == pytest.approx(0.760, abs=0.06)
    assert computed(kernel_distance(before, now, generator=generator, permutations=199)).p_value < 0.01


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_the_same_source_raises_no_alarm(seed: int) -> None:
    before, now = draw(seed, 600), draw(seed + 20_000, 600)
    generator = np.random.default_rng(seed)
    assert not computed(classify_domains(before, now, generator=generator)).alarms()
    assert computed(kernel_distance(before, now, generator=generator, permutations=199)).p_value >= 0.005


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100.0))
def test_rotation_translation_and_scale_change_nothing(seed: int, scale: float) -> None:
    before, now = draw(seed, 150), draw(seed + 20_000, 150, shift=0.5)
    turn = ortho_group.rvs(16, random_state=seed)
    moved = [scale * (rows @ turn) + 3.0 * scale for rows in (before, now)]
    plain, turned = (
        computed(classify_domains(*pair, generator=np.random.default_rng(seed)))
        for pair in ((before, now), moved)
    )
    assert turned.auc == pytest.approx(plain.auc, abs=1e-6)
    plain_distance, turned_distance = (
        computed(kernel_distance(*pair, generator=np.random.default_rng(seed), permutations=50))
        for pair in ((before, now), moved)
    )
    assert turned_distance.squared == pytest.approx(plain_distance.squared, abs=1e-8)


def test_the_regression_is_that_of_scikit_learn() -> None:
    rows = np.vstack([draw(1, 300), draw(2, 300, shift=0.7)])
    rows -= rows.mean(axis=0)
    labels = np.repeat([0.0, 1.0], 300)
    penalty = RIDGE_SHARE * 0.25 * float((rows**2).sum()) / rows.shape[1]
    oracle = LogisticRegression(C=1.0 / penalty, fit_intercept=False, tol=1e-10, max_iter=1_000)
    assert fit_logistic(rows, labels) == pytest.approx(oracle.fit(rows, labels).coef_[0], abs=1e-6)


def test_the_share_of_what_is_new_is_estimated() -> None:
    before, now = draw(1, 2_000), draw(2, 2_000)
    now[:300, 0] += 8.0
    result = computed(classify_domains(before, now, generator=np.random.default_rng(1)))
    assert result.new_share == pytest.approx(0.15, abs=0.03)


def test_few_vectors_are_no_answer() -> None:
    generator = np.random.default_rng(1)
    for compare in (classify_domains, kernel_distance):
        refused = compare(draw(1, 40), draw(2, 500), generator=generator)
        assert isinstance(refused, CannotCompute)
        assert refused.more_needed == 60
