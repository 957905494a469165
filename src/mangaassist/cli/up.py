"""`mangaassist up`, `serve` and `worker`: the whole product, or one of its processes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mangaassist.bootstrap.settings import Settings

PortOption = Annotated[
    int | None, typer.Option("--port", help="Port of the chat and the API.", show_default="8000")
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where everything is stored.", show_default="var")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="API processes.", show_default="1")
]
PerCoreOption = Annotated[bool, typer.Option("--worker-per-core", help="One API process for every core.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command(
        help="Start chat, worker and MLflow together; Ctrl-C ends them all.",
        epilog="Examples:  mangaassist up   ·   mangaassist up --port 8080 --no-mlflow",
    )(up)
    app.command(help="Start the chat and API server alone.")(serve)
    app.command(help="Start the worker alone: it carries traces and feedback to MLflow.")(worker)


def up(
    port: PortOption = None,
    host: HostOption = None,
    data_dir: DataDirOption = None,
    workers: WorkersOption = None,
    worker_per_core: PerCoreOption = False,
    mlflow_port: Annotated[
        int | None, typer.Option(help="Port of the embedded MLflow server.", show_default="5000")
    ] = None,
    mlflow: Annotated[bool, typer.Option(help="Start the embedded MLflow server.")] = True,
) -> None:
    """Start everything and keep it running; the exit code is 1 when the chat cannot be started."""
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.jobs.up import run_up

    settings = load_settings(
        port=port,
        host=host,
        data_dir=data_dir,
        workers=_workers(workers, per_core=worker_per_core),
        mlflow_port=mlflow_port,
    )
    problem = asyncio.run(run_up(settings, with_mlflow=mlflow, announce=_announce))
    if problem is not None:
        typer.echo(problem, err=True)
        raise typer.Exit(1)


def serve(
    port: PortOption = None,
    host: HostOption = None,
    data_dir: DataDirOption = None,
    workers: WorkersOption = None,
    worker_per_core: PerCoreOption = False,
) -> None:
    """Serve until interrupted."""
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.jobs.api_server import run_api_server
    from mangaassist.jobs.probes import require_free_port

    settings = load_settings(
        port=port, host=host, data_dir=data_dir, workers=_workers(workers, per_core=worker_per_core)
    )
    require_free_port(settings.host, settings.port, option="--port")
    _announce(f"chat: http://{settings.host}:{settings.port}/")
    run_api_server(settings)


def worker(data_dir: DataDirOption = None) -> None:
    """Work until interrupted."""
    from mangaassist.bootstrap.settings import load_settings
    from mangaassist.jobs.worker_process import run_worker

    settings: Settings = load_settings(data_dir=data_dir)
    _announce(f"worker: {settings.spool_dir} to {settings.mlflow_experiment!r} on MLflow")
    asyncio.run(run_worker(settings))


def _workers(count: int | None, *, per_core: bool) -> int | None:
    return max(1, len(os.sched_getaffinity(0))) if per_core else count


def _announce(line: str) -> None:
    print(line, flush=True)
