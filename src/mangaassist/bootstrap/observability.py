"""Builds what carries traces: the spool of the API process, and the worker's way to MLflow."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_backlog import SpoolBacklog, shipped_offsets
from mangaassist.adapters.embedded.trace_spool import SpoolLimits, SpoolTraceSink
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.ports.clock import Clock, IdFactory
from mangaassist.ports.feedback import FeedbackStore

if TYPE_CHECKING:
    # the API process imports this module: what only the worker needs stays out of it
    from mangaassist.adapters.mlflow.shipper import TraceShipper
    from mangaassist.adapters.sql.outbox import SqlOutbox

RETENTION_S = 7 * 86_400.0
KEEP_BYTES = 512 * 1024 * 1024
FLUSH_S = 0.5


def build_trace_sink(settings: Settings, *, clock: Clock) -> SpoolTraceSink:
    """Return this process's sink; close it when the process ends."""
    directory = settings.spool_dir
    return SpoolTraceSink(
        directory,
        clock=clock,
        process_id=os.getpid(),
        limits=SpoolLimits(),
        shipped_offsets=lambda: shipped_offsets(directory),
    )


def build_trace_archive(settings: Settings, *, sink: SpoolTraceSink | None = None) -> SpoolTraceArchive:
    """Return the archive; with this process's `sink`, its newest traces are found too."""
    flush = (lambda: sink.flush(FLUSH_S)) if sink is not None else (lambda: None)
    return SpoolTraceArchive(settings.spool_dir, flush=flush)


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
class WorkerServices:
    """Everything the worker uses."""

    shipper: TraceShipper
    ship_feedback: Callable[[Iterable[FeedbackEvent]], list[str]]
    sweep: Callable[[float], int]
    pending_bytes: Callable[[], int]
    known_experiment_id: Callable[[], str | None]
    feedback: FeedbackStore
    outbox: SqlOutbox
    clock: Clock
    mlflow_url: str


@asynccontextmanager
async def open_worker_services(
    settings: Settings, *, clock: Clock, ids: IdFactory
) -> AsyncIterator[WorkerServices]:
    """Open the worker's services; MLflow may be down."""
    from mangaassist.adapters.mlflow.client import MlflowClient
    from mangaassist.adapters.mlflow.shipper import TraceShipper, ship_feedback
    from mangaassist.adapters.sql.storage import SqlStorage

    backlog = SpoolBacklog(settings.spool_dir)
    client = MlflowClient(settings.effective_mlflow_url, experiment=settings.mlflow_experiment)
    storage = await SqlStorage.open(settings.effective_database_url, clock=clock, ids=ids)
    try:
        yield WorkerServices(
            shipper=TraceShipper(backlog, client),
            ship_feedback=lambda events: ship_feedback(client, events),
            sweep=lambda now_s: backlog.sweep(now_s=now_s, retention_s=RETENTION_S, keep_bytes=KEEP_BYTES),
            pending_bytes=backlog.pending_bytes,
            known_experiment_id=lambda: client.known_experiment_id,
            feedback=storage.feedback,
            outbox=storage.outbox,
            clock=clock,
            mlflow_url=public_url(settings.effective_mlflow_url),
        )
    finally:
        client.close()
        await storage.close()
