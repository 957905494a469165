"""Where finished traces go first: appended to the spool's files at once, synced together by a thread."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mangaassist.adapters.embedded.trace_codec import encode_trace
from mangaassist.adapters.embedded.trace_counts import ProcessCounts, write_counts
from mangaassist.adapters.embedded.trace_room import Priority, SpoolRoom, priority_of
from mangaassist.adapters.embedded.trace_segments import (
    HELD,
    KEPT,
    SEGMENT_AGE_S,
    SEGMENT_BYTES,
    SegmentWriter,
    checksummed,
)
from mangaassist.domain.trace import Trace
from mangaassist.ports.clock import Clock
from mangaassist.ports.traces import TraceCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Bounds of the spool; `sync_interval_s` is how much a power cut may cost.

    `waiting_bytes` bound what is kept in memory while the disk refuses; `measure_every_s` is how often
    the room is looked at.
    """

    sync_interval_s: float = 0.1
    measure_every_s: float = 1.0
    segment_bytes: int = SEGMENT_BYTES
    segment_age_s: float = SEGMENT_AGE_S
    max_bytes: int = 1024 * 1024 * 1024
    min_free_bytes: int = 64 * 1024 * 1024
    waiting_bytes: int = 16 * 1024 * 1024


@dataclass(slots=True)
class _Segment:
    """Where the traces of a segment end, and when they were accepted (nanoseconds since the epoch)."""

    ends: array[int] = field(default_factory=lambda: array("Q"))
    times_ns: array[int] = field(default_factory=lambda: array("Q"))


