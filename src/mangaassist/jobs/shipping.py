"""Carries the backlog to one destination: at least once, in order, verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mangaassist.domain.errors import DependencyError, DependencyRejectedError, DependencyUnavailableError
from mangaassist.domain.trace import RemoteSpans, Trace
from mangaassist.ports.traces import RemoteSpanSource, TraceBacklog, TraceDestination

BATCH_TRACES: Final = 50
MAX_REFUSALS: Final = 5
PASS_BATCHES: Final = 10
"""How many batches one pass ships: in between the worker tells how it is, and carries feedback."""


@dataclass(slots=True, kw_only=True)
class ShippingReport:
    """What one pass did; `problem` says what ended it, `more` that there is more to ship at once.

    `verified` traces were read back whole. `rejected` traces were refused by the destination again and again;
    `without_artifacts` arrived without their documents. Both stay in the spool for its retention.
    """

    shipped: int = 0
    verified: int = 0
    damaged: int = 0
    rejected: int = 0
    without_artifacts: int = 0
    remote: int = 0
    more: bool = False
    problem: str | None = None


class TraceShipper:
    """Ships one pass at a time; a pass never raises for what the destination does."""

    def __init__(
        self, backlog: TraceBacklog, destination: TraceDestination, *, remote: RemoteSpanSource | None = None
    ) -> None:
        self._backlog = backlog
        self._destination = destination
        self._remote = remote
        self._late: list[RemoteSpans] = []
        self._refusals: dict[str, int] = {}

    def ship(self, *, should_stop: Callable[[], bool] = lambda: False) -> ShippingReport:
        """Ship some batches, unless nothing waits any more, the destination fails or `should_stop`."""
        report = ShippingReport()
        try:
            self._destination.connect()
            if self._remote is not None:
                self._late += self._remote.take()
            for _ in range(PASS_BATCHES):
                batch = None if should_stop() else self._backlog.next_batch(BATCH_TRACES)
                report.more = batch is not None
                if batch is None:
                    break
                arrived = self._send(batch.traces, report)
                report.verified += self._destination.verify(arrived) if arrived else 0
                self._backlog.acknowledge(batch)
                report.shipped += len(arrived)
                report.rejected += len(batch.traces) - len(arrived)
                report.damaged += batch.damaged
            self._send_late(report)
        except DependencyError as error:
            self._destination.reconnect()
            report.more, report.problem = False, str(error)
        return report

    def _send(self, traces: Sequence[Trace], report: ShippingReport) -> list[Trace]:
        """Return the traces that arrived."""
        if not traces:
            return []
        try:
            self._send_all(traces, report)
            return list(traces)
        except DependencyRejectedError:
            # one bad trace refuses the whole batch; a deleted experiment refuses every trace
            self._destination.reconnect()
        arrived: list[Trace] = []
        for trace in traces:
            try:
                self._send_all([trace], report)
            except DependencyRejectedError as error:
                self._count_refusal(trace, error)
            else:
                arrived.append(trace)
        return arrived

    def _send_all(self, traces: Sequence[Trace], report: ShippingReport) -> None:
        remote = [spans for trace in traces for spans in self._remote_of(trace)]
        bare = self._destination.send(traces, remote)
        # counted once the whole batch is there: a failed one comes again
        report.without_artifacts += bare
        report.remote += len(remote)

    def _remote_of(self, trace: Trace) -> Sequence[RemoteSpans]:
        return self._remote.of(trace.trace_id) if self._remote is not None else ()

    def _send_late(self, report: ShippingReport) -> None:
        """Send what other services told of traces that had been shipped before."""
        if self._late:
            try:
                self._destination.send((), self._late)
                report.remote += len(self._late)
            except DependencyRejectedError:
                report.rejected += len(self._late)
            self._late = []

    def _count_refusal(self, trace: Trace, error: DependencyRejectedError) -> None:
        """Return when the trace has been refused often enough to be given up.

        MLflow answers some passing failures of its database like bad content, so one refusal proves nothing.
        """
        count = self._refusals.get(trace.trace_id, 0) + 1
        if count < MAX_REFUSALS:
            self._refusals[trace.trace_id] = count
            raise DependencyUnavailableError(f"trace {trace.trace_id}: {error}") from error
        self._refusals.pop(trace.trace_id, None)
