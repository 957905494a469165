"""The hybrid search index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.retrieval import Chunk, Filter, Hit


class SearchIndex(Protocol):
    """Lexical and dense search over one alias that points at one immutable generation.

    Every implementation promises: filters are exact (every hit satisfies them and no satisfying
    chunk is missed because of them); the dense leg is exact up to 200,000 chunks; readers see whole
    generations only; legs return hits best first, ties by chunk id. Beside its metadata every chunk can be
    filtered by `kind` and, with `in` and `not_in`, by `chunk_id`.
    """

    @property
    def knowledge_version(self) -> str:
        """Identity (content hash) of the generation that is being served."""
        ...

    @property
    def embedding_version(self) -> str | None:
        """The embedder whose vectors the generation holds; None while it is lexical only."""
        ...

    @property
    def size(self) -> int:
        """Number of chunks."""
        ...

    def pinned(self) -> SearchIndex:
        """Return a view that stays on the generation served now: for calls that must agree."""
        ...

    def lexical(self, text: str, *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """BM25 over title and text; blocking."""
        ...

    def dense(self, vector: NDArray[np.float32], *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """Cosine similarity; empty while the generation has no vectors; blocking."""
        ...

    def get(self, chunk_ids: Iterable[str]) -> list[Chunk]:
        """Return chunks in the order of the ids; unknown ids are left out."""
        ...
