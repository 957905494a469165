"""How retrieval is run: which legs, how many words. Part of a release bundle by its version."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalPolicy:
    """The retriever's configuration; equal policies have equal versions."""

    name: str = "hybrid"
    dense: bool = True
    max_query_chars: int = 2_000

    @property
    def version(self) -> str:
        """Name and content hash."""
        content = orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)
        return f"{self.name}-{hashlib.sha256(content).hexdigest()[:8]}"
