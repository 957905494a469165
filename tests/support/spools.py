"""Spools with traces in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mangaassist.adapters.embedded.trace_backlog import shipped_offsets
from mangaassist.adapters.embedded.trace_spool import SpoolLimits, SpoolTraceSink
from mangaassist.domain.trace import Trace
from tests.support.traces import TraceMaker

FLUSH_S = 10.0


def open_sink(directory: Path, make: TraceMaker, *, process_id: int = 1, **limits: float) -> SpoolTraceSink:
    return SpoolTraceSink(
        directory,
        clock=make.clock,
        process_id=process_id,
        limits=replace(SpoolLimits(), **limits),  # type: ignore[arg-type]  # fields by name
        shipped_offsets=lambda: shipped_offsets(directory),
    )


def held(trace: Trace) -> Trace:
    """Return the trace as one outside the sample."""
    return replace(trace, sampled=False, sampling_reason="ordinary", sampling_weight=0.0)


def ordinary(trace: Trace) -> Trace:
    """Return the trace as an ordinary one of the sample."""
    return replace(trace, sampling_reason="ordinary", sampling_weight=10.0)


def fill(
    directory: Path, make: TraceMaker, count: int, *, process_id: int = 1, **limits: float
) -> tuple[Trace, ...]:
    """Write traces to the spool and return them."""
    sink = open_sink(directory, make, process_id=process_id, **limits)
    traces = tuple(make.answered() for _ in range(count))
    for trace in traces:
        # segments are named by their first moment
        make.clock.advance(1)
        sink.accept(trace)
    sink.close()
    return traces
