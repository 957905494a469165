"""Sample-ratio checks: scipy's chi-square for one look, an e-value by enumeration for any number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mangaassist.stats.outcome import CannotCompute
from mangaassist.stats.sample_ratio import ArmCounts, log_e_sample_ratio, sample_ratio_p
from tests.support.outcomes import computed

ARMS = st.lists(st.tuples(st.integers(0, 5_000), st.floats(0.05, 10.0)), min_size=2, max_size=5)


def arms(pairs: list[tuple[int, float]]) -> ArmCounts:
    return ArmCounts(counts=tuple(one for one, _ in pairs), weights=tuple(two for _, two in pairs))


def test_the_published_case() -> None:
    p_value = computed(sample_ratio_p(ArmCounts(counts=(9_480, 520), weights=(0.95, 0.05))))
    assert p_value == pytest.approx(0.3587953578869416, abs=1e-9)


@given(pairs=ARMS)
def test_one_look_is_the_chi_square_test(pairs: list[tuple[int, float]]) -> None:
    counts = np.array([count for count, _ in pairs], dtype=np.float64)
    result = sample_ratio_p(arms(pairs))
    if counts.sum() == 0:
        assert isinstance(result, CannotCompute)
        return
    weights = np.array([weight for _, weight in pairs])
    expected = stats.chisquare(counts, counts.sum() * weights / weights.sum()).pvalue
    assert result == pytest.approx(expected, abs=1e-9)


@given(total=st.integers(0, 40), weight=st.floats(0.05, 0.95))
def test_the_e_value_has_mean_one_when_the_weights_hold(total: int, weight: float) -> None:
    first = np.arange(total + 1)
    values = [
        math.exp(
            log_e_sample_ratio([ArmCounts(counts=(int(k), total - int(k)), weights=(weight, 1 - weight))])
        )
        for k in first
    ]
    assert float(np.array(values) @ stats.binom.pmf(first, total, weight)) == pytest.approx(1.0, abs=1e-9)


@given(pairs=ARMS, data=st.data())
def test_the_order_of_arms_and_the_unit_of_weights_do_not_matter(
    pairs: list[tuple[int, float]], data: st.DataObject
) -> None:
    shuffled = [(count, 7.0 * weight) for count, weight in data.draw(st.permutations(pairs))]
    assert log_e_sample_ratio([arms(shuffled)]) == pytest.approx(log_e_sample_ratio([arms(pairs)]), abs=1e-6)


def test_phases_multiply() -> None:
    one = ArmCounts(counts=(950, 60), weights=(0.95, 0.05))
    other = ArmCounts(counts=(700, 310), weights=(0.75, 0.25))
    both = log_e_sample_ratio([one, other])
    assert both == pytest.approx(log_e_sample_ratio([one]) + log_e_sample_ratio([other]))


def test_units_in_an_arm_without_weight_are_a_mismatch() -> None:
    strayed = ArmCounts(counts=(500, 500, 1), weights=(0.5, 0.5, 0.0))
    assert sample_ratio_p(strayed) == 0.0
    assert log_e_sample_ratio([strayed]) == math.inf
    empty = ArmCounts(counts=(500, 480, 0), weights=(0.5, 0.5, 0.0))
    assert computed(sample_ratio_p(empty)) == pytest.approx(stats.chisquare([500, 480]).pvalue)


@pytest.mark.parametrize(
    ("counts", "weights"),
    [((1, 2), (1.0,)), ((-1, 2), (0.5, 0.5)), ((1, 2), (1.0, 0.0)), ((1, 2), (-1.0, 2.0))],
)
def test_what_are_no_arms_is_refused(counts: tuple[int, ...], weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ArmCounts(counts=counts, weights=weights)
