"""Moves traces and feedback to MLflow: at least once, in order, idempotent by trace id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.domain.errors import DependencyError, DependencyRejectedError, DependencyUnavailableError
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.trace import Trace, TraceBatch

BATCH_TRACES = 50
MAX_REFUSALS = 5


class TraceBacklog(Protocol):
    """Traces that wait; a batch comes again until it is acknowledged."""

    def next_batch(self, limit: int) -> TraceBatch | None:
        """Return the oldest waiting traces, or None."""
        ...

    def acknowledge(self, batch: TraceBatch) -> None:
        """Remember durably that a batch has been dealt with."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingReport:
    """What one pass did; `problem` says why it ended before the backlog was empty.

    Of every batch one trace is read back (`verified`). `rejected` traces were refused by the server
    again and again; `without_artifacts` arrived without their documents. Both stay in the spool for its
    retention.
    """

    shipped: int = 0
    verified: int = 0
    damaged: int = 0
    rejected: int = 0
    without_artifacts: int = 0
    problem: str | None = None


class TraceShipper:
    """Ships one pass at a time; a pass never raises for what the server does."""

    def __init__(self, backlog: TraceBacklog, client: MlflowClient) -> None:
        self._backlog = backlog
        self._client = client
        self._refusals: dict[str, int] = {}

    def ship(self, *, should_stop: Callable[[], bool] = lambda: False) -> ShippingReport:
        """Ship until nothing waits, the server fails or `should_stop`."""
        shipped = verified = damaged = rejected = without_artifacts = 0
        problem = self._connect()
        while problem is None and not should_stop():
            batch = self._backlog.next_batch(BATCH_TRACES)
            if batch is None:
                break
            try:
                sent, bare = self._send(batch.traces)
                if sent:
                    self._verify(sent[-1])
                    verified += 1
            except DependencyError as error:
                # another server may answer next time
                self._client.forget_experiment()
                problem = str(error)
                break
            self._backlog.acknowledge(batch)
            shipped += len(sent)
            rejected += len(batch.traces) - len(sent)
            without_artifacts += bare
            damaged += batch.damaged
        return ShippingReport(
            shipped=shipped,
            verified=verified,
            damaged=damaged,
            rejected=rejected,
            without_artifacts=without_artifacts,
            problem=problem,
        )

    def _connect(self) -> str | None:
        """Make sure that the experiment exists; return why it cannot be."""
        try:
            self._client.experiment_id()
        except DependencyError as error:
            return str(error)
        return None

    def _send(self, traces: Sequence[Trace]) -> tuple[list[Trace], int]:
        """Return the traces that arrived, and how many of them without their documents."""
        if not traces:
            return [], 0
        try:
            return list(traces), self._send_all(traces)
        except DependencyRejectedError:
            # one bad trace refuses the whole batch; a deleted experiment refuses every trace
            self._client.forget_experiment()
        arrived: list[Trace] = []
        bare = 0
        for trace in traces:
            try:
                bare += self._send_all([trace])
            except DependencyRejectedError as error:
                self._count_refusal(trace, error)
            else:
                arrived.append(trace)
        return arrived, bare

    def _send_all(self, traces: Sequence[Trace]) -> int:
        self._client.send_spans(traces)
        bare = 0
        for trace in traces:
            uris = self._put_artifacts(trace)
            bare += len(uris) < len(trace.artifacts)
            self._client.send_info(trace, artifact_uris=uris)
        return bare

    def _put_artifacts(self, trace: Trace) -> dict[str, str]:
        uris: dict[str, str] = {}
        for name, content in trace.artifacts.items():
            try:
                uri = self._client.put_artifact(trace, name, content)
            except DependencyRejectedError:
                # a server without artifact storage still gets the trace
                continue
            uris[f"{name.rsplit('.', 1)[0]}_uri"] = uri
        return uris

    def _count_refusal(self, trace: Trace, error: DependencyRejectedError) -> None:
        """Return when the trace has been refused often enough to be given up.

        MLflow answers some passing failures of its database like bad content, so one refusal proves nothing.
        """
        count = self._refusals.get(trace.trace_id, 0) + 1
        if count < MAX_REFUSALS:
            self._refusals[trace.trace_id] = count
            raise DependencyUnavailableError(f"trace {trace.trace_id}: {error}") from error
        self._refusals.pop(trace.trace_id, None)

    def _verify(self, trace: Trace) -> None:
        """Read one trace back: an answer of 200 alone may come from something that is not MLflow."""
        try:
            stored = self._client.span_count(trace.trace_id)
        except DependencyRejectedError:
            stored = 0
        if stored < len(trace.spans):
            raise DependencyUnavailableError(
                f"MLflow has {stored} of the {len(trace.spans)} spans of trace {trace.trace_id}"
            )


def ship_feedback(client: MlflowClient, events: Iterable[FeedbackEvent]) -> list[str]:
    """Attach feedback to traces; return the ids of the events that are there now.

    An event whose trace has not arrived yet is left for the next pass.
    """
    done: list[str] = []
    for event in events:
        try:
            client.send_feedback(event)
        except DependencyRejectedError:
            continue
        except DependencyError:
            break
        done.append(event.feedback_id)
    return done
