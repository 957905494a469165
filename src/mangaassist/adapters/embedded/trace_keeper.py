"""Keeps traces that wait outside the sample, when something makes them matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mangaassist.adapters.embedded.trace_codec import encode_trace
from mangaassist.adapters.embedded.trace_search import PROMOTED, find_trace
from mangaassist.adapters.embedded.trace_segments import HELD, KEPT, SegmentWriter, checksummed
from mangaassist.domain.errors import DependencyUnavailableError
from mangaassist.ports.clock import Clock
from mangaassist.ports.traces import Kept


class SpoolTraceKeeper:
    """A `TraceKeeper` over the spool: copies a held trace to the lane that is shipped.

    Any process may keep; two that keep the same trace at once ship it twice, which changes nothing.
    """

    def __init__(self, directory: Path, *, clock: Clock, process_id: int) -> None:
        self._directory = directory
        self._writer = SegmentWriter(
            directory,
            lane=KEPT,
            clock=clock,
            process=f"{PROMOTED}{process_id}",
        )

    def keep(self, trace_id: str, *, reason: str) -> Kept:
        """Make sure that a trace is shipped, and tell what became of it.

        Raises `DependencyUnavailableError` when the disk refuses.
        """
        if find_trace(self._directory, KEPT, trace_id) is not None:
            return "already"
        trace = find_trace(self._directory, HELD, trace_id)
        if trace is None:
            return "gone"
        kept = replace(trace, sampled=True, sampling_reason=reason, sampling_weight=0.0)
        try:
            self._writer.append(checksummed(encode_trace(kept)))
            unsynced = self._writer.take_unsynced()
            if unsynced is not None and unsynced.sync():
                raise OSError("the disk did not confirm")
        except OSError as error:
            raise DependencyUnavailableError(f"the spool cannot be written: {error}") from error
        return "promoted"

    def close(self) -> None:
        """End the current segment."""
        self._writer.close()
