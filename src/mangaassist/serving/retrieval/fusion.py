"""Features of a candidate among its rivals: what the ranker weighs. Pure, and independent of their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.lexical import content_words
from mangaassist.serving.retrieval.evidence import Evidence, Scores

FEATURES = (
    "dense",  # cosine, standardised over the candidates
    "lexical",  # BM25, standardised over the candidates
    "lexical_length",  # lexical x query length: words add up to evidence
    "lexical_closeness",  # lexical x best cosine: where the meaning is hit, shared words say less
    "title_match",  # share of the title's words that the query names
    "dense_rank",  # reciprocal rank of the cosine
    "lexical_rank",  # reciprocal rank of the BM25 score
    "cosine",  # raw cosine
    "lexical_per_word",  # BM25 per query word
)
LONG_QUERY_WORDS = 12
_SPREAD = 3.0


def feature_matrix(evidence: Evidence) -> NDArray[np.float64]:
    """Return one row a candidate and one column a feature; both legs must have taken part."""
    if evidence.dense is None or evidence.lexical is None:
        raise ValueError("features need the scores of both legs")
    query_words = set(content_words(evidence.query))
    word_count = max(len(query_words), 1)
    dense, lexical = standardised(evidence.dense), standardised(evidence.lexical)
    length = min(word_count, LONG_QUERY_WORDS) / 10
    closeness = float(evidence.dense.max(initial=0.0))
    columns = [
        dense,
        lexical,
        lexical * length,
        lexical * closeness,
        title_matches(query_words, evidence.titles),
        reciprocal_ranks(evidence.dense),
        reciprocal_ranks(evidence.lexical),
        evidence.dense,
        evidence.lexical / word_count,
    ]
    return np.stack(columns, axis=1)


def standardised(scores: Scores) -> Scores:
    """Return the scores with mean 0 and spread 1/3; all zero when they do not differ."""
    if not len(scores):
        return scores
    spread = scores.std()
    # a spread of rounding size is no difference
    if spread <= 1e-9 * max(1.0, float(np.abs(scores).max())):
        return np.zeros_like(scores)
    standard: Scores = (scores - scores.mean()) / (spread * _SPREAD)
    return standard


def reciprocal_ranks(scores: Scores) -> Scores:
    """Return 1 for the best, 1/2 for the second and so on; equal scores share the better rank."""
    better: Scores = np.searchsorted(np.sort(-scores), -scores, side="left").astype(np.float64)
    return 1.0 / (1.0 + better)


def title_matches(query_words: set[str], titles: tuple[str, ...]) -> Scores:
    """Return the share of each title's content words that the query names."""
    shares = np.zeros(len(titles))
    for at, title in enumerate(titles):
        named = set(content_words(title))
        if named:
            shares[at] = len(named & query_words) / len(named)
    return shares
