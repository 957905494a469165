"""Reads single traces back from the spool."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mangaassist.adapters.embedded.trace_segments import list_segments, read_line
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class SpoolTraceArchive:
    """A `TraceArchive` over the spool's segments, newest first; `flush` makes sure that ours are there.

    There is no index to keep in step: a segment of 8 MB is searched in a few milliseconds, and the
    traces that people ask for are nearly always in the newest one.
    """

    def __init__(self, directory: Path, *, flush: Callable[[], None] = lambda: None) -> None:
        self._directory = directory
        self._flush = flush

    def get(self, trace_id: str) -> Trace:
        """Return a trace by trace id or response id, or raise `NotFoundError`."""
        if _ID.match(trace_id):
            self._flush()
            for segment in reversed(list_segments(self._directory)):
                trace = _search(segment, trace_id)
                if trace is not None:
                    return trace
        raise NotFoundError(f"no trace {trace_id!r} on this machine (kept for the spool's retention)")


def _search(segment: Path, trace_id: str) -> Trace | None:
    try:
        content = segment.read_bytes()
    except FileNotFoundError:
        # swept in the meantime
        return None
    needle = f'"{trace_id}"'.encode()
    # from the end: of a trace that was written twice, the last is the whole one
    position = content.rfind(needle)
    while position >= 0:
        start = content.rfind(b"\n", 0, position) + 1
        end = content.find(b"\n", position)
        trace = read_line(content[start:end]) if end > 0 else None
        if trace is not None and trace_id in (trace.trace_id, trace.response_id):
            return trace
        position = content.rfind(needle, 0, start)
    return None
