"""The shipper against a real MLflow server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from mangaassist.adapters.embedded.trace_backlog import SpoolBacklog, cursor_file
from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.adapters.mlflow.names import attachment_id, mlflow_id
from mangaassist.adapters.mlflow.shipper import MlflowDestination, ship_feedback
from mangaassist.domain.trace import Trace
from mangaassist.jobs.shipping import ShippingReport, TraceShipper
from tests.support.mlflow_server import MlflowServer
from tests.support.spools import fill
from tests.support.stored import make_feedback
from tests.support.traces import TraceMaker

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def client(server: MlflowServer) -> Iterator[MlflowClient]:
    client = MlflowClient(server.url, experiment="shop", timeout_s=30.0)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module")
def make() -> TraceMaker:
    # one for all tests: ids are unique on the server
    return TraceMaker()


def ship(spool: Path, client: MlflowClient) -> ShippingReport:
    return TraceShipper(SpoolBacklog(spool), MlflowDestination(client)).ship()


def stored(server: MlflowServer, trace: Trace) -> dict[str, Any]:
    answer = httpx.get(
        f"{server.url}/api/3.0/mlflow/traces/get", params={"trace_id": mlflow_id(trace.trace_id)}, timeout=30
    )
    document: dict[str, Any] = answer.json()["trace"]
    return document


def test_a_trace_is_there_with_spans_tags_tokens_session_and_snapshot(
    server: MlflowServer, client: MlflowClient, make: TraceMaker, tmp_path: Path
) -> None:
    (trace,) = fill(tmp_path, make, 1)
    assert ship(tmp_path, client) == ShippingReport(shipped=1, verified=1)
    document = stored(server, trace)
    assert {span["name"] for span in document["spans"]} == {span.name for span in trace.spans}
    assert len(document["spans"]) == len(trace.spans)
    info = document["trace_info"]
    assert trace.tags.items() <= info["tags"].items()
    assert info["client_request_id"] == trace.response_id
    assert (info["request_preview"], info["response_preview"]) == (
        trace.request_preview,
        trace.response_preview,
    )
    metadata = info["trace_metadata"]
    assert metadata["mlflow.trace.session"] == trace.session_id
    assert orjson.loads(metadata["mlflow.trace.tokenUsage"])["total_tokens"] == 720
    snapshot = httpx.get(
        f"{server.url}/ajax-api/2.0/mlflow/get-trace-artifact",
        params={
            "request_id": mlflow_id(trace.trace_id),
            "path": attachment_id(trace.trace_id, "chunk_snapshot.json"),
        },
        timeout=30,
    )
    assert snapshot.text == trace.artifacts["chunk_snapshot.json"]


def test_sending_twice_changes_nothing(
    server: MlflowServer, client: MlflowClient, make: TraceMaker, tmp_path: Path
) -> None:
    (trace,) = fill(tmp_path, make, 1)
    event = make_feedback(trace.response_id, feedback_id=f"fb_{trace.response_id}", trace_id=trace.trace_id)
    ship(tmp_path, client)
    assert ship_feedback(client, [event]) == [event.feedback_id]
    before = stored(server, trace)
    cursor_file(tmp_path).unlink()
    assert ship(tmp_path, client).shipped == 1
    assert ship_feedback(client, [event]) == [event.feedback_id]
    assert stored(server, trace) == before
    (assessment,) = before["trace_info"]["assessments"]
    assert (assessment["assessment_name"], assessment["feedback"]) == (
        "user_feedback",
        {"value": "thumbs_down"},
    )


def test_a_deleted_experiment_comes_back(
    server: MlflowServer, client: MlflowClient, make: TraceMaker, tmp_path: Path
) -> None:
    experiment_id = client.experiment_id()
    httpx.post(
        f"{server.url}/api/2.0/mlflow/experiments/delete", json={"experiment_id": experiment_id}, timeout=30
    ).raise_for_status()
    (trace,) = fill(tmp_path, make, 1)
    assert ship(tmp_path, client).shipped == 1
    assert len(stored(server, trace)["spans"]) == len(trace.spans)


def test_traces_wait_while_the_server_is_down_and_arrive_when_it_is_back(
    server: MlflowServer, client: MlflowClient, make: TraceMaker, tmp_path: Path
) -> None:
    server.stop()
    traces = fill(tmp_path, make, 3)
    shipper = TraceShipper(SpoolBacklog(tmp_path), MlflowDestination(client))
    report = shipper.ship()
    assert report.shipped == 0
    assert report.problem is not None
    server.start()
    assert shipper.ship() == ShippingReport(shipped=3, verified=3)
    for trace in traces:
        assert len(stored(server, trace)["spans"]) == len(trace.spans)
