"""The files of the trace spool: append-only segments of checksummed lines.

A segment is named by its first moment and the writing process, so several API processes share a folder
without locks. A line is `<crc32 hex> <json>`; a torn or damaged line is skipped, never fatal.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from mangaassist.adapters.embedded.trace_codec import decode_trace
from mangaassist.domain.trace import Trace
from mangaassist.ports.clock import Clock

SUFFIX = ".traces"


class SegmentWriter:
    """Appends lines durably to the newest segment of this process, and starts a new one when it is due.

    Segments end by size, by age (so that old ones can be removed under a running server) and after
    every failed write (a torn line may only be the last of its segment).
    """

    def __init__(
        self, directory: Path, *, clock: Clock, process_id: int, max_bytes: int, max_age_s: float
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._process_id = process_id
        self._max_bytes = max_bytes
        self._max_age_ns = int(max_age_s * 1e9)
        self._file: int | None = None
        self._name = ""
        self._bytes = 0
        self._opened_ns = 0

    def append(self, payload: bytes) -> tuple[str, int]:
        """Write and sync whole lines; return the segment's name and its length. Raises `OSError`."""
        handle = self._segment(len(payload))
        try:
            written = os.write(handle, payload)
            if written != len(payload):
                raise OSError(f"only {written} of {len(payload)} bytes fitted")
            os.fsync(handle)
        except OSError:
            self.close()
            raise
        self._bytes += written
        return self._name, self._bytes

    def close(self) -> None:
        """End the current segment."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _segment(self, size: int) -> int:
        now_ns = self._clock.time_ns()
        full = self._bytes > 0 and self._bytes + size > self._max_bytes
        if self._file is not None and (full or now_ns - self._opened_ns > self._max_age_ns):
            self.close()
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._name = f"{now_ns:020d}-{self._process_id}{SUFFIX}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(self._directory / self._name, flags, 0o600)
            self._bytes = os.fstat(self._file).st_size
            self._opened_ns = now_ns
        return self._file


def list_segments(directory: Path) -> list[Path]:
    """Return the segments, oldest first."""
    return sorted(directory.glob(f"*{SUFFIX}")) if directory.is_dir() else []


def spool_bytes(directory: Path) -> int:
    """Return how much room the segments take."""
    total = 0
    for segment in list_segments(directory):
        try:
            total += segment.stat().st_size
        except FileNotFoundError:
            # swept in the meantime
            continue
    return total


def checksummed(document: bytes) -> bytes:
    """Return the line of a document."""
    return b"%08x %s\n" % (zlib.crc32(document), document)


def read_line(line: bytes) -> Trace | None:
    """Return the trace of a line without its line break, or None when it is damaged."""
    checksum, _, document = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(document):
            return None
        return decode_trace(document)
    except ValueError:
        return None


def read_from(segment: Path, offset: int) -> Iterator[tuple[Trace | None, int]]:
    """Yield (trace, offset after it) of every complete line from `offset`; None for a damaged one."""
    with segment.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield read_line(line.rstrip(b"\n")), offset
