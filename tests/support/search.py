"""Chunks, vectors and indexes for tests, and a brute-force index to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex, IndexBuilder
from mangaassist.domain.retrieval import Chunk, Filter, Hit
from mangaassist.ports.clock import Clock
from mangaassist.ports.search_index import SearchIndex
from tests.support.clock import FakeClock

Metadata = dict[str, str | int | float | bool | tuple[str, ...]]
EMBEDDING = "test-embedding-1"


def chunk(
    chunk_id: str, title: str = "", text: str = "", **metadata: str | int | float | bool | tuple[str, ...]
) -> Chunk:
    return Chunk(chunk_id=chunk_id, kind="series", ref=chunk_id, title=title, text=text, metadata=metadata)


def unit_vectors(count: int, *, dimension: int = 8, seed: int = 1) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def build(folder: Path, chunks: Iterable[Chunk], vectors: NDArray[np.float32] | None = None) -> str:
    builder = IndexBuilder(folder, embedding_version=None if vectors is None else EMBEDDING)
    for at, one in enumerate(chunks):
        builder.add(one, None if vectors is None else vectors[at])
    return builder.commit()


def open_index(folder: Path, clock: Clock | None = None) -> EmbeddedSearchIndex:
    return EmbeddedSearchIndex(folder, clock=clock or FakeClock())


class LetterEmbedder:
    """An embedder that counts letters; knows anagrams only."""

    def __init__(self, version: str = EMBEDDING) -> None:
        self.version = version
        self.dimension = 26

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = [[text.lower().count(letter) for letter in ascii_lowercase] for text in texts]
        rows = np.array(counts, dtype=np.float32).reshape(len(texts), self.dimension)
        lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-9))
        return np.asarray(rows / lengths, dtype=np.float32)

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector


class BruteForceIndex:
    """The plainest index there is: Python loops over chunks in memory. Lexical: shared words, counted."""

    def __init__(self, chunks: Sequence[Chunk], vectors: NDArray[np.float32] | None = None) -> None:
        self._rows = sorted(range(len(chunks)), key=lambda at: chunks[at].chunk_id)
        self._chunks, self._vectors = chunks, vectors
        self.knowledge_version = "brute-force"
        self.embedding_version = None if vectors is None else EMBEDDING
        self.size = len(chunks)

    def pinned(self) -> SearchIndex:
        return self

    def lexical(self, text: str, *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        wanted = set(text.lower().split())
        counted = {
            row: len(wanted & set(f"{self._chunks[row].title} {self._chunks[row].text}".lower().split()))
            for row in self._rows
        }
        return self._best({row: float(count) for row, count in counted.items() if count}, limit, filters)

    def dense(self, vector: NDArray[np.float32], *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        if self._vectors is None:
            return []
        vectors = self._vectors
        return self._best({row: float(np.dot(vectors[row], vector)) for row in self._rows}, limit, filters)

    def get(self, chunk_ids: Iterable[str]) -> list[Chunk]:
        by_id = {one.chunk_id: one for one in self._chunks}
        return [by_id[one] for one in chunk_ids if one in by_id]

    def _best(self, scores: dict[int, float], limit: int, filters: Sequence[Filter]) -> list[Hit]:
        rows = [row for row in scores if all(satisfies(self._chunks[row], one) for one in filters)]
        rows.sort(key=lambda row: (-scores[row], self._chunks[row].chunk_id))
        return [Hit(chunk_id=self._chunks[row].chunk_id, score=scores[row]) for row in rows[:limit]]


def satisfies(one: Chunk, condition: Filter) -> bool:
    """The port's words on filters, as plainly as possible."""
    fields: dict[str, object] = {"kind": one.kind, "chunk_id": one.chunk_id, **one.metadata}
    value = fields.get(condition.field)
    if condition.op in ("in", "not_in"):
        held = () if value is None else value if isinstance(value, tuple) else (value,)
        return any(single in condition.values for single in held) == (condition.op == "in")
    if not isinstance(value, (int, float)):
        return False
    bound = condition.values[0]
    assert isinstance(bound, (int, float))
    return value <= bound if condition.op == "lte" else value >= bound
