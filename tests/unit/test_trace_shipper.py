from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mangaassist.adapters.embedded.trace_backlog import SpoolBacklog
from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.adapters.mlflow.names import attachment_id
from mangaassist.adapters.mlflow.shipper import MlflowDestination, ship_feedback
from mangaassist.domain.trace import Trace
from mangaassist.jobs.shipping import (
    BATCH_TRACES,
    MAX_REFUSALS,
    PASS_BATCHES,
    ShippingReport,
    TraceShipper,
)
from tests.support.fake_mlflow import REFUSED_TRACE_ID, FakeMlflow
from tests.support.spools import fill, open_sink
from tests.support.stored import make_feedback
from tests.support.traces import TraceMaker


@pytest.fixture
def mlflow() -> FakeMlflow:
    return FakeMlflow()


@pytest.fixture
def client(mlflow: FakeMlflow) -> MlflowClient:
    return MlflowClient("http://mlflow.test", experiment="shop", transport=mlflow.transport())


def shipper_of(directory: Path, client: MlflowClient) -> TraceShipper:
    return TraceShipper(SpoolBacklog(directory), MlflowDestination(client))


def test_every_waiting_trace_arrives_with_spans_tags_and_documents(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient
) -> None:
    traces = fill(tmp_path, TraceMaker(), 60)
    report = shipper_of(tmp_path, client).ship()
    assert report == ShippingReport(shipped=60, verified=60)
    for trace in traces:
        info = mlflow.infos[f"tr-{trace.trace_id}"]
        assert len(mlflow.spans[f"tr-{trace.trace_id}"]) == len(trace.spans)
        assert trace.tags.items() <= info["tags"].items()
        assert info["tags"]["mlflow.traceName"] == "handle_message"
        assert info["client_request_id"] == trace.response_id
        path = info["tags"]["chunk_snapshot_uri"].removeprefix("mlflow-artifacts:/")
        assert path.endswith(attachment_id(trace.trace_id, "chunk_snapshot.json"))
        assert mlflow.artifacts[path].decode() == trace.artifacts["chunk_snapshot.json"]


def test_what_was_shipped_is_not_shipped_again(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient
) -> None:
    fill(tmp_path, TraceMaker(), 1)
    shipper_of(tmp_path, client).ship()
    calls = mlflow.calls
    assert shipper_of(tmp_path, client).ship() == ShippingReport()
    assert mlflow.calls == calls


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(500, text="oops"),
        httpx.Response(503, text="starting"),
        httpx.Response(429, text="slow down"),
        httpx.Response(401, text="log in"),
        httpx.Response(404, text="<html>another server</html>"),
    ],
)
def test_whatever_may_pass_loses_nothing(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient, fault: httpx.Response | Exception
) -> None:
    fill(tmp_path, TraceMaker(), 2)
    shipper = shipper_of(tmp_path, client)
    mlflow.fault = fault
    for _ in range(2 * MAX_REFUSALS):
        report = shipper.ship()
        assert report.shipped == report.rejected == 0
        assert report.problem is not None
    mlflow.fault = None
    assert shipper.ship().shipped == 2


def test_a_server_that_answers_yes_and_stores_nothing_is_found_out(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient
) -> None:
    fill(tmp_path, TraceMaker(), 1)
    mlflow.loses_spans = True
    report = shipper_of(tmp_path, client).ship()
    assert report.shipped == 0
    assert report.problem is not None
    assert "0 of the 20 spans" in report.problem


@pytest.mark.parametrize("trace_id", [REFUSED_TRACE_ID, "no hexadecimal number"])
def test_a_refused_trace_is_given_up_after_some_passes_and_its_neighbours_arrive(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient, trace_id: str
) -> None:
    make = TraceMaker()
    good = [make.answered() for _ in range(2)]
    bad = replace(make.answered(), trace_id=trace_id)
    write(tmp_path, make, [good[0], bad, good[1]])
    shipper = shipper_of(tmp_path, client)
    for _ in range(MAX_REFUSALS - 1):
        assert shipper.ship().problem is not None
    assert shipper.ship() == ShippingReport(shipped=2, verified=2, rejected=1)
    assert set(mlflow.spans) == {f"tr-{trace.trace_id}" for trace in good}


def test_a_server_without_artifact_storage_still_gets_the_trace(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient
) -> None:
    (trace,) = fill(tmp_path, TraceMaker(), 1)
    mlflow.artifact_fault = httpx.Response(503, text="disabled due to `--no-serve-artifacts`")
    report = shipper_of(tmp_path, client).ship()
    assert report == ShippingReport(shipped=1, verified=1, without_artifacts=1)
    assert "chunk_snapshot_uri" not in mlflow.infos[f"tr-{trace.trace_id}"]["tags"]


def test_shipping_stops_between_batches_when_asked(tmp_path: Path, client: MlflowClient) -> None:
    fill(tmp_path, TraceMaker(), 60)
    answers = iter([False, True])
    assert shipper_of(tmp_path, client).ship(should_stop=lambda: next(answers)).shipped == 50


def test_feedback_waits_for_its_trace_and_is_attached_once(
    tmp_path: Path, mlflow: FakeMlflow, client: MlflowClient
) -> None:
    (trace,) = fill(tmp_path, TraceMaker(), 1)
    event = make_feedback(trace.response_id, trace_id=trace.trace_id)
    assert ship_feedback(client, [event]) == []
    shipper_of(tmp_path, client).ship()
    for _ in range(2):
        assert ship_feedback(client, [event]) == [event.feedback_id]
    (assessment,) = mlflow.infos[f"tr-{trace.trace_id}"]["assessments"]
    assert assessment["feedback"] == {"value": "thumbs_down"}
    assert assessment["rationale"] == "not_relevant"
    assert "too long" not in str(assessment), "a comment may hold anything; it stays in the database"


def write(directory: Path, make: TraceMaker, traces: list[Trace]) -> None:
    sink = open_sink(directory, make)
    for trace in traces:
        sink.accept(trace)
    sink.close()


def test_a_pass_ends_after_some_batches_and_says_that_there_is_more(
    tmp_path: Path, client: MlflowClient
) -> None:
    fill(tmp_path, TraceMaker(), PASS_BATCHES * BATCH_TRACES + 1)
    shipper = shipper_of(tmp_path, client)
    first, second = shipper.ship(), shipper.ship()
    assert (first.shipped, first.more) == (PASS_BATCHES * BATCH_TRACES, True)
    assert (second.shipped, second.more) == (1, False)
