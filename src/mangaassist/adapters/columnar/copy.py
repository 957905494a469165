"""Parquet files by day and customer bucket, and the manifest that says which of them count.

<copy>/CURRENT                    the generation that is read; replaced by rename
<copy>/<generation>/MANIFEST      the files that count, and the batch that the row store has not yet confirmed
<copy>/<generation>/records/day=2026-11-21/bucket=07/<batch>.parquet

A batch exists once the manifest names it. A writer that is killed before leaves files that nobody reads;
one that is killed after leaves ids to confirm, which the next pass does first. So every row is copied once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mangaassist.adapters.columnar.columns import (
    FEEDBACK_SCHEMA,
    RECORD_SCHEMA,
    CopiedFeedback,
    bucket_of,
    day_of,
    feedback_table,
    owner_hash,
    record_table,
)
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.domain.records import RequestRecord

Kind = Literal["record", "feedback"]
FOLDERS: Final[Mapping[Kind, str]] = {"record": "records", "feedback": "feedback"}
SCHEMAS: Final = {"record": RECORD_SCHEMA, "feedback": FEEDBACK_SCHEMA}

MERGED_FROM: Final = 8
"""Small files of one partition that are merged into one."""

SMALL_BYTES: Final = 8 * 1024 * 1024
UNREAD_FOR_S: Final = 600.0
"""How long a file that no longer counts stays, for queries that began before."""

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Paths relative to the generation; `unconfirmed` ids are in files but perhaps still in the outbox."""

    files: tuple[str, ...] = ()
    unconfirmed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION


