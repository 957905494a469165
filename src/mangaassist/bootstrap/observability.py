"""Builds what carries traces: the spool of the API process, and the worker's way to MLflow."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_backlog import MLFLOW, OTLP, SpoolBacklog, shipped_everywhere
from mangaassist.adapters.embedded.trace_keeper import SpoolTraceKeeper
from mangaassist.adapters.embedded.trace_remote import SpoolRemoteSpans, SpoolRemoteSpanSource
from mangaassist.adapters.embedded.trace_spool import SpoolLimits, SpoolTraceSink
from mangaassist.adapters.embedded.trace_sweep import Retention, Swept, sweep_spool
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.ports.clock import Clock, IdFactory
from mangaassist.ports.feedback import FeedbackStore
from mangaassist.ports.traces import TraceDestination, TraceKeeper

if TYPE_CHECKING:
    # the API process imports this module: what only the worker needs stays out of it
    from mangaassist.adapters.sql.outbox import SqlOutbox

RETENTION_S = 7 * 86_400.0
KEEP_RATIO = 0.5
SWEPT_CONTENTS = 10_000
"""Contents removed at a time once their retention is over."""
"""How much of the spool's room shipped traces may take before the oldest go."""
REMOTE_RATIO = 0.1


def build_trace_sink(settings: Settings, *, clock: Clock) -> SpoolTraceSink:
    """Return this process's sink; close it when the process ends."""
    directory, destinations = settings.spool_dir, trace_destinations(settings)
    return SpoolTraceSink(
        directory,
        clock=clock,
        process_id=os.getpid(),
        limits=SpoolLimits(max_bytes=settings.trace_spool_mb * 1024 * 1024),
        shipped_offsets=lambda: shipped_everywhere(directory, destinations),
    )


def build_trace_archive(settings: Settings) -> SpoolTraceArchive:
    """Return the archive of this machine's spool."""
    return SpoolTraceArchive(settings.spool_dir)


def build_trace_keeper(settings: Settings, *, clock: Clock) -> SpoolTraceKeeper:
    """Return what keeps held traces of this machine's spool."""
    return SpoolTraceKeeper(settings.spool_dir, clock=clock, process_id=os.getpid())


def build_remote_spans(settings: Settings, *, clock: Clock) -> SpoolRemoteSpans:
    """Return what takes in the spans of other services."""
    return SpoolRemoteSpans(
        settings.spool_dir,
        clock=clock,
        process_id=os.getpid(),
        max_bytes=int(REMOTE_RATIO * settings.trace_spool_mb * 1024 * 1024),
    )


class SpanStore:
    """Takes OTLP of other services in; the protobuf libraries are loaded by the first request."""

    def __init__(self, store: SpoolRemoteSpans, *, redact: Callable[[str], str], clock: Clock) -> None:
        self._store = store
        self._redact = redact
        self._clock = clock
        self._lock = threading.Lock()  # invariant: one request at a time writes to the segment

    def take(self, body: bytes, as_json: bool) -> None:
        """Store the spans of an export request, redacted.

        Raises `InvalidRequestError` for what is no OTLP, `DependencyError` when it cannot be stored.
        """
        from mangaassist.adapters.otlp.messages import received_spans

        received = received_spans(
            body, as_json=as_json, received_at_ns=self._clock.time_ns(), redact=self._redact
        )
        with self._lock:
            self._store.add(received)


def trace_destinations(settings: Settings) -> tuple[str, ...]:
    """Return the names of the places that traces are shipped to."""
    return (MLFLOW,) if settings.otlp_url is None else (MLFLOW, OTLP)


def worker_status_file(settings: Settings) -> Path:
    """Where the worker says how it is."""
    return settings.data_dir / "worker.json"


