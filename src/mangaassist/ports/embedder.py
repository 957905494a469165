"""Dense text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


class TextEmbedder(Protocol):
    """Turns texts into unit-length vectors.

    Every implementation promises: deterministic for a given `version`; rows are float32, L2-normalised
    and in the order of the texts; an empty sequence gives a matrix of shape (0, dimension);
    thread-safe.
    """

    @property
    def version(self) -> str:
        """Name and content hash of the model, as pinned by a release bundle."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed now, on the calling thread: for batch work."""
        ...

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one text off the event loop, possibly batched with concurrent callers."""
        ...
