"""The reading end of the spool: what still has to be shipped, and what may be removed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import orjson

from mangaassist.adapters.embedded.trace_segments import list_segments, read_from
from mangaassist.domain.trace import Trace, TraceBatch

CURSOR = "cursor.json"


class SpoolBacklog:
    """Hands out traces in the order of their segments; only one process may read at a time.

    The cursor is written after the acknowledgement: a crash in between hands the batch out again.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._offsets = dict(shipped_offsets(directory))

    def next_batch(self, limit: int) -> TraceBatch | None:
        """Return up to `limit` traces that were not acknowledged, or None when there are none."""
        for segment in list_segments(self._directory):
            offset = self._offsets.get(segment.name, 0)
            if segment.stat().st_size <= offset:
                continue
            traces: list[Trace] = []
            damaged = 0
            end_offset = offset
            for trace, after in read_from(segment, offset):
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
            max(0, segment.stat().st_size - self._offsets.get(segment.name, 0))
            for segment in list_segments(self._directory)
        )

    def sweep(self, *, now_s: float, retention_s: float, keep_bytes: int) -> int:
        """Remove shipped segments that are too old or, oldest first, too many; return how many.

        Nothing that waits is removed. `retention_s` must exceed the age at which a writer leaves its segment.
        """
        kept: list[tuple[Path, os.stat_result]] = []
        removed = 0
        for segment in list_segments(self._directory):
            status = segment.stat()
            done = self._is_done(segment, status.st_size)
            if done and status.st_mtime < now_s - retention_s:
                self._remove(segment)
                removed += 1
            elif done:
                kept.append((segment, status))
        # the newest may still be written to
        surplus = sum(status.st_size for _, status in kept) - keep_bytes
        for segment, status in kept[:-1]:
            if surplus <= 0:
                break
            if status.st_mtime >= now_s - MIN_AGE_S:
                continue
            self._remove(segment)
            surplus -= status.st_size
            removed += 1
        if removed:
            self._save()
        return removed

    def _is_done(self, segment: Path, size: int) -> bool:
        """Whether no complete line is left; a torn tail of a dead writer does not count."""
        offset = self._offsets.get(segment.name, 0)
        return size <= offset or next(read_from(segment, offset), None) is None

    def _remove(self, segment: Path) -> None:
        segment.unlink(missing_ok=True)
        self._offsets.pop(segment.name, None)

    def _save(self) -> None:
        temporary = self._directory / f"{CURSOR}.tmp"
        with temporary.open("wb") as file:
            file.write(orjson.dumps(self._offsets))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._directory / CURSOR)


MIN_AGE_S = 2 * 3_600.0
"""No writer still holds a segment this long after its last write: it leaves one after an hour."""


def shipped_offsets(directory: Path) -> Mapping[str, int]:
    """Return how far each segment was shipped; an unreadable cursor ships again rather than losing."""
    try:
        content = orjson.loads((directory / CURSOR).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: offset for name, offset in content.items() if isinstance(offset, int)}
