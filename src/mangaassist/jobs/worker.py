"""The worker: carries traces and feedback to MLflow, copies records, and keeps spool and contents small."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import orjson

from mangaassist.bootstrap.observability import WorkerServices
from mangaassist.jobs.feedback_delivery import FeedbackDelivery
from mangaassist.jobs.shipping import ShippingReport, TraceShipper

POLL_S = 1.0
MAX_BACK_OFF_S = 15.0
SWEEP_EVERY_S = 300.0
COPY_EVERY_S = 10.0


@dataclass(slots=True, kw_only=True)
class WorkerTotals:
    """What the worker did since it started; the figures of traces are those of MLflow."""

    shipped: int = 0
    verified: int = 0
    damaged: int = 0
    rejected: int = 0
    without_artifacts: int = 0
    remote: int = 0
    kept_later: int = 0
    feedback_shipped: int = 0
    feedback_unjoined: int = 0
    swept_segments: int = 0
    torn_bytes: int = 0
    copied_rows: int = 0
    swept_contents: int = 0

    def add(self, report: ShippingReport) -> None:
        """Add what one pass shipped."""
        self.shipped += report.shipped
        self.verified += report.verified
        self.damaged += report.damaged
        self.rejected += report.rejected
        self.without_artifacts += report.without_artifacts
        self.remote += report.remote


class Worker:
    """Works in passes until stopped; whatever is down, it waits and tries again.

    Its state is in `status_file` after every pass: for `doctor`, `traces status` and the link to MLflow.
    """

    def __init__(self, services: WorkerServices, *, status_file: Path, random: Random) -> None:
        self._services = services
        self._status_file = status_file
        self._random = random
        self._stop = asyncio.Event()
        self._totals = WorkerTotals()
        self._failures = 0
        self._more = False
        self._started_at = services.clock.now()
        self._next_sweep = self._next_copy = self._started_at
        self._feedback = FeedbackDelivery(services)
        self._shippers = {
            delivery.name: TraceShipper(delivery.backlog, delivery.destination, remote=delivery.remote)
            for delivery in services.deliveries
        }
        self._destinations: dict[str, dict[str, object]] = {}

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
        problems: list[str] = []
        try:
            self._totals.kept_later += await self._feedback.keep_traces(should_stop=self._stop.is_set)
            # one destination that is down does not hold the others up
            reports = await asyncio.gather(*(self._ship(name) for name in self._shippers))
            problems += [report.problem for report in reports if report.problem is not None]
            self._more = any(report.more for report in reports)
            # feedback goes to the first destination, MLflow
            if reports[0].problem is None:
                problems += await self._deliver_feedback()
        except Exception as error:  # the boundary of the job: it is reported, and tried again
            problems.append(f"{type(error).__name__}: {error}")
        try:
            await self._copy_records()
            await self._sweep()
        except Exception as error:  # the same boundary: a copy that fails does not hold up the shipping
            problems.append(f"{type(error).__name__}: {error}")
        problem = "; ".join(problems) or None
        self._write_status("waiting" if problem else "running", problem)
        return problem

    async def _ship(self, name: str) -> ShippingReport:
        report = await asyncio.to_thread(self._shippers[name].ship, should_stop=self._stop.is_set)
        if name == self._services.deliveries[0].name:
            self._totals.add(report)
        earlier = self._destinations.get(name, {"shipped": 0})
        shipped = int(str(earlier["shipped"])) + report.shipped
        self._destinations[name] = {"shipped": shipped, "problem": report.problem}
        return report

    async def _deliver_feedback(self) -> list[str]:
        report = await self._feedback.deliver(should_stop=self._stop.is_set)
        self._totals.feedback_shipped += report.shipped
        self._totals.feedback_unjoined += report.unjoined
        return [report.problem] if report.problem is not None else []

    async def _copy_records(self) -> None:
        now = self._services.clock.now()
        if now >= self._next_copy:
            self._next_copy = now + timedelta(seconds=COPY_EVERY_S)
            self._totals.copied_rows += await self._services.copy_records()

    async def _sweep(self) -> None:
        now = self._services.clock.now()
        if now >= self._next_sweep:
            self._next_sweep = now + timedelta(seconds=SWEEP_EVERY_S)
            swept = self._services.sweep(now.timestamp())
            self._totals.swept_segments += swept.segments
            self._totals.torn_bytes += swept.torn_bytes
            self._totals.swept_contents += await self._services.sweep_contents()

    def _pause_s(self) -> float:
        if not self._failures:
            return 0.0 if self._more else POLL_S
        ceiling = min(MAX_BACK_OFF_S, POLL_S * 2 ** min(self._failures, 10))
        return self._random.uniform(ceiling / 2, ceiling)

    def _write_status(self, state: str, problem: str | None) -> None:
        services = self._services
        document = {
            "pid": os.getpid(),
            "state": state,
            "problem": problem,
            "started_at": _stamp(self._started_at),
            "updated_at": _stamp(services.clock.now()),
            "mlflow_url": services.mlflow_url,
            "experiment_id": services.known_experiment_id(),
            "pending_bytes": services.deliveries[0].backlog.pending_bytes(),
            "destinations": self._destinations,
            **asdict(self._totals),
        }
        temporary = self._status_file.with_suffix(".tmp")
        # a full disk costs the status, not the worker
        with contextlib.suppress(OSError):
            temporary.write_bytes(orjson.dumps(document))
            temporary.replace(self._status_file)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
