"""Seconds from process start to the first answered question, and to MLflow healthy.

Usage: python -m benchmarks.start [--json] [--runs N] [--fresh]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serve import free_port, machine, note

ROOT = Path(__file__).parents[1]
GIVE_UP_S = 180


def main() -> None:
    """Start `up`, ask, wait for MLflow, stop; several times."""
    parser = argparse.ArgumentParser(prog="mangaassist bench start", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="a new data directory for every run")
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory(prefix="mangaassist-start-") as folder:
        for number in range(arguments.runs):
            data_dir = Path(folder) / (str(number) if arguments.fresh else "data")
            runs.append(one_start(data_dir))
            note(f"run {number + 1} of {arguments.runs}: {runs[-1]}")
    report: dict[str, Any] = {"machine": machine(), "fresh": arguments.fresh, "runs": runs}
    for figure in ("first_answer_s", "mlflow_healthy_s", "clean_exit_s"):
        report[figure] = round(statistics.median(run[figure] for run in runs), 2)
    print(json.dumps(report, indent=2) if arguments.json else report)


def one_start(data_dir: Path) -> dict[str, float]:
    """Return the times of one start and one stop."""
    port, mlflow_port = free_port(), free_port()
    environment = {**os.environ, "MANGAASSIST_DATA_DIR": str(data_dir)}
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):
        # an installation starts from compiled modules; only the first run here compiles them
        environment["PYTHONPYCACHEPREFIX"] = str(data_dir.parent / "bytecode")
    command = [
        sys.executable,
        "-m",
        "mangaassist.cli",
        "up",
        "--port",
        str(port),
        "--mlflow-port",
        str(mlflow_port),
    ]
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        first_answer_s = _wait(lambda: _answered(port), process, started)
        mlflow_healthy_s = _wait(lambda: _healthy(mlflow_port), process, started)
        stopping = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        return {
            "first_answer_s": round(first_answer_s, 2),
            "mlflow_healthy_s": round(mlflow_healthy_s, 2),
            "clean_exit_s": round(time.monotonic() - stopping, 2),
        }
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _wait(ready: Any, process: subprocess.Popen[bytes], started: float) -> float:
    while time.monotonic() - started < GIVE_UP_S:
        if process.poll() is not None:
            raise SystemExit(f"`mangaassist up` ended by itself with status {process.returncode}")
        if ready():
            return time.monotonic() - started
        time.sleep(0.05)
    raise SystemExit(f"not ready within {GIVE_UP_S} s")


def _answered(port: int) -> bool:
    try:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/chat",
            json={"message": "how many volumes does Monster have"},
            timeout=10,
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and bool(answer.json()["text"])


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
