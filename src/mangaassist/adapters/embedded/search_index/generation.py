"""One immutable generation, opened for reading; implements the search index port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index.chunk_file import ChunkFile
from mangaassist.adapters.embedded.search_index.metadata import Mask, MetadataColumns
from mangaassist.adapters.embedded.search_index.postings import Postings
from mangaassist.adapters.embedded.search_index.top_rows import top_rows
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.retrieval import Chunk, Filter, Hit

FORMAT = 1
MANIFEST = "manifest.json"
VECTORS = "vectors.npy"
EMPTY_KNOWLEDGE = "empty"
_SPARSE_SHARE = 3


class Generation:
    """Searches one generation; nothing in it ever changes, so it is safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise ValueError(f"generation {folder.name} has format {manifest['format']!r}, expected {FORMAT}")
        self.generation_id = folder.name
        self.folder = folder
        self._knowledge_version: str = manifest["knowledge_version"]
        self._embedding_version: str | None = manifest["embedding_version"]
        self._chunks = ChunkFile(folder)
        self._metadata = MetadataColumns(folder, count=len(self._chunks))
        self._postings = Postings(folder, count=len(self._chunks))
        self._vectors: NDArray[np.float32] | None = (
            np.asarray(np.load(folder / VECTORS, mmap_mode="r"))
            if self._embedding_version is not None
            else None
        )

    @property
    def knowledge_version(self) -> str:
        """Content hash of the chunks."""
        return self._knowledge_version

    @property
    def embedding_version(self) -> str | None:
        """The embedder of the vectors; None when there are none."""
        return self._embedding_version

    @property
    def size(self) -> int:
        """Number of chunks."""
        return len(self._chunks)

    def pinned(self) -> Generation:
        """Return itself: it cannot change."""
        return self

    def chunks(self) -> Iterator[Chunk]:
        """Yield every chunk by ascending id."""
        return iter(self._chunks)

    def lexical(self, text: str, *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """BM25 over title and text; chunks that share no word with the query are no hits."""
        scores = self._postings.scores(text)
        matching = scores > 0
        if filters:
            matching &= self._mask(filters)
        return self._hits(scores, np.flatnonzero(matching), limit)

    def dense(self, vector: NDArray[np.float32], *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """Cosine similarity with every chunk that the filters leave."""
        if self._vectors is None:
            return []
        if vector.shape != (self._vectors.shape[1],):
            raise InvalidRequestError(
                f"the query vector has shape {vector.shape!r}, expected ({self._vectors.shape[1]},)"
            )
        query = np.ascontiguousarray(vector, dtype=np.float32)
        if not filters:
            scores = _dot(self._vectors, query)
            best = top_rows(scores, limit)
            return [Hit(chunk_id=self._chunks.ids[row], score=float(scores[row])) for row in best]
        rows = np.flatnonzero(self._mask(filters))
        if len(rows) * _SPARSE_SHARE < len(self._chunks):
            scores = np.zeros(len(self._chunks), dtype=np.float32)
            scores[rows] = _dot(self._vectors[rows], query)
        else:
            scores = _dot(self._vectors, query)
        return self._hits(scores, rows, limit)

    def get(self, chunk_ids: Iterable[str]) -> list[Chunk]:
        """Return chunks in the order of the ids; unknown ids are left out."""
        rows = (self._chunks.row_of(chunk_id) for chunk_id in chunk_ids)
        return [self._chunks.chunk(row) for row in rows if row is not None]

    def _hits(self, scores: NDArray[np.float32], rows: NDArray[np.intp], limit: int) -> list[Hit]:
        best = rows[top_rows(scores[rows], limit)]
        return [Hit(chunk_id=self._chunks.ids[row], score=float(scores[row])) for row in best]

    def _mask(self, filters: Sequence[Filter]) -> Mask:
        by_id = [one for one in filters if one.field == "chunk_id"]
        matching = self._metadata.mask([one for one in filters if one.field != "chunk_id"])
        for one in by_id:
            if one.op not in ("in", "not_in"):
                raise InvalidRequestError(f"filter {one.op!r} cannot be applied to 'chunk_id'")
            named = np.zeros(len(self._chunks), dtype=np.bool_)
            rows = [row for value in one.values if (row := self._chunks.row_of(str(value))) is not None]
            named[rows] = True
            matching &= named if one.op == "in" else ~named
        return matching


def _dot(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row's dot product, the same bits wherever the row lies.

    Not `@`: the BLAS splits so large a product over all cores and spins there; measured on 19,057 rows it
    took twice the CPU, and on a busy machine several times the wall time.
    """
    scores: NDArray[np.float32] = np.einsum("ij,j->i", vectors, query)
    return scores


class EmptyGeneration:
    """What is served before anything was built: no chunks."""

    knowledge_version = EMPTY_KNOWLEDGE
    embedding_version = None
    size = 0
    generation_id = ""

    def pinned(self) -> EmptyGeneration:
        """Return itself."""
        return self

    def lexical(self, text: str, *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """Find nothing."""
        return []

    def dense(self, vector: NDArray[np.float32], *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """Find nothing."""
        return []

    def get(self, chunk_ids: Iterable[str]) -> list[Chunk]:
        """Know no chunk."""
        return []
