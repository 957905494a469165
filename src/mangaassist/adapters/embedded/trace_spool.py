"""Where finished traces go first: a bounded queue, then the spool's files, written by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mangaassist.adapters.embedded.trace_codec import encode_trace
from mangaassist.adapters.embedded.trace_segments import SegmentWriter, checksummed, spool_bytes
from mangaassist.domain.trace import Trace
from mangaassist.ports.clock import Clock
from mangaassist.ports.traces import TraceCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """Bounds of the spool; `interval_s` is how often the queue is written out."""

    queue_traces: int = 10_000
    batch_traces: int = 256
    interval_s: float = 0.1
    segment_bytes: int = 8 * 1024 * 1024
    segment_age_s: float = 3_600.0
    max_bytes: int = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """`count` traces of this process that end at `end_offset` of a segment."""

    segment: str
    end_offset: int
    count: int


class SpoolTraceSink:
    """A `TraceSink` on disk: one write and one fsync a batch, in a thread that the first trace starts.

    Bounded in memory and on disk: what does not fit is dropped and counted by reason. Whether a trace
    has been shipped is read from the worker's cursor (`shipped_offsets`).
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
        self._writer = SegmentWriter(
            directory,
            clock=clock,
            process_id=process_id,
            max_bytes=self._limits.segment_bytes,
            max_age_s=self._limits.segment_age_s,
        )
        # guards everything below; notified when the writer or a flush may go on
        self._changed = threading.Condition()
        self._queue: deque[Trace] = deque()
        self._accepted = 0
        self._settled = 0
        self._shipped = 0
        self._unshipped: deque[_Written] = deque()
        self._dropped: dict[str, int] = {}
        self._dropped_late = 0
        self._hurry = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="trace-spool", daemon=True)

    def accept(self, trace: Trace) -> None:
        """Queue a trace; counts it as dropped when the queue is full or the sink is closed."""
        with self._changed:
            if self._closing:
                self._drop("closed")
            elif len(self._queue) >= self._limits.queue_traces:
                self._drop("queue_full")
            else:
                self._queue.append(trace)
                self._accepted += 1
                if self._thread.ident is None:
                    self._thread.start()
                # waking the writer would cost the request more than everything else here
                if len(self._queue) == self._limits.batch_traces:
                    self._changed.notify_all()

    def counters(self) -> TraceCounters:
        """Return what became of this process's traces; `pending` are those not shipped yet."""
        offsets = self._shipped_offsets()
        with self._changed:
            while self._unshipped and self._is_shipped(self._unshipped[0], offsets):
                self._shipped += self._unshipped.popleft().count
            return TraceCounters(
                accepted=self._accepted,
                shipped=self._shipped,
                pending=self._accepted - self._shipped - self._dropped_late,
                dropped=sum(self._dropped.values()),
            )

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """How many traces were dropped for what reason."""
        with self._changed:
            return dict(self._dropped)

    def flush(self, timeout_s: float) -> None:
        """Wait until everything accepted so far is on disk, at most `timeout_s` seconds."""
        with self._changed:
            target = self._accepted
            self._hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._settled >= target, timeout_s)
            self._hurry -= 1

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is queued and stop the thread; later traces are dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if batch:
                self._write(batch)
        self._writer.close()

    def _next_batch(self) -> tuple[list[Trace], bool]:
        """Wait an interval, or less when it is urgent; return some traces, and whether they are the last."""
        limit = self._limits.batch_traces
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._hurry or len(self._queue) >= limit, self._limits.interval_s
            )
            batch = [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]
            return batch, self._closing and not self._queue

    def _write(self, batch: list[Trace]) -> None:
        lines: list[bytes] = []
        failures: list[str] = []
        for trace in batch:
            try:
                lines.append(checksummed(encode_trace(trace)))
            except (TypeError, ValueError) as error:
                # only this trace is lost, not its neighbours
                failures.append(type(error).__name__)
        written: _Written | None = None
        if lines:
            payload = b"".join(lines)
            try:
                if spool_bytes(self._directory) + len(payload) > self._limits.max_bytes:
                    failures += ["spool_full"] * len(lines)
                else:
                    segment, end_offset = self._writer.append(payload)
                    written = _Written(segment=segment, end_offset=end_offset, count=len(lines))
            except OSError as error:
                failures += [type(error).__name__] * len(lines)
        with self._changed:
            if written is not None:
                self._unshipped.append(written)
            for reason in failures:
                self._drop(reason)
            self._dropped_late += len(failures)
            self._settled += len(batch)
            self._changed.notify_all()

    def _is_shipped(self, written: _Written, offsets: Mapping[str, int]) -> bool:
        shipped_to = offsets.get(written.segment)
        if shipped_to is None:
            # a segment is swept only after it was shipped, and then its offset is forgotten
            return not (self._directory / written.segment).exists()
        return shipped_to >= written.end_offset

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
