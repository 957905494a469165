"""Vectors that the served generation already holds, so that a rebuild embeds only what is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index.generation import VECTORS, Generation
from mangaassist.adapters.embedded.search_index.layout import IndexLayout
from mangaassist.domain.retrieval import Chunk


def known_vectors(
    index_dir: Path, *, embedding_version: str, text_of: Callable[[Chunk], str]
) -> Mapping[str, NDArray[np.float32]]:
    """Return the served vectors by the text they stand for; empty when another embedder made them.

    A vector depends on nothing but embedder and text, so it may be used again as it is.
    """
    layout = IndexLayout(index_dir)
    served = layout.current()
    if served is None:
        return {}
    try:
        generation = Generation(layout.folder(served))
        if generation.embedding_version != embedding_version:
            return {}
        vectors = np.load(generation.folder / VECTORS, mmap_mode="r")
    except (OSError, ValueError, KeyError):
        return {}  # swept meanwhile, or not readable: then everything is embedded
    return {text_of(chunk): vectors[row] for row, chunk in enumerate(generation.chunks())}
