"""The reading end of the spool: what still has to be shipped to one destination."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from mangaassist.adapters.embedded.trace_codec import END_NS, decode_trace
from mangaassist.adapters.embedded.trace_segments import (
    KEPT,
    list_segments,
    read_lines,
    size_of,
    sync_folder,
)
from mangaassist.domain.trace import Trace, TraceBatch

MLFLOW: Final = "mlflow"
OTLP: Final = "otlp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How much waits; `oldest_ns` is when the first of it ended (nanoseconds since the epoch)."""

    traces: int
    bytes: int
    oldest_ns: int | None


class SpoolBacklog:
    """A `TraceBacklog` in the order of the segments; only one process may read at a time.

    The cursor is written after the acknowledgement: a crash in between hands the batch out again.
    """

    def __init__(self, directory: Path, *, destination: str = MLFLOW) -> None:
        self._directory = directory
        self._destination = destination
        self._offsets = dict(shipped_offsets(directory, destination))

    def next_batch(self, limit: int) -> TraceBatch | None:
        """Return up to `limit` traces that were not acknowledged, or None when there are none."""
        for segment in list_segments(self._directory):
            offset = self._offsets.get(segment.name, 0)
            if size_of(segment) <= offset:
                continue
            traces: list[Trace] = []
            damaged = 0
            end_offset = offset
            for trace, after in read_traces(segment, offset):
                end_offset = after
                if trace is None:
                    damaged += 1
                else:
                    traces.append(trace)
                if len(traces) >= limit:
                    break
            if end_offset > offset:
                return TraceBatch(
                    traces=tuple(traces), damaged=damaged, segment=segment.name, end_offset=end_offset
                )
        return None

    def acknowledge(self, batch: TraceBatch) -> None:
        """Remember durably that a batch needs no further shipping."""
        self._offsets[batch.segment] = batch.end_offset
        self._save()

    def pending_bytes(self) -> int:
        """Return how much is waiting."""
        return sum(
            max(0, size_of(segment) - self._offsets.get(segment.name, 0))
            for segment in list_segments(self._directory)
        )

    def is_done(self, segment: Path) -> bool:
        """Whether no complete line of a segment is left; a torn tail of a dead writer does not count."""
        offset = self._offsets.get(segment.name, 0)
        return size_of(segment) <= offset or next(read_lines(segment, offset), None) is None

    def forget(self, segments: Iterable[str]) -> None:
        """Forget segments that have been removed."""
        for name in segments:
            self._offsets.pop(name, None)
        self._save()

    def _save(self) -> None:
        path = cursor_file(self._directory, self._destination)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(orjson.dumps(self._offsets))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(self._directory)


def cursor_file(directory: Path, destination: str = MLFLOW) -> Path:
    """Return where a destination's cursor is kept."""
    return directory / f"cursor-{destination}.json"


def shipped_offsets(directory: Path, destination: str = MLFLOW) -> Mapping[str, int]:
    """Return how far each segment was shipped; an unreadable cursor ships again rather than losing."""
    try:
        content = orjson.loads(cursor_file(directory, destination).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: offset for name, offset in content.items() if isinstance(offset, int)}


def shipped_everywhere(directory: Path, destinations: Iterable[str]) -> Mapping[str, int]:
    """Return how far each segment was shipped to all of the destinations."""
    cursors = [shipped_offsets(directory, destination) for destination in destinations]
    names = {name for cursor in cursors for name in cursor}
    return {name: min(cursor.get(name, 0) for cursor in cursors) for name in names}


def waiting_traces(directory: Path, *, lane: str = KEPT, destination: str | None = MLFLOW) -> Waiting:
    """Count the complete lines of a lane that a destination lacks; all of them without one."""
    offsets = shipped_offsets(directory, destination) if destination is not None else {}
    count = size = 0
    oldest_ns: int | None = None
    for segment in list_segments(directory, lane):
        start = offsets.get(segment.name, 0)
        end = start
        for document, position in read_lines(segment, start):
            end = position
            count += 1
            if oldest_ns is None and document is not None:
                oldest_ns = orjson.loads(document)["spans"][0][END_NS]
        size += end - start
    return Waiting(traces=count, bytes=size, oldest_ns=oldest_ns)


def read_traces(segment: Path, offset: int) -> Iterator[tuple[Trace | None, int]]:
    """Yield (trace, offset after it) of every complete line from `offset`; None for a damaged one."""
    for document, end in read_lines(segment, offset):
        try:
            yield (decode_trace(document) if document is not None else None), end
        except ValueError:
            yield None, end
