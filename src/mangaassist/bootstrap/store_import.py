"""Takes in an outside catalogue: read, checked, indexed beside what is there, published in one step."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mangaassist.adapters.embedded.imported_series import GenerationImports
from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.bootstrap.clock import SystemClock
from mangaassist.bootstrap.encoder import open_embedder
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.bootstrap.store_index import build_store_index, catalog_with, origin_of
from mangaassist.control.knowledge.catalog_reading import CatalogReading, RowFault, read_catalog
from mangaassist.domain.errors import ConflictError, InvalidRequestError
from mangaassist.domain.store_pack import StorePack
from mangaassist.ports.embedder import TextEmbedder

LOCK = "import.lock"
EMBEDDING_WORKERS = 2


class ImportProgress(Protocol):
    """Who watches an import."""

    def start(self, phase: str, total: int) -> None:
        """A phase of `total` steps begins."""
        ...

    def advance(self, steps: int) -> None:
        """Some steps of the phase are done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did. `merged_count` rows were series of the pack; the others were added or replaced."""

    source: str
    row_count: int
    added_count: int
    replaced_count: int
    merged_count: int
    repeated_count: int
    malformed_count: int
    faults: tuple[RowFault, ...]
    series_count: int
    chunk_count: int
    generation: str
    embedding_version: str | None
    duration_s: float


def import_catalog(file: Path, *, settings: Settings, progress: ImportProgress) -> ImportReport:
    """Import `file`, or raise and leave catalogue and index as they were."""
    clock = SystemClock()
    started_ns = clock.monotonic_ns()
    store_dir = find_store_dir(settings)
    pack = load_store_pack(store_dir)
    with _only_import(settings.index_dir):
        reading = _read(file, pack=pack, progress=progress)
        published = {one.series_id: one for one in GenerationImports(settings.index_dir).read()}
        imported = {**published, **{one.series_id: one for one in reading.series}}
        catalog = catalog_with(pack, tuple(imported.values()))
        embedder = _embedder(settings)
        progress.start("indexing", len(catalog.all_series()))
        generation = build_store_index(
            pack,
            imported=tuple(imported.values()),
            index_dir=settings.index_dir,
            embedder=embedder,
            attachments=origin_of(store_dir),
            on_chunks=progress.advance,
        )
    ids = {one.series_id for one in reading.series}
    merged = ids & catalog.same_as.keys()
    replaced = (ids & published.keys()) - merged
    return ImportReport(
        source=_source_of(file),
        row_count=reading.row_count,
        added_count=len(ids) - len(merged) - len(replaced),
        replaced_count=len(replaced),
        merged_count=len(merged),
        repeated_count=reading.repeated_count,
        malformed_count=reading.malformed_count,
        faults=reading.faults,
        series_count=len(catalog.all_series()),
        chunk_count=generation.chunk_count,
        generation=generation.generation_id,
        embedding_version=None if embedder is None else embedder.version,
        duration_s=(clock.monotonic_ns() - started_ns) / 1e9,
    )


def _embedder(settings: Settings) -> TextEmbedder | None:
    return None if settings.encoder == "off" else open_embedder(settings.cache_dir, workers=EMBEDDING_WORKERS)


def _read(file: Path, *, pack: StorePack, progress: ImportProgress) -> CatalogReading:
    try:
        with file.open("rb") as lines:
            progress.start("reading", os.fstat(lines.fileno()).st_size)
            reading = read_catalog(
                lines,
                source=_source_of(file),
                reserved_ids=frozenset(series.series_id for series in pack.series.records),
                on_bytes=progress.advance,
            )
    except OSError as error:
        raise InvalidRequestError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    if not reading.series:
        raise InvalidRequestError(_nothing_usable(file, reading.faults))
    return reading


def _nothing_usable(file: Path, faults: Sequence[RowFault]) -> str:
    if not faults:
        return f"{str(file)!r} holds no row; expected one JSON object a line"
    first = faults[0]
    where = f"line {first.line}" if first.field is None else f"line {first.line}, field {first.field!r}"
    return f"no row of {str(file)!r} can be used; nothing was imported. The first: {where}: {first.message}"


def _source_of(file: Path) -> str:
    return f"import:{re.sub(r'[^a-z0-9]+', '-', file.stem.lower()).strip('-') or 'catalogue'}"


@contextmanager
def _only_import(index_dir: Path) -> Iterator[None]:
    """One import at a time; the system frees the lock when its holder dies."""
    index_dir.mkdir(parents=True, exist_ok=True)
    with (index_dir / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError("another import is running; wait for it to end") from error
        yield
