"""Fits the ranker on judged queries: a listwise softmax, drawn towards the shipped weights.

The loss is ListNet's top-one cross entropy (Cao et al. 2007): for each query, the softmax over its candidates
should put its mass on the relevant ones. A small collection stays near the shipped ranker. Weights keep the
sign that their feature has by its meaning, so that a better candidate never ranks lower for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from mangaassist.serving.retrieval.evidence import Evidence
from mangaassist.serving.retrieval.fusion import FEATURES, feature_matrix
from mangaassist.serving.retrieval.ranker import LinearRanker, shipped_ranker, single_leg
from mangaassist.stats.ranking_metrics import ndcg_at

PRIOR_STRENGTH = 1e-3
MIN_QUERIES = 20
FREE_SIGN = frozenset({"lexical_length", "lexical_strength"})
NEGATIVE = frozenset({"lexical_closeness"})
FITTED_NAME = "fitted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingExample:
    """A query's candidates with the grades of those that answer it."""

    evidence: Evidence
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedRanking:
    """Rankings of every query by a ranker that was fitted without it."""

    rankings: tuple[tuple[str, ...], ...]
    chosen: tuple[str, ...]


def fit_ranker(
    groups: Sequence[Sequence[RankingExample]],
    *,
    prior: LinearRanker,
    features: Sequence[str] = FEATURES,
    name: str = FITTED_NAME,
) -> LinearRanker:
    """Return the ranker that fits the queries best; every group (a collection) weighs the same.

    `prior` is what the weights are drawn to, and what comes back when the queries teach nothing.
    """
    from scipy.optimize import minimize

    start = np.array([prior.weights.get(feature, 0.0) for feature in FEATURES])
    lists = _Lists.of(groups)
    if lists is None:
        return prior

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = lists.cross_entropy(weights)
        away = weights - start
        return value + PRIOR_STRENGTH * float(away @ away), gradient + 2 * PRIOR_STRENGTH * away

    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[_bounds(one) if one in features else (0.0, 0.0) for one in FEATURES],
    )
    # rounded, so that the version does not hang on the last bits of a solver
    weights = {feature: round(float(weight), 4) for feature, weight in zip(FEATURES, found.x, strict=True)}
    return LinearRanker(name=name, weights={feature: w for feature, w in weights.items() if w})


def choose_ranker(examples: Sequence[RankingExample], *, folds: int, seed: int) -> LinearRanker:
    """Return the ranker that ranks unseen queries best: fitted, shipped, or one leg alone.

    The fitted one is judged by cross-validation. Ties go to the simplest. With few queries the shipped one
    is kept: nothing could be told apart.
    """
    if len(examples) < max(MIN_QUERIES, folds):
        return shipped_ranker()
    fixed = [shipped_ranker(), single_leg("dense"), single_leg("lexical")]
    quality = [_mean_ndcg(examples, [ranker.ranking(one.evidence) for one in examples]) for ranker in fixed]
    fitted: list[tuple[str, ...]] = [()] * len(examples)
    for training, held_out in split_folds(len(examples), folds=folds, seed=seed):
        ranker = fit_ranker([[examples[at] for at in training]], prior=shipped_ranker())
        for at in held_out:
            fitted[at] = ranker.ranking(examples[at].evidence)
    if _mean_ndcg(examples, fitted) > max(quality):
        return fit_ranker([examples], prior=shipped_ranker())
    return fixed[int(np.argmax(quality))]


def cross_validate(examples: Sequence[RankingExample], *, folds: int, seed: int) -> FoldedRanking:
    """Rank every query by a ranker chosen on the other folds only."""
    rankings: list[tuple[str, ...]] = [()] * len(examples)
    chosen = []
    for training, held_out in split_folds(len(examples), folds=folds, seed=seed):
        ranker = choose_ranker([examples[at] for at in training], folds=folds, seed=seed + 1)
        chosen.append(ranker.version)
        for at in held_out:
            rankings[at] = ranker.ranking(examples[at].evidence)
    return FoldedRanking(rankings=tuple(rankings), chosen=tuple(chosen))


def split_folds(count: int, *, folds: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Return (training, held-out) positions of each fold; every position is held out once."""
    shuffled = list(range(count))
    Random(seed).shuffle(shuffled)
    held_out = [sorted(shuffled[fold::folds]) for fold in range(folds)]
    return [(sorted(set(range(count)) - set(part)), part) for part in held_out]


def _mean_ndcg(examples: Sequence[RankingExample], rankings: Sequence[Sequence[str]]) -> float:
    pairs = zip(examples, rankings, strict=True)
    return float(np.mean([ndcg_at(10, ranking, one.relevant) for one, ranking in pairs]))


def _bounds(feature: str) -> tuple[float | None, float | None]:
    if feature in FREE_SIGN:
        return None, None
    return (None, 0.0) if feature in NEGATIVE else (0.0, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    """All candidates of all queries, one below the other."""

    features: NDArray[np.float64]
    targets: NDArray[np.float64]  # the share of a query's mass that a candidate should get, times its weight
    starts: NDArray[np.intp]
    query_of: NDArray[np.intp]
    query_weights: NDArray[np.float64]

    @classmethod
    def of(cls, groups: Sequence[Sequence[RankingExample]]) -> _Lists | None:
        """Stack the queries that teach something: some candidates relevant, some not."""
        features, targets, query_weights = [], [], []
        for group in groups:
            labelled = [(one, _relevance(one)) for one in group]
            usable = [(one, grades) for one, grades in labelled if grades.any() and not grades.all()]
            for one, grades in usable:
                weight = 1.0 / len(usable) / len(groups)
                features.append(feature_matrix(one.evidence))
                targets.append(grades / grades.sum() * weight)
                query_weights.append(weight)
        if not features:
            return None
        lengths = [len(block) for block in features]
        return cls(
            features=np.concatenate(features),
            targets=np.concatenate(targets),
            starts=np.cumsum([0, *lengths[:-1]]),
            query_of=np.repeat(np.arange(len(lengths)), lengths),
            query_weights=np.array(query_weights),
        )

    def cross_entropy(self, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient."""
        scores = self.features @ weights
        highest = np.maximum.reduceat(scores, self.starts)
        masses = np.exp(scores - highest[self.query_of])
        totals = np.add.reduceat(masses, self.starts)
        value = float(self.query_weights @ (highest + np.log(totals)) - self.targets @ scores)
        shares = masses / totals[self.query_of] * self.query_weights[self.query_of]
        return value, self.features.T @ (shares - self.targets)


def _relevance(example: RankingExample) -> NDArray[np.float64]:
    return np.array([example.relevant.get(chunk_id, 0.0) for chunk_id in example.evidence.chunk_ids])
