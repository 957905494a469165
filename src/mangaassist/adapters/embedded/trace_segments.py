"""The files of the trace spool: append-only segments of checksummed lines.

A segment is named by its first moment and the writing process, so several processes share a folder
without locks; its suffix is its lane. A line is `<crc32 hex> <json>`; a torn or damaged line is skipped,
never fatal, and what a failed write left of one is cut off again.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from mangaassist.ports.clock import Clock

KEPT: Final = ".traces"
"""Traces to be shipped."""
HELD: Final = ".held"
"""Traces outside the sample, waiting for a reason to be kept."""
REMOTE: Final = ".remote"
"""Spans of other services."""
LANES: Final = (KEPT, HELD, REMOTE)

SEGMENT_BYTES: Final = 8 * 1024 * 1024
SEGMENT_AGE_S: Final = 3_600.0
"""No segment is written to for longer; searching and sweeping rely on it."""


class SegmentWriter:
    """Appends lines to the newest segment of this process in one lane, and starts a new one when it is due.

    A line that `append` returned from survives the process; `sync` makes it survive the machine. Segments end
    by size, by age (so that old ones can be removed under a running server) and after every failed
    write. Not thread-safe but for `sync`, which may run beside `append`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        lane: str,
        clock: Clock,
        process: str,
        max_bytes: int = SEGMENT_BYTES,
        max_age_s: float = SEGMENT_AGE_S,
    ) -> None:
        self._directory = directory
        self._lane = lane
        self._clock = clock
        self._process = process
        self._max_bytes = max_bytes
        self._max_age_ns = int(max_age_s * 1e9)
        self._file: int | None = None
        self._name = ""
        self._bytes = 0
        self._opened_ns = 0
        self._unsynced = False
        self._new_name = False
        self._ended: list[int] = []

    def append(self, line: bytes) -> tuple[str, int]:
        """Write a whole line; return the segment's name and length. Raises `OSError`, leaving nothing."""
        handle = self._segment(len(line))
        try:
            written = os.write(handle, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fitted")
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, self._bytes)
                if not self._bytes:
                    os.unlink(self._directory / self._name)
            self._end()
            raise
        self._bytes += written
        self._unsynced = True
        return self._name, self._bytes

    def take_unsynced(self) -> UnsyncedFiles | None:
        """Return what has to be synced, or None; to be called where `append` is, synced anywhere."""
        if not (self._unsynced or self._ended):
            return None
        current = os.dup(self._file) if self._file is not None and self._unsynced else None
        taken = UnsyncedFiles(
            [*self._ended, *([current] if current is not None else [])],
            folder=self._directory if self._new_name else None,
        )
        self._ended, self._unsynced, self._new_name = [], False, False
        return taken

    def close(self) -> None:
        """End the current segment and sync what is not."""
        self._end()
        taken = self.take_unsynced()
        if taken is not None:
            taken.sync()

    def _end(self) -> None:
        if self._file is not None:
            self._ended.append(self._file)
            self._file = None
            self._unsynced = False

    def _segment(self, size: int) -> int:
        now_ns = self._clock.time_ns()
        full = self._bytes > 0 and self._bytes + size > self._max_bytes
        if self._file is not None and (full or now_ns - self._opened_ns > self._max_age_ns):
            self._end()
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._name = f"{now_ns:020d}-{self._process}{self._lane}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(self._directory / self._name, flags, 0o600)
            self._bytes = os.fstat(self._file).st_size
            self._opened_ns = now_ns
            self._new_name = True
        return self._file


class UnsyncedFiles:
    """Handles whose content has to reach the disk; closed by `sync`."""

    def __init__(self, handles: list[int], *, folder: Path | None) -> None:
        self._handles = handles
        self._folder = folder

    def sync(self) -> int:
        """Sync all of it, a new segment's name included; return how many files refused."""
        failed = 0
        for handle in self._handles:
            try:
                os.fsync(handle)
            except OSError:
                failed += 1
            finally:
                os.close(handle)
        if self._folder is not None:
            with suppress(OSError):
                sync_folder(self._folder)
        return failed


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_segments(directory: Path, lane: str = KEPT) -> list[Path]:
    """Return the segments of a lane, oldest first."""
    return sorted(directory.glob(f"*{lane}")) if directory.is_dir() else []


def size_of(segment: Path) -> int:
    """Return how much room a segment takes; none when it has been removed meanwhile."""
    try:
        return segment.stat().st_size
    except FileNotFoundError:
        return 0


def spool_bytes(directory: Path) -> int:
    """Return how much room all segments take."""
    return sum(size_of(segment) for lane in LANES for segment in list_segments(directory, lane))


def checksummed(document: bytes) -> bytes:
    """Return the line of a document."""
    return b"%08x %s\n" % (zlib.crc32(document), document)


def checked(line: bytes) -> bytes | None:
    """Return the document of a line without its line break, or None when it is damaged."""
    checksum, _, document = line.partition(b" ")
    try:
        return document if int(checksum, 16) == zlib.crc32(document) else None
    except ValueError:
        return None


def read_lines(segment: Path, offset: int) -> Iterator[tuple[bytes | None, int]]:
    """Yield (document, offset after it) of every complete line from `offset`; None for a damaged one.

    A segment that is removed meanwhile has no lines.
    """
    with suppress(FileNotFoundError), segment.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield checked(line[:-1]), offset


def cut_torn_tail(segment: Path) -> int:
    """Cut off what a killed writer left of its last line; return how many bytes. No writer may hold it."""
    size = size_of(segment)
    if not size:
        return 0
    with segment.open("r+b") as file:
        position, tail = size, b""
        while position > 0 and b"\n" not in tail:
            step = min(65_536, position)
            position -= step
            file.seek(position)
            tail = file.read(step)
        end = position + tail.rfind(b"\n") + 1
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
    return size - end
