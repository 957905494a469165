"""Where finished traces go, wait, and are found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mangaassist.domain.trace import RemoteSpans, Trace, TraceBatch

Kept = Literal["promoted", "already", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCounters:
    """What became of the traces handed over by this process.

    `pending` are to be shipped and are not yet, the oldest for `oldest_pending_s`; `held` are outside the
    sample. A trace that was accepted may still be dropped, for a reason in `dropped_by_reason`.
    `sync_failures` counts files that the disk did not confirm.
    """

    accepted: int = 0
    shipped: int = 0
    pending: int = 0
    held: int = 0
    dropped: int = 0
    dropped_by_reason: Mapping[str, int] = field(default_factory=dict)
    oldest_pending_s: float = 0.0
    sync_failures: int = 0


class TraceSink(Protocol):
    """Takes finished traces without ever failing the request or waiting for anything.

    Every implementation promises: `accept` never raises; a trace that is accepted survives the process,
    however it ends; what cannot be kept is counted as dropped with a reason.
    """

    def accept(self, trace: Trace) -> None:
        """Take a finished trace."""
        ...

    def counters(self) -> TraceCounters:
        """Return the counters of this process."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Make what was accepted survive the machine too, within the time given."""
        ...


class TraceArchive(Protocol):
    """Traces that can be read back on this machine."""

    def get(self, trace_id: str) -> Trace:
        """Return the trace by trace id or response id, or raise `NotFoundError`."""
        ...


class TraceKeeper(Protocol):
    """Keeps traces that wait outside the sample."""

    def keep(self, trace_id: str, *, reason: str) -> Kept:
        """Make sure that a trace (by trace id or response id) is shipped, and tell what became of it.

        "promoted" from the held ones, "already" to be shipped or shipped, or "gone" from here. Durable when
        it returns; keeping it again changes nothing. `reason` is one of `domain.sampling.PROMOTIONS`.
        """
        ...


class TraceBacklog(Protocol):
    """Traces that wait to be shipped to one destination; a batch comes again until it is acknowledged."""

    def next_batch(self, limit: int) -> TraceBatch | None:
        """Return the oldest waiting traces, or None."""
        ...

    def acknowledge(self, batch: TraceBatch) -> None:
        """Remember durably that a batch has been dealt with."""
        ...


class TraceDestination(Protocol):
    """A place that traces are carried to.

    Every method raises `DependencyError` when the destination fails, `DependencyRejectedError` when it
    refuses this very content. Sending again what has arrived changes nothing, where it can tell.
    """

    def connect(self) -> None:
        """Make sure that traces can be taken."""
        ...

    def reconnect(self) -> None:
        """Forget what is known of the destination: another one may answer next time."""
        ...

    def send(self, traces: Sequence[Trace], remote: Sequence[RemoteSpans]) -> int:
        """Deliver all of it; return how many traces arrived without their documents."""
        ...

    def verify(self, traces: Sequence[Trace]) -> int:
        """Read traces back; return how many are complete, raise when one is not."""
        ...


class RemoteSpanSource(Protocol):
    """Spans that other services sent for our traces."""

    def take(self) -> list[RemoteSpans]:
        """Return those of kept traces that arrived since the last call."""
        ...

    def of(self, trace_id: str) -> Sequence[RemoteSpans]:
        """Return those of one trace."""
        ...