class ColumnarCopy:
    """One copy on disk; every change is made under a lock that dies with its holder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing the copy; raises `DependencyUnavailableError` when one does."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "writer.lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DependencyUnavailableError("another process is writing the columnar copy") from error
            yield

    def generation(self) -> CopyGeneration:
        """Return the generation that is read."""
        try:
            name = (self._directory / "CURRENT").read_text().strip()
        except FileNotFoundError:
            name = "g1"
        return CopyGeneration(self._directory / name)

    def begin_rebuild(self) -> CopyGeneration:
        """Return an empty generation beside the one that is read."""
        number = int(self.generation().folder.name.removeprefix("g")) + 1
        folder = self._directory / f"g{number}"
        shutil.rmtree(folder, ignore_errors=True)
        return CopyGeneration(folder)

    def publish(self, generation: CopyGeneration) -> None:
        """Read a rebuilt generation from now on, and remove the others."""
        before = self.generation().folder
        _write_durably(self._directory / "CURRENT", generation.folder.name.encode())
        if before != generation.folder:
            shutil.rmtree(before, ignore_errors=True)


class CopyGeneration:
    """The files of one generation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manifest(self) -> Manifest:
        """Return what counts now."""
        try:
            content = orjson.loads((self.folder / "MANIFEST").read_bytes())
        except FileNotFoundError:
            return Manifest()
        return Manifest(
            files=tuple(content["files"]),
            unconfirmed={kind: tuple(ids) for kind, ids in content["unconfirmed"].items()},
            schema=content["schema"],
        )

    def files(self, kind: Kind) -> list[str]:
        """Return the absolute paths of the files of one kind."""
        prefix = FOLDERS[kind] + "/"
        return [str(self.folder / name) for name in self.manifest().files if name.startswith(prefix)]

    def add(self, records: Sequence[RequestRecord], feedback: Sequence[CopiedFeedback]) -> None:
        """Copy a batch; until `confirm`, its ids are noted as not yet taken from the outbox."""
        ids = {
            "record": tuple(record.response_id for record in records),
            "feedback": tuple(row.event.feedback_id for row in feedback),
        }
        batch = hashlib.sha256(orjson.dumps(ids)).hexdigest()[:16]
        files = [
            *self._write("record", batch, _grouped(records, lambda record: record), record_table),
            *self._write("feedback", batch, _grouped(feedback, lambda row: row.record), feedback_table),
        ]
        manifest = self.manifest()
        kept = [name for name in manifest.files if name not in files]
        self._save(Manifest(files=(*kept, *files), unconfirmed=ids))

    def confirm(self) -> None:
        """Forget the noted ids: the outbox no longer holds them."""
        manifest = self.manifest()
        if manifest.unconfirmed:
            self._save(replace(manifest, unconfirmed={}))

    def merge_small_files(self) -> int:
        """Merge the small files of partitions that have many; return how many files went."""
        partitions: dict[str, list[str]] = defaultdict(list)
        for name in self.manifest().files:
            if (self.folder / name).stat().st_size < SMALL_BYTES:
                partitions[name.rpartition("/")[0]].append(name)
        merged = 0
        for partition, names in partitions.items():
            if len(names) >= MERGED_FROM:
                kind: Kind = "record" if partition.startswith(FOLDERS["record"]) else "feedback"
                table = pa.concat_tables([self._read(kind, name) for name in names])
                digest = hashlib.sha256("".join(names).encode()).hexdigest()[:16]
                self._replace(names, [self._put(f"{partition}/m{digest}.parquet", table)])
                merged += len(names)
        return merged

    def forget(self, owner: str) -> int:
        """Take one owner's rows out of every file at once; return how many rows went."""
        pseudonym, bucket = owner_hash(owner), f"/bucket={bucket_of(owner):02d}/"
        gone = 0
        for name in [one for one in self.manifest().files if bucket in one]:
            kind: Kind = "record" if name.startswith(FOLDERS["record"]) else "feedback"
            table = self._read(kind, name)
            left = table.filter(pc.not_equal(table["owner_hash"], pseudonym))
            if left.num_rows < table.num_rows:
                gone += table.num_rows - left.num_rows
                renamed = f"{name.removesuffix('.parquet')}f.parquet"
                self._replace([name], [self._put(renamed, left)] if left.num_rows else [])
                (self.folder / name).unlink(missing_ok=True)
        return gone

    def sweep(self, now_s: float) -> None:
        """Remove files that no longer count and that no query can still be reading."""
        counting = set(self.manifest().files)
        for path in self.folder.glob("*/*/*/*"):
            if (
                str(path.relative_to(self.folder)) not in counting
                and path.stat().st_mtime < now_s - UNREAD_FOR_S
            ):
                path.unlink(missing_ok=True)

    def _write(
        self,
        kind: Kind,
        batch: str,
        groups: Mapping[tuple[str, int], list[Any]],
        table_of: Callable[[Sequence[Any]], pa.Table],
    ) -> Iterator[str]:
        for (day, bucket), rows in sorted(groups.items()):
            name = f"{FOLDERS[kind]}/day={day}/bucket={bucket:02d}/{batch}.parquet"
            yield self._put(name, table_of(rows))

    def _put(self, name: str, table: pa.Table) -> str:
        """Write one file durably and return its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        pq.write_table(table, temporary, compression="zstd")
        _publish_file(temporary, path)
        return name

    def _read(self, kind: Kind, name: str) -> pa.Table:
        """Read one file in today's columns; those that it does not have are null."""
        with pq.ParquetFile(self.folder / name) as file:
            table = file.read()
        missing = [column for column in SCHEMAS[kind] if column.name not in table.column_names]
        for column in missing:
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
        return table.select(SCHEMAS[kind].names).cast(SCHEMAS[kind])

    def _replace(self, old: Sequence[str], new: Sequence[str]) -> None:
        manifest = self.manifest()
        gone = set(old) - set(new)
        kept = [name for name in manifest.files if name not in gone and name not in new]
        self._save(replace(manifest, files=(*kept, *new)))

    def _save(self, manifest: Manifest) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_durably(
            self.folder / "MANIFEST",
            orjson.dumps(
                {
                    "files": manifest.files,
                    "unconfirmed": dict(manifest.unconfirmed),
                    "schema": manifest.schema,
                }
            ),
        )


def _grouped(
    rows: Sequence[Any], record_of: Callable[[Any], RequestRecord]
) -> dict[tuple[str, int], list[Any]]:
    """Return the rows by the day of their answer and the bucket of its owner."""
    groups: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for row in rows:
        record = record_of(row)
        groups[day_of(record.created_at), bucket_of(record.owner)].append(row)
    return groups


def _write_durably(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content)
    _publish_file(temporary, path)


def _publish_file(temporary: Path, path: Path) -> None:
    """Put a finished file in its place, on disk before its name is."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
