"""The answer cache of one process: a matrix of question vectors per scope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.questions import normalised_question
from mangaassist.ports.answer_cache import CachedAnswer, CacheScope
from mangaassist.ports.clock import Clock

_FIRST_ROWS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A stored answer; `dimension` is the length of its vector, None without one."""

    question: str
    payload: bytes
    expires_ns: int
    dimension: int | None


class _Vectors:
    """Unit vectors of one length; the filled rows come first, without gaps."""

    __slots__ = ("_matrix", "_rows", "keys")

    def __init__(self, dimension: int) -> None:
        self._matrix = np.zeros((_FIRST_ROWS, dimension), dtype=np.float32)
        self._rows: dict[str, int] = {}
        self.keys: list[str] = []

    def add(self, key: str, vector: NDArray[np.float32]) -> None:
        """Store the vector of a new key."""
        row = len(self.keys)
        if row == len(self._matrix):
            self._matrix = np.vstack([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[row] = vector
        self._rows[key] = row
        self.keys.append(key)

    def remove(self, key: str) -> None:
        """Drop a key; the last row takes its place."""
        row, last = self._rows.pop(key), self.keys.pop()
        if last != key:
            self._matrix[row] = self._matrix[len(self.keys)]
            self._rows[last] = row
            self.keys[row] = last

    def similarities(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine similarity of every key, in their order."""
        return self._matrix[: len(self.keys)] @ vector


@dataclass(slots=True)
class _Scope:
    """The entries of one scope by normalised question; an embedder of another dimension may follow."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    vectors: dict[int, _Vectors] = field(default_factory=dict)


class InProcessAnswerCache:
    """An `AnswerCache` in memory, at most `max_entries` over all scopes."""

    def __init__(self, *, clock: Clock, max_entries: int = 2048) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._scopes: dict[CacheScope, _Scope] = {}
        self._by_age: dict[tuple[CacheScope, str], None] = {}  # oldest first

    async def find(
        self, scope: CacheScope, question: str, vector: NDArray[np.float32] | None, *, min_similarity: float
    ) -> CachedAnswer | None:
        """Return the nearest stored answer, exact text match first; None is a miss."""
        stored = self._scopes.get(scope)
        if stored is None:
            return None
        now_ns = self._clock.monotonic_ns()
        key = normalised_question(question)
        entry = stored.entries.get(key)
        if entry is not None:
            if now_ns < entry.expires_ns:
                return CachedAnswer(question=entry.question, payload=entry.payload)
            self._remove(scope, key)
        return self._nearest(scope, _unit(vector), min_similarity=min_similarity, now_ns=now_ns)

    async def put(
        self,
        scope: CacheScope,
        question: str,
        vector: NDArray[np.float32] | None,
        payload: bytes,
        *,
        ttl_s: float,
    ) -> None:
        """Store an answer; the same question again replaces it."""
        key = normalised_question(question)
        self._remove(scope, key)
        while len(self._by_age) >= self._max_entries:
            self._remove(*next(iter(self._by_age)))
        stored = self._scopes.setdefault(scope, _Scope())
        unit = _unit(vector)
        if unit is not None:
            stored.vectors.setdefault(len(unit), _Vectors(len(unit))).add(key, unit)
        stored.entries[key] = _Entry(
            question=question,
            payload=payload,
            expires_ns=self._clock.monotonic_ns() + int(ttl_s * 1e9),
            dimension=None if unit is None else len(unit),
        )
        self._by_age[scope, key] = None

    async def clear(self) -> None:
        """Forget everything."""
        self._scopes.clear()
        self._by_age.clear()

    def _nearest(
        self, scope: CacheScope, unit: NDArray[np.float32] | None, *, min_similarity: float, now_ns: int
    ) -> CachedAnswer | None:
        """Return the best live entry; expired ones that are nearer are dropped on the way."""
        stored = self._scopes.get(scope)
        vectors = None if stored is None or unit is None else stored.vectors.get(len(unit))
        if stored is None or unit is None or vectors is None:
            return None
        keys = tuple(vectors.keys)
        similarities = vectors.similarities(unit)
        while keys:
            row = int(similarities.argmax())
            similarity = float(similarities[row])
            if similarity < min_similarity:
                break
            entry = stored.entries[keys[row]]
            if now_ns < entry.expires_ns:
                return CachedAnswer(question=entry.question, payload=entry.payload, similarity=similarity)
            self._remove(scope, keys[row])
            similarities[row] = -np.inf
        return None

    def _remove(self, scope: CacheScope, key: str) -> None:
        """Drop an entry if it is there, and its scope with the last one."""
        stored = self._scopes.get(scope)
        entry = None if stored is None else stored.entries.pop(key, None)
        if stored is None or entry is None:
            return
        del self._by_age[scope, key]
        if entry.dimension is not None:
            stored.vectors[entry.dimension].remove(key)
        if not stored.entries:
            del self._scopes[scope]


def _unit(vector: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Return the vector at length one; None when it has no direction."""
    if vector is None:
        return None
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if np.isfinite(length) and length > 0 else None