class SpoolTraceSink:
    """A `TraceSink` on disk.

    `accept` hands the line to the operating system before it returns, so what was accepted survives the
    process, however it ends; a thread syncs all new lines together, so what was accepted
    `sync_interval_s` ago survives the machine. What the disk refuses waits in memory. Bounded
    everywhere: who gives way is stated in `trace_room`, and counted. Whether a trace has been
    shipped is read from the worker's cursor (`shipped_offsets`).
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        process_id: int,
        limits: SpoolLimits | None = None,
        shipped_offsets: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._directory = directory
        self._limits = limits or SpoolLimits()
        self._shipped_offsets = shipped_offsets
        self._clock = clock
        self._process = f"{clock.time_ns()}-{process_id}"
        self._kept = self._writer(KEPT, str(process_id))
        self._held = self._writer(HELD, str(process_id))
        self._room = SpoolRoom(
            directory,
            max_bytes=self._limits.max_bytes,
            min_free_bytes=self._limits.min_free_bytes,
            shipped_offsets=shipped_offsets,
        )
        # guards everything below and the writers; notified when the thread or a flush may go on
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Priority, bytes]] = deque()
        self._waiting_bytes = 0
        self._accepted = 0
        self._held_count = 0
        self._kept_count = 0
        self._shipped = 0
        self._unshipped: dict[str, _Segment] = {}
        self._dropped: Counter[str] = Counter()
        self._synced = 0
        self._sync_failures = 0
        self._hurry = 0
        self._closing = False
        self._told = ProcessCounts()
        self._thread = threading.Thread(target=self._run, name="trace-spool", daemon=True)

    def accept(self, trace: Trace) -> None:
        """Append a trace to the spool; counts it as dropped when there is no room or the sink is closed."""
        priority = priority_of(trace)
        try:
            line = checksummed(encode_trace(trace))
        except (TypeError, ValueError, RecursionError):
            with self._changed:
                self._dropped["not_json"] += 1
            return
        with self._changed:
            if self._closing:
                self._dropped["closed"] += 1
            elif not self._room.takes(len(line), priority):
                self._dropped[f"spool_full_{priority}"] += 1
            else:
                self._accepted += 1
                if self._thread.ident is None:
                    self._thread.start()
                # lines that wait keep their turn
                if self._waiting or not self._append(priority, line):
                    self._wait(priority, line)

    def counters(self) -> TraceCounters:
        """Return what became of this process's traces; `pending` are those to be shipped that are not yet."""
        offsets = self._shipped_offsets()
        with self._changed:
            oldest_ns = self._settle(offsets)
            age_s = max(0.0, (self._clock.time_ns() - oldest_ns) / 1e9) if oldest_ns is not None else 0.0
            return TraceCounters(
                accepted=self._accepted,
                shipped=self._shipped,
                pending=self._kept_count - self._shipped,
                held=self._held_count,
                dropped=sum(self._dropped.values()),
                dropped_by_reason=dict(self._dropped),
                oldest_pending_s=age_s,
                sync_failures=self._sync_failures,
            )

    def flush(self, timeout_s: float) -> None:
        """Wait until everything accepted so far survives the machine, at most `timeout_s` seconds."""
        with self._changed:
            if self._thread.ident is None:
                return
            target = self._accepted
            self._hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._synced >= target or self._closing, timeout_s)
            self._hurry -= 1

    def close(self, timeout_s: float = 5.0) -> None:
        """Write and sync what is left and stop the thread; later traces are dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _writer(self, lane: str, process: str) -> SegmentWriter:
        return SegmentWriter(
            self._directory,
            lane=lane,
            clock=self._clock,
            process=process,
            max_bytes=self._limits.segment_bytes,
            max_age_s=self._limits.segment_age_s,
        )

    def _append(self, priority: Priority, line: bytes) -> bool:
        """Write a line to its lane; False when the disk refuses. Called under the lock."""
        try:
            if priority == "held":
                self._held.append(line)
                self._held_count += 1
            else:
                name, end = self._kept.append(line)
                segment = self._unshipped.setdefault(name, _Segment())
                segment.ends.append(end)
                segment.times_ns.append(self._clock.time_ns())
                self._kept_count += 1
        except OSError:
            return False
        self._room.add(len(line))
        return True

    def _wait(self, priority: Priority, line: bytes) -> None:
        """Keep a line in memory until the disk takes it; the least wanted lines give way."""
        self._waiting.append((priority, line))
        self._waiting_bytes += len(line)
        for victim in ("held", "ordinary", "wanted"):
            for waiting in [item for item in self._waiting if item[0] == victim]:
                if self._waiting_bytes <= self._limits.waiting_bytes:
                    return
                self._waiting.remove(waiting)
                self._waiting_bytes -= len(waiting[1])
                self._dropped[f"disk_refused_{victim}"] += 1

    def _run(self) -> None:
        next_measure_ns = 0
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or (self._hurry > 0 and self._synced < self._accepted),
                    self._limits.sync_interval_s,
                )
                closing = self._closing
            if self._clock.monotonic_ns() >= next_measure_ns or self._waiting:
                next_measure_ns = self._clock.monotonic_ns() + int(self._limits.measure_every_s * 1e9)
                self._measure()
            self._sync()
            if closing:
                break
        self._end()

    def _measure(self) -> None:
        """Look at the room, and tell the other processes how things stand."""
        shed = self._room.measure()
        with self._changed:
            if shed:
                self._dropped["held_shed"] += shed
            counts = ProcessCounts(
                accepted=self._accepted, held=self._held_count, dropped=dict(self._dropped)
            )
        if counts != self._told:
            with suppress(OSError):
                write_counts(self._directory, counts, process=self._process)
                self._told = counts

    def _sync(self) -> None:
        """Write what waits, sync what is new; appending goes on meanwhile."""
        with self._changed:
            while self._waiting and self._append(*self._waiting[0]):
                self._waiting_bytes -= len(self._waiting.popleft()[1])
            written = self._accepted - len(self._waiting)
            unsynced = [taken for writer in (self._kept, self._held) if (taken := writer.take_unsynced())]
        failed = sum(files.sync() for files in unsynced)
        with self._changed:
            self._sync_failures += failed
            if written != self._synced:
                self._synced = written
                self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            for priority, _ in self._waiting:
                self._dropped[f"disk_refused_{priority}"] += 1
            self._waiting.clear()
            self._kept.close()
            self._held.close()
            self._changed.notify_all()
        self._measure()

    def _settle(self, offsets: Mapping[str, int]) -> int | None:
        """Count what has been shipped meanwhile; return when the oldest pending trace was accepted."""
        oldest_ns: int | None = None
        for name, segment in list(self._unshipped.items()):
            shipped = bisect_right(segment.ends, self._shipped_to(name, segment, offsets))
            self._shipped += shipped
            del segment.ends[:shipped], segment.times_ns[:shipped]
            if segment.ends:
                oldest_ns = min(segment.times_ns[0], oldest_ns or segment.times_ns[0])
            else:
                # a later line of the same segment makes a new entry
                del self._unshipped[name]
        return oldest_ns

    def _shipped_to(self, name: str, segment: _Segment, offsets: Mapping[str, int]) -> int:
        if name in offsets:
            return offsets[name]
        # a segment is removed only after it was shipped, and then its offset is forgotten
        return 0 if (self._directory / name).exists() else segment.ends[-1]
