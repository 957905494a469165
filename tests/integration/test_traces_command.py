"""`mangaassist traces`: counters across processes, and keeping a held trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mangaassist.adapters.embedded.trace_backlog import SpoolBacklog
from mangaassist.bootstrap.settings import load_settings
from mangaassist.cli import traces
from mangaassist.domain.errors import InvalidRequestError, NotFoundError
from mangaassist.domain.trace import Trace
from tests.support.spools import fill, held, open_sink
from tests.support.traces import TraceMaker


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANGAASSIST_DATA_DIR", str(tmp_path))
    return load_settings().spool_dir


@pytest.fixture
def waiting(spool: Path) -> Trace:
    make = TraceMaker()
    fill(spool, make, 3)
    trace = held(make.answered())
    sink = open_sink(spool, make, process_id=2)
    sink.accept(trace)
    sink.close()
    return trace


def status() -> dict[str, Any]:
    shown = CliRunner().invoke(traces.app, ["status", "--json"])
    assert shown.exit_code == 0, shown.output
    document: dict[str, Any] = json.loads(shown.output)
    return document


def test_the_status_adds_up_what_all_processes_did(spool: Path, waiting: Trace) -> None:
    backlog = SpoolBacklog(spool)
    batch = backlog.next_batch(2)
    assert batch is not None
    backlog.acknowledge(batch)
    found = status()
    assert (found["accepted"], found["held"], found["dropped"], found["worker"]) == (4, 1, {}, "off")
    (mlflow,) = found["destinations"]
    assert (mlflow["name"], mlflow["pending"]) == ("mlflow", 1)


def test_the_status_can_be_read_by_people(waiting: Trace) -> None:
    shown = CliRunner().invoke(traces.app, ["status"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for piece in ("accepted 4", "held outside the sample 1", "dropped: none", "worker off"):
        assert piece in shown.output


def test_an_empty_machine_has_a_status_too(spool: Path) -> None:
    assert status()["accepted"] == 0


def test_a_held_trace_is_kept_by_hand_for_a_known_reason(spool: Path, waiting: Trace) -> None:
    kept = CliRunner().invoke(traces.app, ["keep", waiting.response_id, "--reason", "alert"])
    assert kept.exit_code == 0, kept.output
    backlog = SpoolBacklog(spool)
    batches = []
    while (batch := backlog.next_batch(10)) is not None:
        batches += [trace.sampling_reason for trace in batch.traces]
        backlog.acknowledge(batch)
    assert sorted(batches) == ["alert", "all", "all", "all"]
    for arguments, error in (
        (["keep", "resp_unknown"], NotFoundError),
        (["keep", waiting.response_id, "--reason", "whim"], InvalidRequestError),
    ):
        assert isinstance(CliRunner().invoke(traces.app, arguments).exception, error)
