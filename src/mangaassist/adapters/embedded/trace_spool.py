"""The trace spool: finished traces on disk, one checksummed line each, until the worker has shipped them.

Segments are named by their first moment and the writing process, so several API processes share a
folder without locks. A line is `<crc32 hex> <json>`; a torn or damaged line is skipped, never fatal.
"""

from __future__ import annotations

import os
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from mangaassist.adapters.embedded.trace_codec import decode_trace, encode_trace
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace
from mangaassist.ports.clock import Clock
from mangaassist.ports.traces import TraceCounters

SEGMENT_BYTES = 8 * 1024 * 1024
QUEUE_TRACES = 10_000
BATCH_TRACES = 256
SUFFIX = ".traces"


class SpoolTraceSink:
    """Queues traces and appends them to the spool from a thread of its own, one fsync a batch.

    Bounded in memory (`QUEUE_TRACES`) and on disk (`max_bytes`): what does not fit is dropped and
    counted by reason.
    """

    def __init__(self, directory: Path, *, clock: Clock, process_id: int, max_bytes: int = 1 << 30) -> None:
        self._directory = directory
        self._clock = clock
        self._process_id = process_id
        self._max_bytes = max_bytes
        self._queue: queue.Queue[Trace | None] = queue.Queue(maxsize=QUEUE_TRACES)
        self._accepted = 0
        self._dropped: dict[str, int] = {}
        self._written = 0
        self._idle = threading.Event()
        self._idle.set()
        self._file: int | None = None
        self._file_bytes = 0
        self._thread = threading.Thread(target=self._run, name="trace-spool", daemon=True)
        directory.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def accept(self, trace: Trace) -> None:
        """Queue a trace; counts it as dropped when the queue is full."""
        self._idle.clear()
        try:
            self._queue.put_nowait(trace)
        except queue.Full:
            self._drop("queue_full")
        else:
            self._accepted += 1

    def counters(self) -> TraceCounters:
        """Return what this process accepted, wrote and dropped; shipping happens in the worker."""
        return TraceCounters(
            accepted=self._accepted,
            shipped=0,
            pending=self._accepted - self._written,
            dropped=sum(self._dropped.values()),
        )

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """How many traces were dropped for what reason."""
        return dict(self._dropped)

    def flush(self, timeout_s: float) -> None:
        """Wait until everything accepted so far is on disk, at most `timeout_s` seconds."""
        self._idle.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued and stop the thread."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if batch:
                self._write(batch)
            if self._queue.empty():
                self._idle.set()
        if self._file is not None:
            os.close(self._file)

    def _next_batch(self) -> tuple[list[Trace], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < BATCH_TRACES:
            try:
                trace = self._queue.get_nowait()
            except queue.Empty:
                break
            if trace is None:
                return batch, True
            batch.append(trace)
        return batch, False

    def _write(self, batch: list[Trace]) -> None:
        try:
            payload = b"".join(_line(encode_trace(trace)) for trace in batch)
            if self._spool_bytes() + len(payload) > self._max_bytes:
                self._drop("spool_full", len(batch))
                self._written += len(batch)
                return
            handle = self._segment(len(payload))
            os.write(handle, payload)
            os.fsync(handle)
            self._file_bytes += len(payload)
        except (OSError, TypeError) as error:
            self._drop(type(error).__name__, len(batch))
        self._written += len(batch)

    def _segment(self, size: int) -> int:
        if self._file is not None and self._file_bytes + size <= SEGMENT_BYTES:
            return self._file
        if self._file is not None:
            os.close(self._file)
        name = f"{self._clock.time_ns():020d}-{self._process_id}{SUFFIX}"
        self._file = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file_bytes = 0
        return self._file

    def _spool_bytes(self) -> int:
        return sum(
            entry.stat().st_size for entry in os.scandir(self._directory) if entry.name.endswith(SUFFIX)
        )

    def _drop(self, reason: str, count: int = 1) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + count


class SpoolTraceArchive:
    """Reads traces back from the spool, newest segment first."""

    def __init__(self, directory: Path, *, flush: Callable[[], None] = lambda: None) -> None:
        self._directory = directory
        self._flush = flush

    def get(self, trace_id: str) -> Trace:
        """Return a trace by trace id or response id, or raise `NotFoundError`."""
        self._flush()
        needle = trace_id.encode()
        for segment in sorted(segments(self._directory), reverse=True):
            for line in _lines(segment):
                if needle in line:
                    trace = _decoded(line)
                    if trace is not None and trace_id in (trace.trace_id, trace.response_id):
                        return trace
        raise NotFoundError(f"no trace {trace_id!r} on this machine (kept for the spool's retention)")


def segments(directory: Path) -> list[Path]:
    """Return the segments, oldest first."""
    return sorted(path for path in directory.glob(f"*{SUFFIX}")) if directory.is_dir() else []


def read_from(segment: Path, offset: int) -> Iterator[tuple[Trace | None, int]]:
    """Yield (trace, offset after it) of every complete line from `offset`; None for a damaged one."""
    with segment.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield _decoded(line.rstrip(b"\n")), offset


def _line(document: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(document), document)


def _lines(segment: Path) -> Iterator[bytes]:
    with segment.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


def _decoded(line: bytes) -> Trace | None:
    checksum, _, document = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(document):
            return None
        return decode_trace(document)
    except ValueError:
        return None