def read_worker_status(settings: Settings) -> dict[str, Any] | None:
    """Return what the worker said last, or None when none has run."""
    try:
        content = orjson.loads(worker_status_file(settings).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def public_url(url: str) -> str:
    """Return an address without the user and password it may carry."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def mlflow_trace_url(settings: Settings, trace_id: str) -> str | None:
    """Return the address of a trace's page, or None until the worker knows the experiment."""
    status = read_worker_status(settings) or {}
    experiment_id, url = status.get("experiment_id"), status.get("mlflow_url")
    if experiment_id is None or url is None:
        return None
    return f"{url}/#/experiments/{experiment_id}/traces?selectedEvaluationId=tr-{trace_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One destination with what waits for it; each has a cursor of its own."""

    name: str
    backlog: SpoolBacklog
    destination: TraceDestination
    remote: SpoolRemoteSpanSource


async def _nothing() -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerServices:
    """Everything the worker uses; `copy_records` and `sweep_contents` say how many rows they dealt with."""

    deliveries: Sequence[Delivery]
    keeper: TraceKeeper
    ship_feedback: Callable[[Iterable[FeedbackEvent]], list[str]]
    sweep: Callable[[float], Swept]
    known_experiment_id: Callable[[], str | None]
    feedback: FeedbackStore
    outbox: SqlOutbox
    clock: Clock
    mlflow_url: str
    copy_records: Callable[[], Awaitable[int]] = _nothing
    sweep_contents: Callable[[], Awaitable[int]] = _nothing


@asynccontextmanager
async def open_worker_services(
    settings: Settings, *, clock: Clock, ids: IdFactory
) -> AsyncIterator[WorkerServices]:
    """Open the worker's services; MLflow may be down."""
    from mangaassist.adapters.mlflow.client import MlflowClient
    from mangaassist.adapters.mlflow.shipper import MlflowDestination, ship_feedback
    from mangaassist.adapters.sql.storage import SqlStorage
    from mangaassist.bootstrap.records import columnar_copy, copy_pending

    client = MlflowClient(settings.effective_mlflow_url, experiment=settings.mlflow_experiment)
    async with AsyncExitStack() as stack:
        stack.callback(client.close)
        destinations: dict[str, TraceDestination] = {MLFLOW: MlflowDestination(client)}
        if settings.otlp_url is not None:
            destinations[OTLP] = _open_otlp(settings, settings.otlp_url, stack)
        deliveries = [_delivery(settings, name, destination) for name, destination in destinations.items()]
        keeper = build_trace_keeper(settings, clock=clock)
        stack.callback(keeper.close)
        storage = await SqlStorage.open(settings.effective_database_url, clock=clock, ids=ids)
        stack.push_async_callback(storage.close)

        async def copy_records() -> int:
            copied = await copy_pending(storage, columnar_copy(settings), clock=clock)
            return copied.records + copied.feedback

        yield WorkerServices(
            deliveries=deliveries,
            keeper=keeper,
            ship_feedback=lambda events: ship_feedback(client, events),
            sweep=lambda now_s: sweep_spool(
                settings.spool_dir,
                [delivery.backlog for delivery in deliveries],
                now_s=now_s,
                retention=retention_of(settings),
            ),
            known_experiment_id=lambda: client.known_experiment_id,
            feedback=storage.feedback,
            outbox=storage.outbox,
            clock=clock,
            mlflow_url=public_url(settings.effective_mlflow_url),
            copy_records=copy_records,
            sweep_contents=lambda: storage.contents.sweep(clock.now(), limit=SWEPT_CONTENTS),
        )


def retention_of(settings: Settings) -> Retention:
    """Return how long and how much of the spool stays."""
    return Retention(
        shipped_s=RETENTION_S,
        shipped_bytes=int(KEEP_RATIO * settings.trace_spool_mb * 1024 * 1024),
        held_s=settings.trace_hold_hours * 3_600.0,
    )


def _delivery(settings: Settings, name: str, destination: TraceDestination) -> Delivery:
    return Delivery(
        name=name,
        backlog=SpoolBacklog(settings.spool_dir, destination=name),
        destination=destination,
        remote=SpoolRemoteSpanSource(settings.spool_dir),
    )


def _open_otlp(settings: Settings, url: str, stack: AsyncExitStack) -> TraceDestination:
    from mangaassist.adapters.otlp.destination import OtlpDestination, parse_headers

    headers = settings.otlp_headers.get_secret_value() if settings.otlp_headers else ""
    destination = OtlpDestination(url, headers=parse_headers(headers))
    stack.callback(destination.close)
    return destination
