"""The knowledge of one process: search index, encoder and retriever, each as good as what is there now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from mangaassist.adapters.embedded.imported_series import GenerationImports
from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex, IndexLayout, add_vectors
from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.bootstrap.clock import SystemClock
from mangaassist.bootstrap.encoder import find_cached_encoder, open_embedder
from mangaassist.bootstrap.health import PortHealth
from mangaassist.bootstrap.settings import Settings
from mangaassist.bootstrap.store_index import ORIGIN, build_store_index, origin_of, pack_fingerprint
from mangaassist.domain.errors import ConflictError
from mangaassist.domain.retrieval import Chunk
from mangaassist.domain.store_pack import StorePack
from mangaassist.ports.clock import Clock
from mangaassist.serving.retrieval.chunking import embedding_text
from mangaassist.serving.retrieval.policy import RetrievalPolicy
from mangaassist.serving.retrieval.ranker import shipped_ranker
from mangaassist.serving.retrieval.retriever import Retriever

if TYPE_CHECKING:
    from mangaassist.adapters.embedded.encoder.onnx_embedder import OnnxTextEmbedder

PUBLISH_ATTEMPTS = 3
LOG = logging.getLogger("mangaassist.knowledge")


class Knowledge:
    """Holds the index and the encoder, and builds a retriever over exactly one generation of them."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self._settings = settings
        self._index = EmbeddedSearchIndex(settings.index_dir, clock=clock)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retrieval")
        self._ranker = shipped_ranker()
        self._policy = RetrievalPolicy()
        self.embedder: OnnxTextEmbedder | None = None
        self._open_encoder()
        self._used = self._signature()

    def close(self) -> None:
        """Release threads and sessions."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self.embedder is not None:
            self.embedder.close()

    def retriever(self) -> Retriever:
        """Return a retriever pinned to the generation that is served now."""
        self._used = self._signature()
        return Retriever(
            index=self._index.pinned(),
            embedder=self.embedder,
            ranker=self._ranker,
            policy=self._policy,
            executor=self._executor,
        )

    def chunks_of(self, chunk_ids: Sequence[str]) -> Sequence[Chunk]:
        """Return what the served generation holds of these ids; unknown ones are left out."""
        return self._index.get(chunk_ids)

    def search(self, text: str, *, limit: int) -> list[str]:
        """Return the chunk ids that a plain search of the served generation gives, best first."""
        return [hit.chunk_id for hit in self._index.lexical(text, limit=limit)]

    def refresh(self) -> bool:
        """Look for a new generation and for an encoder that has arrived; tell whether anything changed."""
        if self.embedder is None:
            self._open_encoder()
        return self._signature() != self._used

    def encoder_health(self) -> PortHealth:
        """Whether the encoder is there, and what it would unlock."""
        if self.embedder is not None:
            return PortHealth(port="encoder", adapter=self.embedder.version, state="ready")
        if self._settings.encoder == "off":
            return PortHealth(
                port="encoder", adapter="none", state="off", detail="switched off: lexical search only"
            )
        return PortHealth(
            port="encoder",
            adapter="none",
            state="degraded",
            detail="not fetched yet: lexical search and the first-stage classifier answer; "
            "`mangaassist models fetch` unlocks dense search and the encoder stage",
        )

    def index_health(self) -> PortHealth:
        """Whether the index serves, and with which legs."""
        index = self._index
        if not index.size:
            return PortHealth(port="search index", adapter="embedded", state="down", detail="empty")
        dense = self.embedder is not None and index.embedding_version == self.embedder.version
        legs = "dense and lexical" if dense else "lexical only; `mangaassist store index` adds vectors"
        degraded = index.problem is not None or (self.embedder is not None and not dense)
        detail = f"{index.size} chunks, {legs}" + (f"; {index.problem}" if index.problem else "")
        return PortHealth(
            port="search index", adapter="embedded", state="degraded" if degraded else "ready", detail=detail
        )

    def _open_encoder(self) -> None:
        if self._settings.encoder == "off":
            return
        embedder = open_embedder(self._settings.cache_dir)
        if embedder is not None:
            embedder.warm_up()
            self.embedder = embedder

    def _signature(self) -> tuple[str, str | None]:
        return self._index.generation_id, None if self.embedder is None else self.embedder.version


def ensure_index(settings: Settings, store_dir: Path, pack: StorePack) -> bool:
    """Build a lexical generation when there is none of this pack; takes under a second for the shipped one.

    Returns whether it built. What was imported is carried on.
    """
    origin = pack_fingerprint(store_dir)
    if _served_origin(settings.index_dir) == origin:
        return False
    settings.index_dir.mkdir(parents=True, exist_ok=True)
    built = build_store_index(
        pack,
        imported=GenerationImports(settings.index_dir).read(),
        index_dir=settings.index_dir,
        embedder=None,
        attachments=origin_of(store_dir),
    )
    LOG.info("index built", extra={"generation": built.generation_id, "chunks": built.chunk_count})
    return True


def index_is_complete(settings: Settings, store_dir: Path) -> bool:
    """Whether the served generation is of this pack and, with an encoder at hand, holds its vectors."""
    if _served_origin(settings.index_dir) != pack_fingerprint(store_dir):
        return False
    if settings.encoder == "off":
        return True
    if find_cached_encoder(settings.cache_dir) is None:
        return False
    manifest = _served_file(settings.index_dir, "manifest.json")
    return bool(manifest and orjson.loads(manifest).get("embedding_version"))


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """The generation that is served now."""

    generation: str
    chunk_count: int
    embedding_version: str | None


def complete_index(
    settings: Settings,
    store_dir: Path,
    *,
    on_start: Callable[[str, int], None] = lambda phase, total: None,
    on_chunks: Callable[[int], None] = lambda count: None,
) -> IndexReport:
    """Bring the index up to date: this pack's chunks, and vectors where the encoder is there."""
    ensure_index(settings, store_dir, load_store_pack(store_dir))
    index = EmbeddedSearchIndex(settings.index_dir, clock=SystemClock())
    on_start("embedding", index.size)
    _add_vectors(settings, on_chunks)
    finished = EmbeddedSearchIndex(settings.index_dir, clock=SystemClock())
    return IndexReport(
        generation=finished.generation_id,
        chunk_count=finished.size,
        embedding_version=finished.embedding_version,
    )


def _add_vectors(settings: Settings, on_chunks: Callable[[int], None]) -> None:
    embedder = None if settings.encoder == "off" else open_embedder(settings.cache_dir)
    if embedder is None:
        return
    try:
        for attempt in range(PUBLISH_ATTEMPTS):
            try:
                add_vectors(
                    settings.index_dir, embedder=embedder, text_of=embedding_text, on_chunks=on_chunks
                )
                return
            except ConflictError:
                # other chunks were published meanwhile: once more, over those
                if attempt + 1 == PUBLISH_ATTEMPTS:
                    raise
    finally:
        embedder.close()


def _served_origin(index_dir: Path) -> str | None:
    content = _served_file(index_dir, ORIGIN)
    return None if content is None else str(orjson.loads(content).get("pack"))


def _served_file(index_dir: Path, name: str) -> bytes | None:
    layout = IndexLayout(index_dir)
    current = layout.current()
    if current is None:
        return None
    try:
        return (layout.folder(current) / name).read_bytes()
    except FileNotFoundError:
        return None
