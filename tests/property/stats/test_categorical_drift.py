"""Drift of a mix: the published case, scipy's figures, and no alarm without both chance and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mangaassist.stats.categorical_drift import (
    DriftThresholds,
    categorical_drift,
    drift_figures,
    js_divergence,
    stability_index,
)
from mangaassist.stats.outcome import CannotCompute, Reason
from tests.support.outcomes import computed

BASELINE = (1_750, 1_100, 900, 600, 400, 250)
CURRENT = (36, 20, 19, 11, 9, 5)
ANY_SIZE = DriftThresholds(min_count=1)
MIXES = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000)), min_size=2, max_size=8).filter(
    lambda pairs: (
        sum(a for a, _ in pairs) > 0 and sum(b for _, b in pairs) > 0 and sum(a + b > 0 for a, b in pairs) > 1
    )
)


def named(counts: tuple[int, ...]) -> dict[str, int]:
    return {f"category-{at}": count for at, count in enumerate(counts)}


def test_the_published_case() -> None:
    result = computed(categorical_drift(named(BASELINE), named(CURRENT), thresholds=ANY_SIZE))
    assert (
        result.statistic,
        result.p_value,
        result.psi,
        result.distance,
        result.psi_chance,
    ) == pytest.approx(
        (
            0.4650563626890388,
            0.99334697728141,
            0.004776528704916348,
            0.02934396875177191,
            0.15387997918776772,
        ),
        abs=1e-6,
    )
    assert result.distance**2 == pytest.approx(0.0008610685021049663, abs=1e-6)
    assert not result.alarm


@given(pairs=MIXES)
def test_the_figures_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    table = np.array([pair for pair in pairs if sum(pair) > 0], dtype=np.float64).T
    found = computed(
        categorical_drift(
            named(tuple(a for a, _ in pairs)), named(tuple(b for _, b in pairs)), thresholds=ANY_SIZE
        )
    )
    expected = stats.chi2_contingency(table, correction=False)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-7)
    assert found.distance == pytest.approx(float(jensenshannon(table[0], table[1], base=2)), abs=1e-7)


@given(pairs=MIXES, data=st.data())
def test_names_and_order_of_categories_do_not_matter(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(pairs))
    results = [
        computed(
            categorical_drift(
                named(tuple(a for a, _ in some)), named(tuple(b for _, b in some)), thresholds=ANY_SIZE
            )
        )
        for some in (pairs, shuffled)
    ]
    assert results[0].psi == pytest.approx(results[1].psi)
    assert results[0].category_p_value == pytest.approx(results[1].category_p_value)


@given(counts=st.lists(st.integers(1, 10_000), min_size=2, max_size=9))
def test_an_unchanged_mix_never_alarms(counts: list[int]) -> None:
    before = named(tuple(200 * count for count in counts))
    result = computed(categorical_drift(before, before))
    assert not result.alarm
    assert (result.psi, result.distance) == pytest.approx((0.0, 0.0), abs=1e-7)


@given(pairs=MIXES)
def test_distances_are_symmetric_and_within_their_range(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    divergence = float(js_divergence(one / one.sum(), other / other.sum()))
    assert 0.0 <= divergence <= 1.0
    assert float(js_divergence(other / other.sum(), one / one.sum())) == pytest.approx(divergence)
    assert float(stability_index(one, other)) >= 0.0
    assert float(stability_index(other, one)) == pytest.approx(float(stability_index(one, other)))


def test_a_change_too_small_to_matter_is_no_alarm_however_certain() -> None:
    result = computed(categorical_drift({"a": 500_000, "b": 500_000}, {"a": 5_050_000, "b": 4_950_000}))
    assert result.p_value < 1e-6
    assert not result.alarm


def test_a_category_never_seen_before_is_found() -> None:
    result = computed(categorical_drift({"a": 6_000, "b": 4_000}, {"a": 560, "b": 370, "new": 70}))
    assert result.alarm
    assert result.shares[0].category == "new"
    assert result.shares[0].baseline == 0.0


def test_few_observations_and_one_category_are_no_answer() -> None:
    few = categorical_drift({"a": 5_000, "b": 100}, {"a": 90, "b": 20})
    assert isinstance(few, CannotCompute)
    assert few.more_needed == 90
    single = categorical_drift({"a": 5_000}, {"a": 900})
    assert isinstance(single, CannotCompute)
    assert single.reason is Reason.NO_VARIATION


def test_each_row_is_compared_with_the_baseline_of_its_place() -> None:
    baseline = np.array([[500.0, 500.0], [900.0, 100.0]])
    current = np.array([[90.0, 10.0], [90.0, 10.0]])
    figures = drift_figures(baseline, current)
    assert figures.p_value[0] < 1e-6
    assert figures.p_value[1] == pytest.approx(1.0)
