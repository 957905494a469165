"""How the traces of this machine stand: in the spool, at their destinations, dropped and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mangaassist.adapters.embedded.trace_backlog import waiting_traces
from mangaassist.adapters.embedded.trace_counts import total_counts
from mangaassist.adapters.embedded.trace_segments import HELD, REMOTE, spool_bytes
from mangaassist.bootstrap.clock import SystemClock
from mangaassist.bootstrap.observability import build_trace_keeper, read_worker_status, trace_destinations
from mangaassist.bootstrap.settings import Settings
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.domain.sampling import PROMOTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """What one destination has and lacks; `shipped` since the worker started."""

    name: str
    shipped: int
    pending: int
    oldest_pending_s: float
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStatus:
    """The counters of all processes of this machine whose files are still there, and what the spool holds."""

    accepted: int
    dropped: Mapping[str, int]
    held: int
    remote: int
    spool_bytes: int
    worker: str
    destinations: tuple[DestinationStatus, ...]
    kept_later: int
    feedback_shipped: int
    feedback_unjoined: int


def trace_status(settings: Settings) -> TraceStatus:
    """Count what is there; reads the spool, changes nothing."""
    directory, worker = settings.spool_dir, read_worker_status(settings) or {}
    counts = total_counts(directory)
    now = SystemClock().now()
    told = worker.get("destinations", {})
    return TraceStatus(
        accepted=counts.accepted,
        dropped=counts.dropped,
        held=waiting_traces(directory, lane=HELD, destination=None).traces,
        remote=waiting_traces(directory, lane=REMOTE, destination=None).traces,
        spool_bytes=spool_bytes(directory),
        worker=str(worker.get("state", "off")),
        destinations=tuple(
            _destination(settings, name, told.get(name, {}), now) for name in trace_destinations(settings)
        ),
        kept_later=worker.get("kept_later", 0),
        feedback_shipped=worker.get("feedback_shipped", 0),
        feedback_unjoined=worker.get("feedback_unjoined", 0),
    )


def keep_trace(settings: Settings, trace_id: str, *, reason: str) -> None:
    """Have a held trace shipped; raises `NotFoundError` when it is not here any more."""
    if reason not in PROMOTIONS:
        raise InvalidRequestError(
            f"no reason {reason!r}; known: {', '.join(sorted(PROMOTIONS))}", field="reason"
        )
    keeper = build_trace_keeper(settings, clock=SystemClock())
    try:
        if keeper.keep(trace_id, reason=reason) == "gone":
            raise NotFoundError(
                f"no trace {trace_id!r} on this machine; traces outside the sample are held for "
                f"{settings.trace_hold_hours:g} hours"
            )
    finally:
        keeper.close()


def _destination(
    settings: Settings, name: str, told: Mapping[str, object], now: datetime
) -> DestinationStatus:
    waiting = waiting_traces(settings.spool_dir, destination=name)
    age_s = 0.0
    if waiting.oldest_ns is not None:
        age_s = max(0.0, (now - datetime.fromtimestamp(waiting.oldest_ns / 1e9, UTC)).total_seconds())
    problem = told.get("problem")
    return DestinationStatus(
        name=name,
        shipped=int(str(told.get("shipped", 0))),
        pending=waiting.traces,
        oldest_pending_s=round(age_s, 3),
        problem=str(problem) if problem is not None else None,
    )
