"""A burst of answers with MLflow stopped, then started: every trace arrives, whole and once."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from benchmarks.trace_burst import run

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]


@pytest.mark.parametrize(
    "answers",
    [pytest.param(100, id="small"), pytest.param(5_000, id="full", marks=pytest.mark.full_size)],
)
def test_every_trace_of_a_burst_arrives_once_mlflow_is_back(tmp_path: Path, answers: int) -> None:
    report = run(tmp_path, Namespace(answers=answers, connections=8, rounds=0, round_answers=0))
    assert report["traces_in_mlflow"] == report["answers"] == answers, report
    assert report["dropped"] == report["incomplete"] == report["extra"] == 0, report
    assert report["complete"], report
