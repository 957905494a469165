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


class TextEncoder(TextEmbedder, Protocol):
    """An embedder that also hands out what its middle layers make of a text.

    A text's encoding is its vector, of `dimension` columns, followed by what the middle layers say: they
    still tell a question from a request where the last layer keeps only the topic.
    """

    @property
    def encoding_width(self) -> int:
        """Length of an encoding."""
        ...

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Return the texts' encodings, on the calling thread: for batch work."""
        ...

    async def encode_query(self, text: str) -> NDArray[np.float32]:
        """Encode one text off the event loop, possibly batched with concurrent callers."""
        ...
