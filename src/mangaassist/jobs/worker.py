"""The worker: carries traces and feedback to MLflow and keeps the spool small."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import orjson

from mangaassist.bootstrap.observability import WorkerServices
from mangaassist.domain.errors import DependencyError

POLL_S = 1.0
MAX_BACK_OFF_S = 15.0
SWEEP_EVERY_S = 300.0
FEEDBACK_LIMIT = 200
FEEDBACK_GIVE_UP = timedelta(days=7)


@dataclass(slots=True, kw_only=True)
class WorkerTotals:
    """What the worker did since it started."""

    shipped: int = 0
    verified: int = 0
    damaged: int = 0
    rejected: int = 0
    without_artifacts: int = 0
    feedback_shipped: int = 0
    feedback_unjoined: int = 0
    swept_segments: int = 0


class Worker:
    """Works in passes until stopped; whatever is down, it waits and tries again.

    Its state is in `status_file` after every pass: for `doctor`, the metrics and the link to MLflow.
    """

    def __init__(self, services: WorkerServices, *, status_file: Path, random: Random) -> None:
        self._services = services
        self._status_file = status_file
        self._random = random
        self._stop = asyncio.Event()
        self._totals = WorkerTotals()
        self._failures = 0
        self._started_at = services.clock.now()
        self._next_sweep = self._started_at

    def stop(self) -> None:
        """End after the trace that is being sent."""
        self._stop.set()

    async def run(self) -> None:
        """Work until `stop`."""
        while not self._stop.is_set():
            problem = await self.run_once()
            self._failures = self._failures + 1 if problem else 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._stop.wait()
        self._write_status("stopped", None)

    async def run_once(self) -> str | None:
        """Do one pass; return what kept it from finishing."""
        try:
            problem = await self._ship_traces() or await self._ship_feedback()
        except Exception as error:  # the boundary of the job: it is reported, and tried again
            problem = f"{type(error).__name__}: {error}"
        self._sweep()
        self._write_status("waiting" if problem else "running", problem)
        return problem

    async def _ship_traces(self) -> str | None:
        report = await asyncio.to_thread(self._services.shipper.ship, should_stop=self._stop.is_set)
        self._totals.shipped += report.shipped
        self._totals.verified += report.verified
        self._totals.damaged += report.damaged
        self._totals.rejected += report.rejected
        self._totals.without_artifacts += report.without_artifacts
        return report.problem

    async def _ship_feedback(self) -> str | None:
        """Attach waiting feedback to its traces; what waits for its trace for a week is given up."""
        services = self._services
        now = services.clock.now()
        for item in await services.outbox.pending(limit=FEEDBACK_LIMIT):
            if item.kind != "feedback" or self._stop.is_set():
                continue
            events = [
                event
                for event in await services.feedback.of_response(item.payload["response_id"])
                if event.feedback_id == item.payload["feedback_id"]
            ]
            try:
                arrived = await asyncio.to_thread(services.ship_feedback, events)
            except DependencyError as error:
                return str(error)
            if len(arrived) == len(events):
                self._totals.feedback_shipped += len(events)
            elif now - item.created_at < FEEDBACK_GIVE_UP:
                continue
            else:
                self._totals.feedback_unjoined += 1
            await services.outbox.done(item.item_id)
        return None

    def _sweep(self) -> None:
        now = self._services.clock.now()
        if now >= self._next_sweep:
            self._next_sweep = now + timedelta(seconds=SWEEP_EVERY_S)
            self._totals.swept_segments += self._services.sweep(now.timestamp())

    def _pause_s(self) -> float:
        if not self._failures:
            return POLL_S
        ceiling = min(MAX_BACK_OFF_S, POLL_S * 2 ** min(self._failures, 10))
        return self._random.uniform(ceiling / 2, ceiling)

    def _write_status(self, state: str, problem: str | None) -> None:
        services, totals = self._services, self._totals
        document = {
            "pid": os.getpid(),
            "state": state,
            "problem": problem,
            "started_at": _stamp(self._started_at),
            "updated_at": _stamp(services.clock.now()),
            "mlflow_url": services.mlflow_url,
            "experiment_id": services.known_experiment_id(),
            "pending_bytes": services.pending_bytes(),
            "shipped": totals.shipped,
            "verified": totals.verified,
            "damaged": totals.damaged,
            "rejected": totals.rejected,
            "without_artifacts": totals.without_artifacts,
            "feedback_shipped": totals.feedback_shipped,
            "feedback_unjoined": totals.feedback_unjoined,
            "swept_segments": totals.swept_segments,
        }
        temporary = self._status_file.with_suffix(".tmp")
        temporary.write_bytes(orjson.dumps(document))
        temporary.replace(self._status_file)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
