"""One index generation built from chunks: embedded in bulk, added, published by a single commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.serving.retrieval.chunking import embedding_text

EMBEDDED_AT_ONCE = 1_024

Vector = NDArray[np.float32]


class GenerationWriter(Protocol):
    """A generation being written; nothing of it is seen before `commit` returns.

    `attach` adds a file that is published with the generation.
    """

    def add(self, chunk: Chunk, vector: Vector | None = None) -> None:
        """Add one chunk, with its vector where the generation is dense."""
        ...

    def attach(self, name: str, content: bytes) -> None:
        """Add a file to the generation."""
        ...

    def commit(self) -> str:
        """Publish, and return the identity of the generation."""
        ...

    def abort(self) -> None:
        """Leave everything as it was."""
        ...


def build_generation(
    writer: GenerationWriter,
    chunks: Sequence[Chunk],
    *,
    embedder: TextEmbedder | None,
    attachments: Mapping[str, bytes],
    known_vectors: Mapping[str, Vector] = MappingProxyType({}),
    on_chunks: Callable[[int], None] = lambda count: None,
) -> str:
    """Write `chunks` and `attachments` and publish them; on any failure nothing is published.

    `known_vectors` are vectors of the same embedder by text; only other texts are embedded.
    """
    try:
        for start in range(0, len(chunks), EMBEDDED_AT_ONCE):
            batch = chunks[start : start + EMBEDDED_AT_ONCE]
            vectors = None if embedder is None else _vectors(batch, embedder, known_vectors)
            for position, chunk in enumerate(batch):
                writer.add(chunk, None if vectors is None else vectors[position])
            on_chunks(len(batch))
        for name, content in attachments.items():
            writer.attach(name, content)
        return writer.commit()
    except BaseException:
        writer.abort()
        raise


def _vectors(
    chunks: Sequence[Chunk], embedder: TextEmbedder, known: Mapping[str, Vector]
) -> Sequence[Vector]:
    texts = [embedding_text(chunk) for chunk in chunks]
    new = [text for text in dict.fromkeys(texts) if text not in known]
    fresh = dict(zip(new, embedder.embed(new), strict=True))
    return [known[text] if text in known else fresh[text] for text in texts]
