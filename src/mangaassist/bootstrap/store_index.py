"""Builds the generation that holds a store: pack, imported series, articles and promotions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import orjson

from mangaassist.adapters.embedded.imported_series import encode_imports
from mangaassist.adapters.embedded.known_vectors import known_vectors
from mangaassist.adapters.embedded.search_index import IndexBuilder
from mangaassist.adapters.embedded.store_services import PackCatalog, PreparedImports
from mangaassist.control.knowledge.generation_build import build_generation
from mangaassist.domain.catalog import Series
from mangaassist.domain.store_pack import StorePack
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.serving.retrieval.chunking import chunks_of_store, embedding_text

ORIGIN = "store.json"
PACK_FILES = ("series/*.jsonl", "products*.jsonl", "policies/articles.jsonl", "policies/promotions.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltGeneration:
    """A generation that is being served now."""

    generation_id: str
    chunk_count: int


def catalog_with(pack: StorePack, imported: Sequence[Series]) -> PackCatalog:
    """Return the catalogue as it will be once `imported` is published."""
    return PackCatalog(
        pack.series.records, pack.products.records, imported=PreparedImports(imported=tuple(imported))
    )


def build_store_index(
    pack: StorePack,
    *,
    imported: Sequence[Series],
    index_dir: Path,
    embedder: TextEmbedder | None,
    attachments: Mapping[str, bytes] = MappingProxyType({}),
    on_chunks: Callable[[int], None] = lambda count: None,
) -> BuiltGeneration:
    """Build and publish; `imported` is everything imported so far, which the generation carries on.

    Without an embedder the generation is searched lexically only.
    """
    catalog = catalog_with(pack, imported)
    chunks = tuple(chunks_of_store(catalog, pack.articles.records, pack.promotions.records))
    generation_id = build_generation(
        IndexBuilder(index_dir, embedding_version=None if embedder is None else embedder.version),
        chunks,
        embedder=embedder,
        attachments={**attachments, **(dict([encode_imports(imported)]) if imported else {})},
        known_vectors={}
        if embedder is None
        else known_vectors(index_dir, embedding_version=embedder.version, text_of=embedding_text),
        on_chunks=on_chunks,
    )
    return BuiltGeneration(generation_id=generation_id, chunk_count=len(chunks))


def pack_fingerprint(store_dir: Path) -> str:
    """Return the hash of the pack files that the index is built from."""
    digest = hashlib.sha256()
    for pattern in PACK_FILES:
        for path in sorted(store_dir.glob(pattern)):
            digest.update(path.name.encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def origin_of(store_dir: Path) -> dict[str, bytes]:
    """Return the attachment by which a generation tells which pack it was built from."""
    return {ORIGIN: orjson.dumps({"pack": pack_fingerprint(store_dir)})}
