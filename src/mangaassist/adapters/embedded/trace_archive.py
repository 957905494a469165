"""Reads single traces back from the spool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mangaassist.adapters.embedded.trace_remote import remote_spans_of
from mangaassist.adapters.embedded.trace_search import find_trace
from mangaassist.adapters.embedded.trace_segments import HELD, KEPT
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace


class SpoolTraceArchive:
    """A `TraceArchive` over the spool: kept and held traces, with what other services added."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, trace_id: str) -> Trace:
        """Return a trace by trace id or response id, or raise `NotFoundError`."""
        for lane in (KEPT, HELD):
            trace = find_trace(self._directory, lane, trace_id)
            if trace is not None:
                remote = remote_spans_of(self._directory, trace.trace_id)
                added = tuple(span for spans in remote for span in spans.spans)
                return replace(trace, spans=trace.spans + added) if added else trace
        raise NotFoundError(f"no trace {trace_id!r} on this machine (kept for the spool's retention)")
