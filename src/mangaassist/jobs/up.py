"""Chat, worker and MLflow, supervised together."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

from mangaassist.bootstrap.knowledge import index_is_complete
from mangaassist.bootstrap.processes import child_environment
from mangaassist.bootstrap.settings import Settings, find_store_dir, load_settings
from mangaassist.domain.errors import ConfigurationError
from mangaassist.jobs.command import Command
from mangaassist.jobs.mlflow_server import mlflow_server_command
from mangaassist.jobs.probes import answers, next_free_port, port_is_free, require_free_port
from mangaassist.jobs.supervisor import Child, Supervisor

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
MLFLOW_HOST = "127.0.0.1"


async def run_up(settings: Settings, *, with_mlflow: bool, announce: Callable[[str], None]) -> str | None:
    """Run until SIGTERM or SIGINT; return None, or why the chat could not be kept running.

    The chat does not wait for anything; MLflow and the encoder follow by themselves.
    """
    require_free_port(settings.host, settings.port, option="--port")
    own_mlflow = with_mlflow and settings.mlflow_url is None
    if own_mlflow:
        settings = with_free_mlflow_port(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(
        children_of(settings, own_mlflow=own_mlflow),
        log_dir=settings.data_dir / "logs",
        environment=child_environment(settings),
        announce=announce,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    return await supervisor.run()


def with_free_mlflow_port(settings: Settings) -> Settings:
    """Return settings whose MLflow port is free: the configured one, or near the default one."""
    if port_is_free(MLFLOW_HOST, settings.mlflow_port):
        return settings
    if "mlflow_port" in settings.model_fields_set:
        require_free_port(MLFLOW_HOST, settings.mlflow_port, option="--mlflow-port")
    port = next_free_port(MLFLOW_HOST, settings.mlflow_port + 1)
    if port is None:
        raise ConfigurationError(f"no port near {settings.mlflow_port} is free for MLflow; use --mlflow-port")
    return load_settings(
        **{name: getattr(settings, name) for name in settings.model_fields_set} | {"mlflow_port": port}
    )


def children_of(settings: Settings, *, own_mlflow: bool) -> list[Child]:
    """Return the processes of one installation, the chat first."""
    probed_host = EVERY_ADDRESS.get(settings.host, settings.host)
    children = [
        Child(
            name="chat",
            command=_module("mangaassist.jobs.api_server"),
            ready=lambda: answers(probed_host, settings.port, "/healthz"),
            ready_line=f"chat is ready:   http://{_in_url(probed_host)}:{settings.port}/",
            essential=True,
        ),
        Child(name="worker", command=_module("mangaassist.jobs.worker_process")),
    ]
    if own_mlflow:
        children.append(
            Child(
                name="mlflow",
                command=mlflow_server_command(
                    settings.data_dir / "mlflow", host=MLFLOW_HOST, port=settings.mlflow_port
                ),
                ready=lambda: answers(MLFLOW_HOST, settings.mlflow_port, "/health"),
                ready_line=f"MLflow is ready: http://{MLFLOW_HOST}:{settings.mlflow_port}/",
            )
        )
    if not index_is_complete(settings, find_store_dir(settings)):
        children.append(
            Child(name="preparation", command=_module("mangaassist.jobs.preparation"), one_shot=True)
        )
    return children


def _module(name: str) -> Command:
    return Command(arguments=(sys.executable, "-m", name))


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
