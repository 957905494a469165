"""Fusion: independent of the order of candidates, true to dominance, and to a single leg."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.retrieval.evidence import Evidence
from mangaassist.serving.retrieval.fusion import FEATURES, feature_matrix, standardised
from mangaassist.serving.retrieval.ranker import LinearRanker, shipped_ranker, single_leg

COSINES = st.floats(-1.0, 1.0, allow_nan=False, width=32)
BM25 = st.floats(0.0, 40.0, allow_nan=False, width=32)
TITLES = st.sampled_from(["", "Berserk", "Vinland Saga", "The One", "Blue Period"])
CANDIDATES = st.lists(st.tuples(COSINES, BM25, TITLES), min_size=1, max_size=12)
QUERIES = st.sampled_from(
    ["berserk", "is vinland saga finished", "the", "", "blue saga of one vinland period long"]
)
SHIPPED = shipped_ranker()


def evidence(query: str, rows: list[tuple[float, float, str]], ids: list[str] | None = None) -> Evidence:
    return Evidence(
        query=query,
        chunk_ids=tuple(ids or [f"{at:02d}" for at in range(len(rows))]),
        titles=tuple(title for _, _, title in rows),
        dense=np.array([dense for dense, _, _ in rows], dtype=np.float64),
        lexical=np.array([lexical for _, lexical, _ in rows], dtype=np.float64),
    )


@given(query=QUERIES, rows=CANDIDATES, data=st.data())
def test_the_ranking_does_not_depend_on_the_order_of_candidates(
    query: str, rows: list[tuple[float, float, str]], data: st.DataObject
) -> None:
    ids = [f"{at:02d}" for at in range(len(rows))]
    shuffled = data.draw(st.permutations(range(len(rows))))
    again = evidence(query, [rows[at] for at in shuffled], [ids[at] for at in shuffled])
    assert SHIPPED.ranking(again) == SHIPPED.ranking(evidence(query, rows, ids))


@given(query=QUERIES, rows=CANDIDATES)
def test_a_candidate_at_least_as_good_in_every_respect_never_ranks_below(
    query: str, rows: list[tuple[float, float, str]]
) -> None:
    found = evidence(query, rows)
    scores = SHIPPED.scores(found)
    title_match = feature_matrix(found)[:, FEATURES.index("title_match")]
    for one, (dense, lexical, _) in enumerate(rows):
        for other, (other_dense, other_lexical, _) in enumerate(rows):
            if dense >= other_dense and lexical >= other_lexical and title_match[one] >= title_match[other]:
                assert scores[one] >= scores[other] - 1e-9


@given(query=QUERIES, rows=CANDIDATES, leg=st.sampled_from(["dense", "lexical"]))
def test_a_single_leg_keeps_its_own_order(query: str, rows: list[tuple[float, float, str]], leg: str) -> None:
    both = evidence(query, rows)
    alone = Evidence(
        query=query,
        chunk_ids=both.chunk_ids,
        titles=both.titles,
        dense=both.dense if leg == "dense" else None,
        lexical=both.lexical if leg == "lexical" else None,
    )
    own = [row[0] if leg == "dense" else row[1] for row in rows]
    expected = sorted(range(len(rows)), key=lambda at: (-np.round(own[at], 9), both.chunk_ids[at]))
    assert SHIPPED.ranking(alone) == tuple(both.chunk_ids[at] for at in expected)


@given(rows=CANDIDATES)
def test_every_feature_is_finite(rows: list[tuple[float, float, str]]) -> None:
    features = feature_matrix(evidence("vinland saga", rows))
    assert features.shape == (len(rows), len(FEATURES))
    assert np.isfinite(features).all()


@given(scores=st.lists(BM25, min_size=2, max_size=20))
def test_standardised_scores_keep_their_order_and_have_mean_zero(scores: list[float]) -> None:
    standard = standardised(np.array(scores))
    assert abs(standard.mean()) < 1e-6
    assert all(
        standard[one] >= standard[other]
        for one in range(len(scores))
        for other in range(len(scores))
        if scores[one] >= scores[other]
    )


@given(weights=st.dictionaries(st.sampled_from(FEATURES), st.floats(-9, 9), max_size=5))
def test_an_artifact_reads_back_as_the_same_ranker(weights: dict[str, float]) -> None:
    ranker = LinearRanker(name="fitted", weights=weights)
    again = LinearRanker.from_json(ranker.to_json())
    assert again == ranker
    assert again.version == ranker.version


def test_different_weights_have_different_versions() -> None:
    assert single_leg("dense").version != single_leg("lexical").version
    assert (
        LinearRanker(name="a", weights={"dense": 1.0}).version
        != LinearRanker(name="a", weights={"dense": 2.0}).version
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"name": "x"}',
        b'{"name": "x", "weights": {"dense": "high"}}',
        b'{"name": "x", "weights": {"votes": 1}}',
    ],
)
def test_a_broken_artifact_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        LinearRanker.from_json(content)


def test_a_weight_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not finite"):
        LinearRanker(name="x", weights={"dense": math.nan})


def test_no_candidates_give_no_ranking() -> None:
    assert SHIPPED.ranking(evidence("berserk", [])) == ()
