"""Metrics of one ranking against graded judgements, as trec_eval and BEIR compute them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def ndcg_at(depth: int, ranking: Sequence[str], relevant: Mapping[str, float]) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), linear gain, log2 discount."""
    gain = sum(
        relevant.get(doc_id, 0.0) / math.log2(rank + 1)
        for rank, doc_id in enumerate(ranking[:depth], start=1)
    )
    ideal = sum(
        grade / math.log2(rank + 1)
        for rank, grade in enumerate(sorted(relevant.values(), reverse=True)[:depth], start=1)
    )
    return gain / ideal


def recall_at(depth: int, ranking: Sequence[str], relevant: Mapping[str, float]) -> float:
    """Share of the relevant documents that are among the first `depth`."""
    return sum(1 for doc_id in ranking[:depth] if doc_id in relevant) / len(relevant)


def reciprocal_rank_at(depth: int, ranking: Sequence[str], relevant: Mapping[str, float]) -> float:
    """One over the rank of the first relevant document; 0 when none is among the first `depth`."""
    for rank, doc_id in enumerate(ranking[:depth], start=1):
        if doc_id in relevant:
            return 1.0 / rank
    return 0.0
