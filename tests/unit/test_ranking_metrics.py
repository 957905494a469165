"""Ranking metrics against values worked out by hand."""

from __future__ import annotations

from math import log2
from random import Random

import pytest

from mangaassist.stats.ranking_metrics import ndcg_at, recall_at, reciprocal_rank_at
from mangaassist.stats.resampling import bootstrap_mean


def test_ndcg_of_a_hand_computed_ranking() -> None:
    # gains 3, 0, 2 at ranks 1, 2, 3; ideal order 3, 2, 1
    relevant = {"a": 3.0, "b": 2.0, "c": 1.0}
    gain = 3 / log2(2) + 2 / log2(4)
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert ndcg_at(3, ["a", "x", "b", "c"], relevant) == pytest.approx(gain / ideal)


def test_ndcg_is_one_for_the_ideal_and_zero_for_nothing_found() -> None:
    assert ndcg_at(10, ["a", "b"], {"a": 1.0, "b": 1.0}) == 1.0
    assert ndcg_at(10, ["x"], {"a": 1.0}) == 0.0


def test_recall_counts_relevant_documents_above_the_cut() -> None:
    assert recall_at(3, ["a", "x", "y", "b"], {"a": 1.0, "b": 1.0}) == 0.5


@pytest.mark.parametrize(
    ("ranking", "expected"), [(["a"], 1.0), (["x", "a"], 0.5), (["x", "y", "z", "a"], 0.0)]
)
def test_reciprocal_rank_is_that_of_the_first_relevant_above_the_cut(
    ranking: list[str], expected: float
) -> None:
    assert reciprocal_rank_at(3, ranking, {"a": 1.0}) == expected


def test_the_bootstrap_interval_is_near_the_normal_one() -> None:
    # the mean of 400 fair coins: 0.5 with standard error 0.025, so 95 % within 0.049
    estimate = bootstrap_mean([0.0, 1.0] * 200, random=Random(1))
    assert estimate.mean == 0.5
    assert estimate.low == pytest.approx(0.451, abs=0.008)
    assert estimate.high == pytest.approx(0.549, abs=0.008)


def test_equal_seeds_give_equal_intervals() -> None:
    values = [Random(2).random() for _ in range(50)]
    assert bootstrap_mean(values, random=Random(3)) == bootstrap_mean(values, random=Random(3))


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean([], random=Random(1))
