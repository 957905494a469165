"""Where finished traces go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mangaassist.domain.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCounters:
    """What became of the traces handed over by this process."""

    accepted: int = 0
    shipped: int = 0
    pending: int = 0
    dropped: int = 0


class TraceSink(Protocol):
    """Takes finished traces without ever blocking or failing the request.

    Every implementation promises: `accept` returns at once and never raises; what it cannot keep is
    counted as dropped with a reason; accepted traces survive the process (spooled to disk) unless
    stated otherwise.
    """

    def accept(self, trace: Trace) -> None:
        """Take a finished trace."""
        ...

    def counters(self) -> TraceCounters:
        """Return the counters of this process."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Write what is queued to disk, within the time given."""
        ...


class TraceArchive(Protocol):
    """Traces that can be read back on this machine."""

    def get(self, trace_id: str) -> Trace:
        """Return the trace by trace id or response id, or raise `NotFoundError`."""
        ...
