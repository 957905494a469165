"""The command line of the embedded MLflow server: one worker, no job runner, SQLite and files."""

from __future__ import annotations

import sys
from pathlib import Path

from mangaassist.jobs.command import Command


def mlflow_server_command(directory: Path, *, host: str, port: int) -> Command:
    """Return how the embedded server is started; its files live under `directory`.

    Measured: four workers and the job runner cost 2 GB and 16 processes, this costs 2 processes.
    """
    folder = directory.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return Command(
        arguments=(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            host,
            "--port",
            str(port),
            "--workers",
            "1",
            "--backend-store-uri",
            f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination",
            str(folder / "artifacts"),
            "--serve-artifacts",
        ),
        environment={
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        },
    )
