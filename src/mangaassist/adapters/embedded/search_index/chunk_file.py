"""The payloads of a generation: one JSON record a chunk, mapped into memory, read by row."""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import orjson

from mangaassist.domain.retrieval import Chunk

KEPT_CHUNKS = 2_048
_RECORDS = "chunks.jsonl"
_OFFSETS = "chunk_offsets.npy"
_IDS = "chunk_ids.json"


def encode_chunk(chunk: Chunk) -> bytes:
    """Return the canonical record of a chunk; equal chunks have equal records."""
    return orjson.dumps(
        {
            "chunk_id": chunk.chunk_id,
            "kind": chunk.kind,
            "ref": chunk.ref,
            "title": chunk.title,
            "text": chunk.text,
            "metadata": dict(chunk.metadata),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def decode_chunk(record: bytes) -> Chunk:
    """Return the chunk of a record; lists become tuples again."""
    row = orjson.loads(record)
    metadata = row["metadata"]
    for name, value in metadata.items():
        if isinstance(value, list):
            metadata[name] = tuple(value)
    return Chunk(**row)


def write_chunks(folder: Path, records: Iterable[bytes], ids: list[str]) -> None:
    """Write the records in row order; `ids` are their chunk ids, ascending."""
    offsets = [0]
    with (folder / _RECORDS).open("wb") as file:
        for record in records:
            offsets.append(offsets[-1] + file.write(record + b"\n"))
    np.save(folder / _OFFSETS, np.asarray(offsets, dtype=np.int64))
    (folder / _IDS).write_bytes(orjson.dumps(ids))


class ChunkFile:
    """Reads chunks by row or by id, keeping those read last; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.ids: list[str] = orjson.loads((folder / _IDS).read_bytes())
        self._offsets: list[int] = np.load(folder / _OFFSETS).tolist()
        with (folder / _RECORDS).open("rb") as file:
            # an empty file cannot be mapped
            self._records: mmap.mmap | bytes = (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self._offsets[-1] else b""
            )
        self._recent = lru_cache(KEPT_CHUNKS)(self._read)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Chunk]:
        return map(self._read, range(len(self.ids)))

    def row_of(self, chunk_id: str) -> int | None:
        """Return the row of a chunk, or None when there is none of this id."""
        row = bisect_left(self.ids, chunk_id)
        return row if row < len(self.ids) and self.ids[row] == chunk_id else None

    def chunk(self, row: int) -> Chunk:
        """Return one chunk."""
        return self._recent(row)

    def _read(self, row: int) -> Chunk:
        return decode_chunk(self._records[self._offsets[row] : self._offsets[row + 1]])
