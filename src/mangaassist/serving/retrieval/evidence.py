"""What is known of a query's candidates before they are ranked: every leg's score of every candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.retrieval import Chunk, Filter, Hit
from mangaassist.ports.search_index import SearchIndex

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Candidates in ascending order of id; `dense` or `lexical` is None when that leg did not take part."""

    query: str
    chunk_ids: tuple[str, ...]
    titles: tuple[str, ...]
    dense: Scores | None
    lexical: Scores | None


def merge_legs(
    index: SearchIndex,
    text: str,
    vector: NDArray[np.float32] | None,
    *,
    lexical: Sequence[Hit] | None,
    dense: Sequence[Hit] | None,
) -> tuple[Evidence, list[Chunk]]:
    """Unite the legs' hits, and ask each leg for its score of what only the other one found.

    A candidate that the lexical leg cannot score shares no word with the query: its score is 0.
    """
    wanted = sorted({hit.chunk_id for leg in (lexical, dense) if leg is not None for hit in leg})
    chunks = sorted(index.get(wanted), key=lambda chunk: chunk.chunk_id)
    ids = tuple(chunk.chunk_id for chunk in chunks)
    lexical_scores = dense_scores = None
    if lexical is not None:
        known = {hit.chunk_id: hit.score for hit in lexical}
        rest = _only(ids, known)
        found = index.lexical(text, limit=len(rest[0].values), filters=rest) if rest else []
        known.update((hit.chunk_id, hit.score) for hit in found)
        lexical_scores = np.array([known.get(one, 0.0) for one in ids], dtype=np.float64)
    if dense is not None and vector is not None:
        known = {hit.chunk_id: hit.score for hit in dense}
        rest = _only(ids, known)
        found = index.dense(vector, limit=len(rest[0].values), filters=rest) if rest else []
        known.update((hit.chunk_id, hit.score) for hit in found)
        dense_scores = np.array([known.get(one, -1.0) for one in ids], dtype=np.float64)
    titles = tuple(chunk.title for chunk in chunks)
    evidence = Evidence(query=text, chunk_ids=ids, titles=titles, dense=dense_scores, lexical=lexical_scores)
    return evidence, chunks


def _only(ids: Sequence[str], known: dict[str, float]) -> tuple[Filter, ...]:
    """Return the filter for the candidates not yet scored; empty when there are none."""
    missing = tuple(one for one in ids if one not in known)
    return (Filter(field="chunk_id", op="in", values=missing),) if missing else ()
