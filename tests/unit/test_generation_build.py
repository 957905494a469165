"""Building a generation embeds what is new, once, and publishes all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mangaassist.adapters.embedded.known_vectors import known_vectors
from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex, IndexBuilder
from mangaassist.control.knowledge.generation_build import build_generation
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.embedder import Matrix
from mangaassist.serving.retrieval.chunking import embedding_text
from tests.support.clock import FakeClock


class CountingEmbedder:
    """Unit vectors drawn from the letters of a text; remembers what it was given."""

    version = "letters-1"
    dimension = 4

    def __init__(self, *, fails: bool = False) -> None:
        self.embedded: list[str] = []
        self._fails = fails

    def embed(self, texts: Sequence[str]) -> Matrix:
        if self._fails:
            raise DependencyUnavailableError("no encoder")
        self.embedded.extend(texts)
        rows = np.array(
            [[len(text), text.count("a"), text.count("e"), 1] for text in texts], dtype=np.float32
        )
        rows = rows.reshape(len(texts), self.dimension)
        unit: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embed([text])[0]
        return vector


def chunk(name: str) -> Chunk:
    return Chunk(chunk_id=f"faq:{name}", kind="faq", ref=name, title=name, text=f"About {name}")


def build(index_dir: Path, chunks: Sequence[Chunk], embedder: CountingEmbedder) -> None:
    build_generation(
        IndexBuilder(index_dir, embedding_version=embedder.version),
        chunks,
        embedder=embedder,
        attachments={},
        known_vectors=known_vectors(index_dir, embedding_version=embedder.version, text_of=embedding_text),
    )


def test_a_rebuild_embeds_only_new_texts_and_searches_the_same(tmp_path: Path) -> None:
    first, second = CountingEmbedder(), CountingEmbedder()
    chunks = [chunk("returns"), chunk("gifts"), chunk("delays")]
    build(tmp_path, chunks[:2], first)
    build(tmp_path, chunks, second)
    assert first.embedded == ["returns. About returns", "gifts. About gifts"]
    assert second.embedded == ["delays. About delays"]
    index = EmbeddedSearchIndex(tmp_path, clock=FakeClock())
    for one in chunks:
        (hit,) = index.dense(CountingEmbedder().embed([embedding_text(one)])[0], limit=1)
        assert hit.chunk_id == one.chunk_id


def test_vectors_of_another_embedder_are_not_used(tmp_path: Path) -> None:
    build(tmp_path, [chunk("returns")], CountingEmbedder())
    assert known_vectors(tmp_path, embedding_version="letters-2", text_of=embedding_text) == {}
    assert known_vectors(tmp_path / "none", embedding_version="letters-1", text_of=embedding_text) == {}


def test_a_failing_embedder_leaves_the_served_generation(tmp_path: Path) -> None:
    build(tmp_path, [chunk("returns")], CountingEmbedder())
    with pytest.raises(DependencyUnavailableError):
        build(tmp_path, [chunk("gifts")], CountingEmbedder(fails=True))
    index = EmbeddedSearchIndex(tmp_path, clock=FakeClock())
    assert [one.ref for one in index.get(["faq:returns", "faq:gifts"])] == ["returns"]
    assert list((tmp_path / "building").iterdir()) == []
