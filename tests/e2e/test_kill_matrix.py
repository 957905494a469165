"""kill -9 of server, worker or MLflow at random moments: nothing that was acknowledged is lost or doubled."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_backlog import waiting_traces
from mangaassist.adapters.embedded.trace_codec import decode_trace
from mangaassist.adapters.embedded.trace_segments import list_segments, read_lines
from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.domain.trace_contract import violations
from tests.support.crashing import PATIENCE_S, Askers, Installation, Process, Promises

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

PROCESSES: tuple[Process, ...] = ("api", "worker", "mlflow")
MOMENTS = [
    pytest.param(1, id="small"),
    pytest.param(20, id="full", marks=pytest.mark.full_size),
]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.mark.parametrize("moments", MOMENTS)
def test_killing_any_process_at_any_moment_loses_and_doubles_nothing_acknowledged(
    installation: Installation, moments: int
) -> None:
    random = Random(moments)
    plan = [process for process in PROCESSES for _ in range(moments)]
    random.shuffle(plan)
    askers = Askers(installation.url, count=2)
    for process in plan:
        askers.wait_for_more(random.randint(5, 40))
        installation.kill(process)
    askers.wait_for_more(10)
    promises = askers.stop()
    wait_until_everything_is_shipped(installation)
    assert len(promises.disliked) > moments
    check_database(installation.data_dir / "mangaassist.db", promises)
    check_spool(installation.data_dir / "spool", promises)
    check_mlflow(installation, promises)


def wait_until_everything_is_shipped(installation: Installation) -> None:
    end = time.monotonic() + PATIENCE_S
    database = installation.data_dir / "mangaassist.db"
    while waiting_traces(installation.data_dir / "spool").traces or waiting_feedback(database):
        assert time.monotonic() < end, "something still waits"
        time.sleep(0.2)


def waiting_feedback(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        count: int = connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return count


def check_database(database: Path, promises: Promises) -> None:
    """Turns, records and feedback: each promised one is there once."""
    with closing(sqlite3.connect(database)) as connection:
        for table in ("turns", "request_records"):
            stored = Counter(row[0] for row in connection.execute(f"SELECT response_id FROM {table}"))
            assert set(promises.answers) <= set(stored), table
            assert set(stored.values()) == {1}, table
        traces = dict(connection.execute("SELECT response_id, trace_id FROM request_records"))
        assert promises.answers.items() <= traces.items()
        rated = Counter(row[0] for row in connection.execute("SELECT response_id FROM feedback"))
    assert promises.disliked <= set(rated)
    assert set(rated.values()) == {1}


def check_spool(spool: Path, promises: Promises) -> None:
    """Every promised trace is whole, keeps the contract, and was written once."""
    archive = SpoolTraceArchive(spool)
    for response_id, trace_id in promises.answers.items():
        trace = archive.get(response_id)
        assert trace.trace_id == trace_id
        assert violations(trace) == []
    lines = [
        document for segment in list_segments(spool) for document, _ in read_lines(segment, 0) if document
    ]
    written = Counter(decode_trace(line).trace_id for line in lines)
    assert set(written.values()) == {1}


def check_mlflow(installation: Installation, promises: Promises) -> None:
    """Every promised trace is there with all spans, every promised feedback is on its trace once."""
    archive = SpoolTraceArchive(installation.data_dir / "spool")
    with closing(MlflowClient(installation.mlflow.url, experiment="mangaassist", timeout_s=60.0)) as client:
        for response_id, trace_id in promises.answers.items():
            assert client.span_count(trace_id) == len(archive.get(trace_id).spans)
            assessments = client.trace_info(trace_id).get("assessments", [])
            assert len(assessments) <= 1
            assert assessments or response_id not in promises.disliked
