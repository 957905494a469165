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

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_backlog import MLFLOW, OTLP, SpoolBacklog
from mangaassist.adapters.embedded.trace_keeper import SpoolTraceKeeper
from mangaassist.adapters.embedded.trace_remote import SpoolRemoteSpans, SpoolRemoteSpanSource
from mangaassist.adapters.embedded.trace_sweep import sweep_spool
from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.adapters.mlflow.shipper import MlflowDestination, ship_feedback
from mangaassist.adapters.otlp.destination import OtlpDestination
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
from mangaassist.domain.trace import RemoteSpans, Trace
from mangaassist.jobs.feedback_delivery import GIVE_UP, PAGE
from mangaassist.jobs.worker import Worker
from mangaassist.ports.traces import TraceDestination
from tests.support.fake_mlflow import FakeMlflow
from tests.support.spools import fill, held, open_sink
from tests.support.stored import make_feedback, make_write
from tests.support.traces import TraceMaker


class Workplace:
    """A worker with a real spool and database beside an MLflow in memory."""

    def __init__(
        self, settings: Settings, storage: SqlStorage, make: TraceMaker, otlp: httpx.Response | None = None
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.make = make
        self.mlflow = FakeMlflow()
        self.client = MlflowClient("http://mlflow.test", experiment="shop", transport=self.mlflow.transport())
        destinations: dict[str, TraceDestination] = {MLFLOW: MlflowDestination(self.client)}
        if otlp is not None:
            destinations[OTLP] = OtlpDestination(
                "http://collector.test", headers={}, transport=httpx.MockTransport(lambda request: otlp)
            )
        deliveries = [
            Delivery(
                name=name,
                backlog=SpoolBacklog(settings.spool_dir, destination=name),
                destination=destination,
                remote=SpoolRemoteSpanSource(settings.spool_dir),
            )
            for name, destination in destinations.items()
        ]
        self.worker = Worker(
            WorkerServices(
                deliveries=deliveries,
                keeper=SpoolTraceKeeper(settings.spool_dir, clock=make.clock, process_id=2),
                ship_feedback=lambda events: ship_feedback(self.client, events),
                sweep=lambda now_s: sweep_spool(
                    settings.spool_dir,
                    [delivery.backlog for delivery in deliveries],
                    now_s=now_s,
                    retention=retention_of(settings),
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
        event = make_feedback(
            trace.response_id, feedback_id=f"fb_{trace.response_id}", trace_id=trace.trace_id
        )
        assert await self.storage.feedback.add(event, owner=write.owner) == "stored"

    def status(self) -> dict[str, object]:
        status = read_worker_status(self.settings)
        assert status is not None
        return status


@asynccontextmanager
async def workplace(folder: Path, *, otlp: httpx.Response | None = None) -> AsyncIterator[Workplace]:
    settings = load_settings(data_dir=folder)
    make = TraceMaker()
    storage = await SqlStorage.open(settings.effective_database_url, clock=make.clock, ids=make.ids)
    place = Workplace(settings, storage, make, otlp)
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


async def test_disliked_answers_outside_the_sample_arrive_whole_with_their_feedback(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        sink = open_sink(place.settings.spool_dir, place.make)
        traces = [held(place.make.answered()) for _ in range(3)]
        for trace in traces:
            sink.accept(trace)
        sink.close()
        await place.worker.run_once()
        assert place.mlflow.infos == {}
        await place.rate(traces[1])
        assert await place.worker.run_once() is None
        (info,) = place.mlflow.infos.values()
        assert info["trace_id"] == f"tr-{traces[1].trace_id}"
        assert len(place.mlflow.spans[info["trace_id"]]) == len(traces[1].spans)
        assert len(info["assessments"]) == 1
        metadata = info["trace_metadata"]
        assert (metadata["sampling_reason"], metadata["sampling_weight"]) == ("feedback", "0")
        assert place.status()["kept_later"] == 1


async def test_feedback_that_finds_no_trace_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    async with workplace(tmp_path) as place:
        for _ in range(PAGE + 1):
            await place.rate(place.make.answered())
        (trace,) = fill(place.settings.spool_dir, place.make, 1)
        await place.rate(trace)
        assert await place.worker.run_once() is None
        assert place.status()["feedback_shipped"] == 1


async def test_spans_of_other_services_join_their_trace_before_and_after_it_is_shipped(
    tmp_path: Path,
) -> None:
    async with workplace(tmp_path) as place:
        spool = place.settings.spool_dir
        kept, waiting = place.make.answered(), held(place.make.answered())
        intake = SpoolRemoteSpans(spool, clock=place.make.clock, process_id=3, max_bytes=10**6)
        intake.add([remote(kept, "early"), remote(waiting, "early")])
        sink = open_sink(spool, place.make)
        sink.accept(kept)
        sink.accept(waiting)
        sink.close()
        await place.worker.run_once()
        assert len(place.mlflow.spans[f"tr-{kept.trace_id}"]) == len(kept.spans) + 1
        assert f"tr-{waiting.trace_id}" not in place.mlflow.spans
        place.make.clock.advance(1)
        intake.add([remote(kept, "later")])
        await place.worker.run_once()
        assert len(place.mlflow.spans[f"tr-{kept.trace_id}"]) == len(kept.spans) + 2
        await place.rate(waiting)
        await place.worker.run_once()
        assert len(place.mlflow.spans[f"tr-{waiting.trace_id}"]) == len(waiting.spans) + 1
        shown = SpoolTraceArchive(spool).get(kept.trace_id)
        assert [span.name for span in shown.spans[-2:]] == ["early", "later"]
        intake.close()


def remote(trace: Trace, name: str) -> RemoteSpans:
    """Return a span that another service made for a trace."""
    root = trace.root
    span = replace(root, name=name, span_id=f"{hash(name) & 0xFFFF:016x}", parent_id=root.span_id)
    return RemoteSpans(trace_id=trace.trace_id, service="pricing", received_at_ns=root.end_ns, spans=(span,))


async def test_a_second_destination_that_is_down_holds_nothing_else_up(tmp_path: Path) -> None:
    async with workplace(tmp_path, otlp=httpx.Response(503)) as place:
        (trace,) = fill(place.settings.spool_dir, place.make, 1)
        await place.rate(trace)
        problem = await place.worker.run_once()
        assert problem is not None
        assert "OTLP" in problem
        status = place.status()
        assert (status["shipped"], status["feedback_shipped"]) == (1, 1)
        assert SpoolBacklog(place.settings.spool_dir, destination=OTLP).next_batch(1) is not None
