"""What every search index promises, checked against the embedded one and a brute-force one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mangaassist.domain.retrieval import Chunk, Filter
from mangaassist.ports.search_index import SearchIndex
from tests.support.search import BruteForceIndex, Metadata, build, chunk, open_index, satisfies, unit_vectors

Make = Callable[[Sequence[Chunk], NDArray[np.float32] | None], SearchIndex]

TITLES = [
    chunk("a", "Berserk", "a lone swordsman hunts demons"),
    chunk("b", "Vinland Saga", "vikings and revenge"),
    chunk("c", "Vagabond", "a swordsman on the road"),
]


@pytest.fixture(params=["embedded", "brute force"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    def embedded(chunks: Sequence[Chunk], vectors: NDArray[np.float32] | None) -> SearchIndex:
        folder = tmp_path_factory.mktemp("index")
        build(folder, chunks, vectors)
        return open_index(folder)

    return embedded if request.param == "embedded" else BruteForceIndex


def test_lexical_hits_share_a_word_with_the_query_best_first(make: Make) -> None:
    hits = make(TITLES, None).lexical("swordsman demons", limit=5)
    assert [hit.chunk_id for hit in hits] == ["a", "c"]
    assert hits[0].score > hits[1].score


def test_equal_scores_are_ordered_by_chunk_id(make: Make) -> None:
    twins = [chunk(one, "Same", "same words") for one in ("q", "b", "z", "a")]
    vectors = np.repeat(unit_vectors(1), 4, axis=0)
    index = make(twins, vectors)
    assert [hit.chunk_id for hit in index.lexical("same", limit=3)] == ["a", "b", "q"]
    assert [hit.chunk_id for hit in index.dense(vectors[0], limit=3)] == ["a", "b", "q"]


def test_without_vectors_the_dense_leg_is_empty(make: Make) -> None:
    index = make(TITLES, None)
    assert index.dense(unit_vectors(1)[0], limit=5) == []
    assert index.embedding_version is None


def test_chunks_come_back_whole_and_in_the_order_asked(make: Make) -> None:
    stored = chunk(
        "x", "Title", "Text", genres=("drama", "music"), volumes=3, anime=True, price=4.5, status="finished"
    )
    index = make([*TITLES, stored], None)
    assert index.get(["x", "nowhere", "a"]) == [stored, TITLES[0]]
    assert index.size == 4


def test_nothing_is_found_for_a_query_without_words(make: Make) -> None:
    assert make(TITLES, None).lexical("  ?! ", limit=5) == []


VALUES = st.one_of(
    st.sampled_from(["a", "b", "c"]), st.integers(-2, 3), st.booleans(), st.sampled_from([0.5, 2.0])
)
FIELDS = st.sampled_from(["genre", "year", "flag"])
METADATA: st.SearchStrategy[Metadata] = st.dictionaries(
    FIELDS, st.one_of(VALUES, st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple)), max_size=3
)
FILTERS = st.lists(
    st.one_of(
        st.builds(
            Filter,
            field=st.one_of(FIELDS, st.just("unknown")),
            op=st.sampled_from(["in", "not_in"]),
            values=st.lists(VALUES, max_size=3).map(tuple),
        ),
        st.builds(
            Filter,
            field=FIELDS,
            op=st.sampled_from(["lte", "gte"]),
            values=st.integers(-2, 3).map(lambda bound: (bound,)),
        ),
        st.builds(
            Filter,
            field=st.just("chunk_id"),
            op=st.sampled_from(["in", "not_in"]),
            values=st.lists(st.sampled_from(["00", "01", "02", "99"]), max_size=3).map(tuple),
        ),
        st.builds(
            Filter, field=st.just("kind"), op=st.just("in"), values=st.sampled_from([("series",), ("faq",)])
        ),
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.lists(METADATA, min_size=1, max_size=12), filters=FILTERS, limit=st.integers(0, 13))
def test_filters_are_exact_on_both_legs(
    tmp_path_factory: pytest.TempPathFactory, fields: list[Metadata], filters: list[Filter], limit: int
) -> None:
    chunks = [chunk(f"{at:02d}", "word", "", **metadata) for at, metadata in enumerate(fields)]
    vectors = unit_vectors(len(chunks))
    folder: Path = tmp_path_factory.mktemp("index")
    build(folder, chunks, vectors)
    index, query = open_index(folder), unit_vectors(1, seed=2)[0]

    dense = index.dense(query, limit=limit, filters=filters)
    assert [hit.chunk_id for hit in dense] == [
        hit.chunk_id for hit in BruteForceIndex(chunks, vectors).dense(query, limit=limit, filters=filters)
    ]
    allowed = [one.chunk_id for one in chunks if all(satisfies(one, each) for each in filters)]
    assert [hit.chunk_id for hit in index.lexical("word", limit=limit, filters=filters)] == allowed[:limit]


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_dense_recall_is_complete_with_filters(make: Make, share: float) -> None:
    count = 400
    generator = np.random.default_rng(5)
    chosen = generator.random(count) < share
    chunks = [chunk(f"{at:03d}", chosen=bool(chosen[at])) for at in range(count)]
    vectors = unit_vectors(count, dimension=32)
    index = make(chunks, vectors)
    only = (Filter(field="chosen", op="in", values=(True,)),)
    for query in unit_vectors(20, dimension=32, seed=9):
        exact = vectors.astype(np.float64) @ query
        expected = sorted(np.flatnonzero(chosen), key=lambda row: -exact[row])[:10]
        found = index.dense(query, limit=10, filters=only)
        assert {hit.chunk_id for hit in found} == {f"{row:03d}" for row in expected}
