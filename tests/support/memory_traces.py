"""Trace ports in memory: the second implementation that the contract suites hold to the same promises."""

from __future__ import annotations

from dataclasses import replace

from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace
from mangaassist.ports.traces import Kept, TraceCounters


class InMemoryTraces:
    """A `TraceSink`, `TraceArchive` and `TraceKeeper` of at most `capacity` traces."""

    def __init__(self, *, capacity: int = 1_000) -> None:
        self._capacity = capacity
        self._traces: dict[str, Trace] = {}
        self._dropped = 0
        self._closed = False

    def accept(self, trace: Trace) -> None:
        if self._closed or len(self._traces) >= self._capacity:
            self._dropped += 1
        else:
            self._traces[trace.response_id] = trace

    def counters(self) -> TraceCounters:
        held = sum(not trace.sampled for trace in self._traces.values())
        return TraceCounters(
            accepted=len(self._traces),
            pending=len(self._traces) - held,
            held=held,
            dropped=self._dropped,
            dropped_by_reason={"closed": self._dropped} if self._dropped else {},
        )

    def flush(self, timeout_s: float) -> None:
        pass

    def close(self) -> None:
        self._closed = True

    def get(self, trace_id: str) -> Trace:
        for trace in self._traces.values():
            if trace_id in (trace.trace_id, trace.response_id):
                return trace
        raise NotFoundError(f"no trace {trace_id!r}")

    def keep(self, trace_id: str, *, reason: str) -> Kept:
        try:
            trace = self.get(trace_id)
        except NotFoundError:
            return "gone"
        if trace.sampled:
            return "already"
        self._traces[trace.response_id] = replace(
            trace, sampled=True, sampling_reason=reason, sampling_weight=0.0
        )
        return "promoted"
