"""Fitting the ranker: it learns which leg to trust, and keeps what works when there is little to learn."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from mangaassist.control.training.ranking import (
    RankingExample,
    choose_ranker,
    cross_validate,
    fit_ranker,
    split_folds,
)
from mangaassist.serving.retrieval.evidence import Evidence
from mangaassist.serving.retrieval.ranker import LinearRanker, shipped_ranker
from mangaassist.stats.ranking_metrics import ndcg_at

SIZE = 12


def examples(
    count: int, *, dense_signal: float, lexical_signal: float, seed: int = 1
) -> list[RankingExample]:
    """Queries whose right answer stands out by so many standard deviations in each leg."""
    generator, made = np.random.default_rng(seed), []
    for _ in range(count):
        right = int(generator.integers(SIZE))
        boost = np.eye(SIZE)[right]
        found = Evidence(
            query="some words to look for",
            chunk_ids=tuple(f"{at:02d}" for at in range(SIZE)),
            titles=("",) * SIZE,
            dense=0.3 + 0.1 * (generator.normal(size=SIZE) + dense_signal * boost),
            lexical=np.maximum(0.0, 5 + generator.normal(size=SIZE) + lexical_signal * boost),
        )
        made.append(RankingExample(evidence=found, relevant={f"{right:02d}": 1.0}))
    return made


def quality(ranker: LinearRanker, held_out: list[RankingExample]) -> float:
    return float(np.mean([ndcg_at(10, ranker.ranking(one.evidence), one.relevant) for one in held_out]))


@pytest.mark.parametrize(("dense_signal", "lexical_signal"), [(3.0, 0.0), (0.0, 3.0), (2.0, 2.0)])
def test_the_chosen_ranker_is_at_least_as_good_as_the_better_leg_on_unseen_queries(
    dense_signal: float, lexical_signal: float
) -> None:
    training = examples(100, dense_signal=dense_signal, lexical_signal=lexical_signal)
    unseen = examples(300, dense_signal=dense_signal, lexical_signal=lexical_signal, seed=2)
    chosen = choose_ranker(training, folds=5, seed=1)
    better_leg = max(
        quality(LinearRanker(name=leg, weights={leg: 1.0}), unseen) for leg in ("dense", "lexical")
    )
    assert quality(chosen, unseen) >= better_leg - 0.005


def test_few_queries_keep_the_shipped_ranker() -> None:
    assert choose_ranker(examples(6, dense_signal=3, lexical_signal=0), folds=5, seed=1) == shipped_ranker()


def test_queries_that_teach_nothing_keep_the_prior() -> None:
    unanswered = [
        RankingExample(evidence=one.evidence, relevant={"elsewhere": 1.0})
        for one in examples(30, dense_signal=1, lexical_signal=1)
    ]
    assert fit_ranker([unanswered], prior=shipped_ranker()) == shipped_ranker()


def test_the_same_queries_give_the_same_version() -> None:
    training = examples(50, dense_signal=2, lexical_signal=1)
    first, again = (fit_ranker([training], prior=shipped_ranker()) for _ in range(2))
    assert first.version == again.version


def test_no_query_is_ranked_by_a_ranker_that_saw_it() -> None:
    count, folds = 31, 3
    split = split_folds(count, folds=folds, seed=Random(4).randrange(100))
    assert sorted(at for _, held_out in split for at in held_out) == list(range(count))
    assert all(set(training).isdisjoint(held_out) for training, held_out in split)
    folded = cross_validate(examples(count, dense_signal=2, lexical_signal=2), folds=folds, seed=1)
    assert len(folded.chosen) == folds
    assert all(len(ranking) == SIZE for ranking in folded.rankings)
