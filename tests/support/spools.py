"""Spools with traces in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mangaassist.adapters.embedded.trace_backlog import shipped_offsets
from mangaassist.adapters.embedded.trace_spool import SpoolLimits, SpoolTraceSink
from mangaassist.domain.trace import Trace
from tests.support.traces import TraceMaker

FLUSH_S = 10.0


def open_sink(directory: Path, make: TraceMaker, **limits: float) -> SpoolTraceSink:
    return SpoolTraceSink(
        directory,
        clock=make.clock,
        process_id=1,
        limits=replace(SpoolLimits(), **limits),  # type: ignore[arg-type]  # fields by name
        shipped_offsets=lambda: shipped_offsets(directory),
    )


def fill(directory: Path, make: TraceMaker, count: int, **limits: float) -> tuple[Trace, ...]:
    """Write traces to the spool and return them."""
    sink = open_sink(directory, make, **limits)
    traces = tuple(make.answered() for _ in range(count))
    for trace in traces:
        # segments are named by their first moment
        make.clock.advance(1)
        sink.accept(trace)
        sink.flush(FLUSH_S)
    sink.close()
    return traces
