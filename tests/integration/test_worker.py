from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx

from mangaassist.adapters.embedded.trace_backlog import MLFLOW, SpoolBacklog
from mangaassist.adapters.embedded.trace_keeper import SpoolTraceKeeper
from mangaassist.adapters.embedded.trace_remote import SpoolRemoteSpanSource
from mangaassist.adapters.embedded.trace_sweep import sweep_spool
from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.adapters.mlflow.shipper import MlflowDestination, ship_feedback
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.observability import (
    Delivery,
    WorkerServices,
    mlflow_trace_url,
    read_worker_status,
    retention_of,
    worker_status_file,
)
from mangaassist.bootstrap.settings import Settings, load_settings
from mangaassist.domain.trace import Trace
from mangaassist.jobs.feedback_delivery import GIVE_UP
from mangaassist.jobs.worker import Worker
from tests.support.fake_mlflow import FakeMlflow
from tests.support.spools import fill
from tests.support.stored import make_feedback, make_write
from tests.support.traces import TraceMaker


class Workplace:
    """A worker with a real spool and database beside an MLflow in memory."""

    def __init__(self, settings: Settings, storage: SqlStorage, make: TraceMaker) -> None:
        self.settings = settings
        self.storage = storage
        self.make = make
        self.mlflow = FakeMlflow()
        self.client = MlflowClient("http://mlflow.test", experiment="shop", transport=self.mlflow.transport())
        backlog = SpoolBacklog(settings.spool_dir)
        self.worker = Worker(
            WorkerServices(
                deliveries=[
                    Delivery(
                        name=MLFLOW,
                        backlog=backlog,
                        destination=MlflowDestination(self.client),
                        remote=SpoolRemoteSpanSource(settings.spool_dir),
                    )
                ],
                keeper=SpoolTraceKeeper(settings.spool_dir, clock=make.clock, process_id=2),
                ship_feedback=lambda events: ship_feedback(self.client, events),
                sweep=lambda now_s: sweep_spool(
                    settings.spool_dir, [backlog], now_s=now_s, retention=retention_of(settings)
                ),
                known_experiment_id=lambda: self.client.known_experiment_id,
                feedback=storage.feedback,
                outbox=storage.outbox,
                clock=make.clock,
                mlflow_url=settings.effective_mlflow_url,
            ),
            status_file=worker_status_file(settings),
            random=Random(1),
        )

    async def rate(self, trace: Trace) -> None:
        write = make_write(trace.response_id)
        record = replace(write.record, trace_id=trace.trace_id)
        await self.storage.sessions.append(replace(write, record=record))
        event = make_feedback(trace.response_id, trace_id=trace.trace_id)
        assert await self.storage.feedback.add(event, owner=write.owner) == "stored"

    def status(self) -> dict[str, object]:
        status = read_worker_status(self.settings)
        assert status is not None
        return status


@asynccontextmanager
async def workplace(folder: Path) -> AsyncIterator[Workplace]:
    settings = load_settings(data_dir=folder)
    make = TraceMaker()
    storage = await SqlStorage.open(settings.effective_database_url, clock=make.clock, ids=make.ids)
    place = Workplace(settings, storage, make)
    try:
        yield place
    finally:
        place.client.close()
        await storage.close()


async def test_a_pass_ships_traces_and_feedback_and_says_so(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        (trace,) = fill(place.settings.spool_dir, place.make, 1)
        await place.rate(trace)
        assert await place.worker.run_once() is None
        assert len(place.mlflow.infos[f"tr-{trace.trace_id}"]["assessments"]) == 1
        assert await place.storage.outbox.pending(limit=10) == ()
        status = place.status()
        assert (status["state"], status["shipped"], status["feedback_shipped"]) == ("running", 1, 1)
        assert status["pid"] == os.getpid()
        link = mlflow_trace_url(place.settings, trace.trace_id)
        assert (
            link == f"http://127.0.0.1:5000/#/experiments/1/traces?selectedEvaluationId=tr-{trace.trace_id}"
        )


async def test_with_mlflow_down_everything_waits_and_arrives_when_it_is_back(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        (trace,) = fill(place.settings.spool_dir, place.make, 1)
        await place.rate(trace)
        place.mlflow.fault = httpx.ConnectError("refused")
        for _ in range(3):
            problem = await place.worker.run_once()
            assert problem is not None
            assert "cannot be reached" in problem
        assert place.status()["state"] == "waiting"
        assert len(await place.storage.outbox.pending(limit=10)) == 1
        place.mlflow.fault = None
        assert await place.worker.run_once() is None
        assert (place.status()["shipped"], place.status()["feedback_shipped"]) == (1, 1)


async def test_feedback_whose_trace_never_comes_is_given_up_in_the_end_and_counted(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        await place.rate(place.make.answered())
        assert await place.worker.run_once() is None
        assert len(await place.storage.outbox.pending(limit=10)) == 1
        place.make.clock.advance((GIVE_UP + timedelta(seconds=1)).total_seconds())
        assert await place.worker.run_once() is None
        assert await place.storage.outbox.pending(limit=10) == ()
        assert place.status()["feedback_unjoined"] == 1


async def test_a_broken_part_is_reported_and_tried_again(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        fill(place.settings.spool_dir, place.make, 1)
        place.mlflow.fault = RuntimeError("a fault of our own")
        assert await place.worker.run_once() == "RuntimeError: a fault of our own"
        place.mlflow.fault = None
        assert await place.worker.run_once() is None


async def test_the_worker_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        running = asyncio.create_task(place.worker.run())
        place.worker.stop()
        async with asyncio.timeout(10):
            await running
        assert place.status()["state"] == "stopped"


def test_without_a_worker_there_is_no_link_and_no_status(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert read_worker_status(settings) is None
    assert mlflow_trace_url(settings, "f" * 32) is None
