"""Pareto sets: no member is beaten, every other one is, and noise is said to be noise."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.stats.pareto import Objective, pareto_front, pareto_set

COST, SPEED = Objective(name="cost"), Objective(name="p95", quantile=0.95)
QUALITY = Objective(name="quality", maximise=True, epsilon=0.01)
BOTH = (COST, QUALITY)
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Less cost, more quality."""
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(POINTS)
def test_the_front_is_exactly_what_no_point_beats(points: list[tuple[int, int]]) -> None:
    front = pareto_front(points, BOTH)
    assert any(front)
    for point, member in zip(points, front, strict=True):
        assert member == (not any(beats(other, point) for other in points))


@given(POINTS, st.randoms(use_true_random=False))
def test_neither_order_nor_units_of_measure_matter(points: list[tuple[int, int]], random: Random) -> None:
    order = list(range(len(points)))
    random.shuffle(order)
    front = pareto_front(points, BOTH)
    rescaled = [(math.exp(points[at][0]), 3.0 * points[at][1] - 7.0) for at in order]
    assert pareto_front(rescaled, BOTH) == tuple(front[at] for at in order)


@given(POINTS)
def test_a_second_copy_of_a_member_is_a_member(points: list[tuple[int, int]]) -> None:
    front = pareto_front(points, BOTH)
    copied = pareto_front([*points, points[front.index(True)]], BOTH)
    assert copied[-1]
    assert copied[:-1] == front


@given(POINTS)
def test_an_infinite_cost_is_beaten_unless_its_quality_is_unmatched(points: list[tuple[int, int]]) -> None:
    front = pareto_front([*points, (math.inf, 6)], BOTH)
    assert front[-1] == all(quality < 6 for _, quality in points)


def cases(seed: int, n: int = 400) -> np.ndarray:
    """Four points: cheap, dear and better, dear and no better (a copy but for cost), cheap and slow."""
    generator = np.random.default_rng(seed)
    hardness = generator.random((n, 1))
    quality = (hardness < np.array([0.70, 0.85, 0.85, 0.70])).astype(float)
    length = generator.lognormal(0, 0.5, (n, 1))
    return np.stack([length * [1, 3, 3.3, 1], length * [1, 1.5, 1.5, 2], quality], axis=2)


def test_membership_is_sure_for_clear_members_and_refused_to_dominated_ones() -> None:
    points = pareto_set(cases(1), (COST, SPEED, QUALITY), random=Random(2), resamples=400)
    assert [point.on_front for point in points] == [True, True, False, False]
    assert [point.front_probability for point in points] == [1.0, 1.0, 0.0, 0.0]
    assert points[2].dominated_by == (1,)
    assert 0 in points[3].dominated_by
    assert points[0].dominated_by == ()


def test_a_difference_within_the_noise_is_no_robust_domination() -> None:
    generator = np.random.default_rng(5)
    noisy = np.stack([np.ones((200, 2)), generator.random((200, 2))], axis=2)
    points = pareto_set(noisy, BOTH, random=Random(1), resamples=400)
    assert sorted(point.on_front for point in points) == [False, True]
    assert all(0.02 < point.front_probability < 0.98 for point in points)
    assert all(point.dominated_by == () for point in points)


def test_an_advantage_within_epsilon_does_not_save_a_worse_point() -> None:
    table = np.zeros((300, 2, 2))
    table[:, :, 0] = (1.0, 2.0)
    table[:, 0, 1] = 0.800
    table[:, 1, 1] = 0.805
    points = pareto_set(table, BOTH, random=Random(1), resamples=50)
    assert [point.on_front for point in points] == [True, True]
    assert points[1].dominated_by == (0,)


def test_estimates_are_means_and_quantiles_and_a_seed_repeats() -> None:
    table = cases(3)
    points = pareto_set(table, (COST, SPEED, QUALITY), random=Random(4), resamples=50)
    expected = (table[:, 0, 0].mean(), np.quantile(table[:, 0, 1], 0.95), table[:, 0, 2].mean())
    assert points[0].estimates == pytest.approx(expected)
    assert pareto_set(table, (COST, SPEED, QUALITY), random=Random(4), resamples=50) == points


def test_missing_measures_are_refused() -> None:
    with pytest.raises(ValueError, match="number for every objective"):
        pareto_front([(1.0, math.nan)], BOTH)
    with pytest.raises(ValueError, match="2 objectives"):
        pareto_front([(1.0,)], BOTH)
    with pytest.raises(ValueError, match="cases by point"):
        pareto_set(np.zeros((0, 2, 2)), BOTH, random=Random(1))
