"""Builds a generation beside the served one and publishes it in one step."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from mangaassist.adapters.embedded.search_index.chunk_file import encode_chunk, write_chunks
from mangaassist.adapters.embedded.search_index.generation import FORMAT, MANIFEST, VECTORS, Generation
from mangaassist.adapters.embedded.search_index.layout import IndexLayout
from mangaassist.adapters.embedded.search_index.metadata import MetadataWriter
from mangaassist.adapters.embedded.search_index.postings import PostingsWriter
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.domain.retrieval import Chunk
from mangaassist.ports.embedder import TextEmbedder

EMBEDDED_AT_ONCE = 512


class IndexBuilder:
    """Takes chunks in any order; nothing of them is seen before `commit` returns.

    Vectors are given for every chunk, together with the `embedding_version` that made them, or for none. A
    build that is never committed, or whose process is killed, changes nothing; its remains are swept by the
    next build.
    """

    def __init__(self, index_dir: Path, *, embedding_version: str | None = None) -> None:
        index_dir.mkdir(parents=True, exist_ok=True)
        self._layout = IndexLayout(index_dir)
        self._embedding_version = embedding_version
        self._build = self._layout.begin_build()
        self._ids: dict[str, int] = {}
        self._records: list[bytes] = []
        self._vectors: list[NDArray[np.float32]] = []
        self._postings = PostingsWriter()
        self._metadata = MetadataWriter()

    def add(self, chunk: Chunk, vector: NDArray[np.float32] | None = None) -> None:
        """Add one chunk; raises `InvalidRequestError` for a repeated id or an unusable vector or field."""
        if chunk.chunk_id in self._ids:
            raise InvalidRequestError(f"chunk {chunk.chunk_id!r} was added before")
        self._check_vector(chunk, vector)
        self._metadata.add({"kind": chunk.kind, **chunk.metadata})
        self._postings.add(chunk.title, chunk.text)
        self._records.append(encode_chunk(chunk))
        self._ids[chunk.chunk_id] = len(self._ids)
        if vector is not None:
            self._vectors.append(np.array(vector, dtype=np.float32))

    def attach(self, name: str, content: bytes) -> None:
        """Add a file that is published, kept and swept together with the generation."""
        if Path(name).name != name or (self._build.folder / name).exists():
            raise InvalidRequestError(f"{name!r} cannot be attached: the name is taken or no plain file name")
        (self._build.folder / name).write_bytes(content)

    def commit(self) -> str:
        """Publish the generation and return its id; readers see it within a second."""
        folder = self._build.folder
        order = sorted(range(len(self._records)), key=list(self._ids).__getitem__)
        row_of = np.empty(len(order), dtype=np.int32)
        row_of[order] = np.arange(len(order), dtype=np.int32)
        digest = hashlib.sha256()
        for added in order:
            digest.update(self._records[added] + b"\n")
        knowledge_version = f"knowledge-{digest.hexdigest()[:12]}"
        write_chunks(folder, (self._records[added] for added in order), sorted(self._ids))
        self._postings.write(folder, row_of=row_of)
        self._metadata.write(folder, row_of=row_of)
        if self._embedding_version is not None and order:
            _write_vectors(folder, np.stack(self._vectors)[order])
        _write_manifest(
            folder,
            knowledge_version=knowledge_version,
            embedding_version=self._embedding_version if order else None,
        )
        return self._layout.publish(self._build, label=knowledge_version.removeprefix("knowledge-"))

    def abort(self) -> None:
        """Leave everything as it was; also after a commit, which it does not undo."""
        self._build.discard()

    def _check_vector(self, chunk: Chunk, vector: NDArray[np.float32] | None) -> None:
        if (vector is None) != (self._embedding_version is None):
            raise InvalidRequestError(
                f"chunk {chunk.chunk_id!r}: vectors and an embedding version belong together, for every chunk"
            )
        if vector is None:
            return
        if vector.ndim != 1 or (self._vectors and vector.shape != self._vectors[0].shape):
            raise InvalidRequestError(f"chunk {chunk.chunk_id!r}: a vector of shape {vector.shape!r}")
        if not np.isfinite(vector).all():
            raise InvalidRequestError(f"chunk {chunk.chunk_id!r}: the vector is not finite")


def add_vectors(
    index_dir: Path,
    *,
    embedder: TextEmbedder,
    text_of: Callable[[Chunk], str],
    on_chunks: Callable[[int], None] = lambda count: None,
) -> str:
    """Publish the served chunks again with vectors: for when the encoder arrives after the first build.

    The knowledge version stays the same. Raises `ConflictError` when other chunks were published meanwhile.
    """
    layout = IndexLayout(index_dir)
    served = layout.current()
    if served is None:
        raise NotFoundError("there is no generation to add vectors to")
    base = Generation(layout.folder(served))
    if not base.size or base.embedding_version == embedder.version:
        return served
    build = layout.begin_build()
    try:
        chunks = base.chunks()
        parts: list[NDArray[np.float32]] = []
        while batch := list(islice(chunks, EMBEDDED_AT_ONCE)):
            parts.append(embedder.embed([text_of(chunk) for chunk in batch]))
            on_chunks(len(batch))
        _link_files(base.folder, build.folder, without=(MANIFEST, VECTORS))
        _write_vectors(build.folder, np.concatenate(parts))
        _write_manifest(
            build.folder,
            knowledge_version=base.knowledge_version,
            embedding_version=embedder.version,
        )
        return layout.publish(
            build, label=base.knowledge_version.removeprefix("knowledge-"), replacing=served
        )
    except BaseException:
        build.discard()
        raise


def _write_vectors(folder: Path, vectors: NDArray[np.float32]) -> None:
    np.save(folder / VECTORS, np.ascontiguousarray(vectors, dtype=np.float32))


def _write_manifest(folder: Path, *, knowledge_version: str, embedding_version: str | None) -> None:
    document = {
        "format": FORMAT,
        "knowledge_version": knowledge_version,
        "embedding_version": embedding_version,
    }
    (folder / MANIFEST).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _link_files(source: Path, target: Path, *, without: Sequence[str]) -> None:
    """Share the unchanged files of a generation; copied where the file system cannot link."""
    for path in source.iterdir():
        if path.name in without:
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
