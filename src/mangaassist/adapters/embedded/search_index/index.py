"""The index that a server searches: always a whole generation, a new one within a second."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index.generation import EmptyGeneration, Generation
from mangaassist.adapters.embedded.search_index.layout import IndexLayout
from mangaassist.domain.retrieval import Chunk, Filter, Hit
from mangaassist.ports.clock import Clock

CHECK_INTERVAL_NS = 500_000_000
_OPEN_ATTEMPTS = 3
_Signature = tuple[int, int] | None


class EmbeddedSearchIndex:
    """Follows the pointer file; a generation that cannot be opened leaves the last good one serving.

    Safe to use from any thread. Calls that must agree with each other take one `pinned()` view.
    """

    def __init__(self, index_dir: Path, *, clock: Clock) -> None:
        self._layout = IndexLayout(index_dir)
        self._clock = clock
        self._generation: Generation | EmptyGeneration = EmptyGeneration()
        self._signature: _Signature = None
        self._next_check_ns = 0
        self._problem: str | None = None
        # invariant: at most one thread opens a generation; the others go on with the one they have
        self._lock = threading.Lock()

    @property
    def knowledge_version(self) -> str:
        """Content hash of what is served now; `empty` before the first build."""
        return self.pinned().knowledge_version

    @property
    def embedding_version(self) -> str | None:
        """The embedder of the served vectors; None while lexical only."""
        return self.pinned().embedding_version

    @property
    def generation_id(self) -> str:
        """The id of the served generation; empty before the first build."""
        return self.pinned().generation_id

    @property
    def size(self) -> int:
        """Number of chunks served now."""
        return self.pinned().size

    @property
    def problem(self) -> str | None:
        """Why the generation that the pointer names is not the one being served, if so."""
        return self._problem

    def pinned(self) -> Generation | EmptyGeneration:
        """Return the generation served now; looks for a new one at most every half second."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_check_ns:
            first = self._next_check_ns == 0
            if self._lock.acquire(blocking=first):
                try:
                    if now_ns >= self._next_check_ns:
                        self._follow_pointer()
                        self._next_check_ns = now_ns + CHECK_INTERVAL_NS
                finally:
                    self._lock.release()
        return self._generation

    def lexical(self, text: str, *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """BM25 over title and text."""
        return self.pinned().lexical(text, limit=limit, filters=filters)

    def dense(self, vector: NDArray[np.float32], *, limit: int, filters: Sequence[Filter] = ()) -> list[Hit]:
        """Cosine similarity."""
        return self.pinned().dense(vector, limit=limit, filters=filters)

    def get(self, chunk_ids: Iterable[str]) -> list[Chunk]:
        """Return chunks in the order of the ids; unknown ids are left out."""
        return self.pinned().get(chunk_ids)

    def _follow_pointer(self) -> None:
        signature = self._read_signature()
        if signature == self._signature:
            return
        for _ in range(_OPEN_ATTEMPTS):
            generation_id = self._layout.current()
            try:
                if generation_id is None:
                    self._generation = EmptyGeneration()
                else:
                    self._generation = Generation(self._layout.folder(generation_id))
            except (OSError, ValueError, KeyError) as error:
                # perhaps swept between the two reads; else it is broken and stays unserved
                self._problem = f"generation {generation_id!r} cannot be opened: {error}"
            else:
                self._problem = None
                break
        self._signature = signature

    def _read_signature(self) -> _Signature:
        try:
            status = self._layout.pointer.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino
