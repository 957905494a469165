"""Evaluates hybrid retrieval on judged queries: the fused ranking beside each leg, with intervals.

The production code path runs: the same index, the same candidates, the same ranker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from mangaassist.control.evaluation.retrieval_data import JudgedQuery
from mangaassist.ports.search_index import SearchIndex
from mangaassist.serving.retrieval.evidence import Evidence, merge_legs
from mangaassist.serving.retrieval.ranker import LinearRanker
from mangaassist.stats.ranking_metrics import ndcg_at, recall_at, reciprocal_rank_at
from mangaassist.stats.resampling import Estimate, bootstrap_mean

CANDIDATES = 50
METRICS: dict[str, Callable[[Sequence[str], JudgedQuery], float]] = {
    "ndcg_at_10": lambda ranking, query: ndcg_at(10, ranking, query.relevant),
    "recall_at_3": lambda ranking, query: recall_at(3, ranking, query.relevant),
    "mrr_at_10": lambda ranking, query: reciprocal_rank_at(10, ranking, query.relevant),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedQuery:
    """A query after both legs and the ranker without labels have run; `legs` are the legs' own rankings."""

    query: JudgedQuery
    evidence: Evidence
    legs: dict[str, tuple[str, ...]]
    unlabelled: tuple[str, ...]
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemScores:
    """One system's metrics query by query, and their means with 95 % intervals."""

    per_query: dict[str, tuple[float, ...]]
    estimates: dict[str, Estimate]


def search_all(
    index: SearchIndex,
    queries: Sequence[JudgedQuery],
    embed: Callable[[str], NDArray[np.float32]] | None,
    *,
    ranker: LinearRanker,
    on_query: Callable[[], None] = lambda: None,
) -> list[SearchedQuery]:
    """Answer the queries one at a time, as a server does; without `embed` by the lexical leg only."""
    searched = []
    for query in queries:
        started = time.perf_counter()
        vector = None if embed is None else embed(query.text)
        lexical = index.lexical(query.text, limit=CANDIDATES)
        dense = None if vector is None else index.dense(vector, limit=CANDIDATES)
        evidence, _ = merge_legs(index, query.text, vector, lexical=lexical, dense=dense)
        unlabelled = ranker.ranking(evidence)
        elapsed_ms = (time.perf_counter() - started) * 1e3
        legs = {"lexical": tuple(hit.chunk_id for hit in lexical)}
        if dense is not None:
            legs["dense"] = tuple(hit.chunk_id for hit in dense)
        searched.append(
            SearchedQuery(
                query=query, evidence=evidence, legs=legs, unlabelled=unlabelled, latency_ms=elapsed_ms
            )
        )
        on_query()
    return searched


def score_rankings(
    searched: Sequence[SearchedQuery], rankings: Sequence[Sequence[str]], *, seed: int
) -> SystemScores:
    """Measure one system's rankings of all queries."""
    per_query = {
        name: tuple(metric(ranking, one.query) for one, ranking in zip(searched, rankings, strict=True))
        for name, metric in METRICS.items()
    }
    estimates = {name: bootstrap_mean(values, random=Random(seed)) for name, values in per_query.items()}
    return SystemScores(per_query=per_query, estimates=estimates)


def paired_difference(first: SystemScores, second: SystemScores, *, metric: str, seed: int) -> Estimate:
    """Return how much better the first system is, from the differences query by query."""
    pairs = zip(first.per_query[metric], second.per_query[metric], strict=True)
    return bootstrap_mean([one - other for one, other in pairs], random=Random(seed))
