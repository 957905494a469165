"""The semantic cache of impersonal answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheScope:
    """Answers are shared only inside one scope; a new bundle or knowledge version is a new scope."""

    release_bundle: str
    knowledge_version: str
    locale: str
    intent: str
    page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """A stored answer; `payload` is the JSON of text, products, sources and prompt version."""

    question: str
    payload: bytes
    similarity: float = 1.0


class AnswerCache(Protocol):
    """Finds the answer to a question that means the same.

    Every implementation promises: `find` returns only answers of the same scope whose question has at
    least the asked cosine similarity, best first; entries expire after `ttl_s`; size is bounded,
    oldest evicted; a failing backend is a miss, never an error.
    """

    async def find(
        self, scope: CacheScope, question: str, vector: NDArray[np.float32] | None, *, min_similarity: float
    ) -> CachedAnswer | None:
        """Return the nearest stored answer, exact text match first; None is a miss."""
        ...

    async def put(
        self,
        scope: CacheScope,
        question: str,
        vector: NDArray[np.float32] | None,
        payload: bytes,
        *,
        ttl_s: float,
    ) -> None:
        """Store an answer."""
        ...

    async def clear(self) -> None:
        """Forget everything (promotion, knowledge refresh)."""
        ...
