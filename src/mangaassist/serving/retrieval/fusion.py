"""Features of a candidate among its rivals: what the ranker weighs. Pure, and independent of their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.lexical import content_words, shortenings
from mangaassist.serving.retrieval.evidence import Evidence, Scores

FEATURES = (
    "dense",  # cosine, standardised over the candidates
    "lexical",  # BM25, standardised over the candidates
    "lexical_length",  # lexical x query length: words add up to evidence
    "lexical_closeness",  # lexical x best cosine: where the meaning is hit, shared words say less
    "lexical_strength",  # lexical x best BM25 per query word: rare words were hit
    "title_match",  # how whole the query names the title
    "dense_rank",  # reciprocal rank of the cosine
    "lexical_rank",  # reciprocal rank of the BM25 score
    "cosine",  # raw cosine
    "lexical_per_word",  # BM25 per query word
)
LONG_QUERY_WORDS = 12
MIN_SLIP_LETTERS = 5
_SPREAD = 3.0
_STRONG_WORD = 5.0


def feature_matrix(evidence: Evidence) -> NDArray[np.float64]:
    """Return one row a candidate and one column a feature; both legs must have taken part."""
    if evidence.dense is None or evidence.lexical is None:
        raise ValueError("features need the scores of both legs")
    query_words = set(content_words(evidence.query))
    word_count = max(len(query_words), 1)
    dense, lexical = standardised(evidence.dense), standardised(evidence.lexical)
    length = min(word_count, LONG_QUERY_WORDS) / 10
    closeness = float(evidence.dense.max(initial=0.0))
    strength = float(evidence.lexical.max(initial=0.0)) / word_count / _STRONG_WORD
    columns = [
        dense,
        lexical,
        lexical * length,
        lexical * closeness,
        lexical * strength,
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
    """Return the cubed share of each title's words that the query names, typing slips forgiven.

    Cubed, because half a title is little evidence: many titles share a word, few are named whole.
    """
    title_words = [set(content_words(title)) for title in titles]
    # a word that some title holds is spelt as it was meant
    slips = _Slips(query_words.difference(*title_words))
    shares = np.zeros(len(titles))
    for at, wanted in enumerate(title_words):
        if wanted:
            named = sum(1 for word in wanted if word in query_words or slips.reach(word))
            shares[at] = (named / len(wanted)) ** 3
    return shares


class _Slips:
    """Tells which words are a typing slip away from a word of the query."""

    def __init__(self, query_words: set[str]) -> None:
        long = [word for word in query_words if len(word) >= MIN_SLIP_LETTERS - 1]
        self._shortened = {shorter for word in long for shorter in shortenings(word)}
        # a slip moves the length by one at most and leaves the first or the last letter
        self._ends = {
            (len(word) + more, end, word[end]) for word in long for more in (-1, 0, 1) for end in (0, -1)
        }

    def reach(self, word: str) -> bool:
        """Whether some query word is one slip away from `word`."""
        length = len(word)
        if length < MIN_SLIP_LETTERS or (
            (length, 0, word[0]) not in self._ends and (length, -1, word[-1]) not in self._ends
        ):
            return False
        return not self._shortened.isdisjoint(shortenings(word))
