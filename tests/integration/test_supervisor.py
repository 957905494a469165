from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mangaassist.bootstrap.settings import load_settings
from mangaassist.domain.errors import ConfigurationError
from mangaassist.jobs.command import Command
from mangaassist.jobs.probes import answers, next_free_port, port_is_free, require_free_port
from mangaassist.jobs.supervisor import Child, RestartPolicy, Supervisor
from mangaassist.jobs.up import children_of, with_free_mlflow_port

PATIENCE_S = 30.0
POLICY = RestartPolicy(first_delay_s=0.01, max_delay_s=0.05, stop_grace_s=3.0)

# a child with a child of its own, as MLflow's server is
PARENT = """
import subprocess, sys, time, pathlib
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(grandchild.pid))
time.sleep(600)
"""
STUBBORN = """
import signal, sys, time, pathlib
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text("0")
time.sleep(600)
"""
SUPERVISE = """
import asyncio, os, pathlib, sys
from mangaassist.jobs.command import Command
from mangaassist.jobs.supervisor import Child, Supervisor
folder = pathlib.Path(sys.argv[1])
command = Command(arguments=(sys.executable, "-c", sys.argv[2], str(folder / "pid")))
child = Child(name="parent", command=command)
asyncio.run(Supervisor([child], log_dir=folder, environment=dict(os.environ), announce=print).run())
"""


def python(code: str, *arguments: str) -> Command:
    return Command(arguments=(sys.executable, "-c", code, *arguments))


def supervisor(*children: Child, log_dir: Path, lines: list[str]) -> Supervisor:
    return Supervisor(
        children, log_dir=log_dir, environment=dict(os.environ), announce=lines.append, policy=POLICY
    )


def start_supervising(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SUPERVISE, str(folder), PARENT])


async def until(happened: object) -> None:
    assert callable(happened)
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110 - other processes have no events
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def number_in(path: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return None


async def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    lines: list[str] = []
    note = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write('x')"
    runs = tmp_path / "runs"
    watch = supervisor(Child(name="worker", command=python(note, str(runs))), log_dir=tmp_path, lines=lines)
    running = asyncio.create_task(watch.run())
    await until(lambda: runs.is_file() and len(runs.read_text()) >= 3)
    watch.stop()
    assert await running is None
    assert lines[0].startswith("worker: ended with exit code 0, starting it again in 0.01 s")
    assert lines[1].startswith("worker: ended with exit code 0, starting it again in 0.02 s")


async def test_stopping_ends_whole_groups_and_cleanly(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    watch = supervisor(
        Child(name="parent", command=python(PARENT, str(pid_file))), log_dir=tmp_path, lines=[]
    )
    running = asyncio.create_task(watch.run())
    await until(lambda: number_in(pid_file) is not None)
    grandchild = number_in(pid_file)
    assert grandchild is not None
    watch.stop()
    async with asyncio.timeout(10):
        await running
    assert not is_running(grandchild)


async def test_a_child_that_ignores_the_signal_is_killed_within_ten_seconds(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    watch = supervisor(
        Child(name="stubborn", command=python(STUBBORN, str(ready))), log_dir=tmp_path, lines=[]
    )
    running = asyncio.create_task(watch.run())
    await until(ready.is_file)
    watch.stop()
    async with asyncio.timeout(10):
        assert await running is None


async def test_killing_the_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    process = start_supervising(tmp_path)
    try:
        await until(lambda: number_in(tmp_path / "pid") is not None)
        grandchild = number_in(tmp_path / "pid")
        assert grandchild is not None
        child = psutil.Process(grandchild).ppid()
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        await until(lambda: not is_running(grandchild) and not is_running(child))
    finally:
        process.kill()


async def test_an_essential_child_that_never_gets_ready_ends_everything_with_its_last_words(
    tmp_path: Path,
) -> None:
    async def never() -> bool:
        return False

    failing = Child(
        name="chat",
        command=python("import sys; sys.exit('the store pack is broken')"),
        ready=never,
        essential=True,
    )
    other = Child(name="worker", command=python("import time; time.sleep(600)"))
    watch = supervisor(failing, other, log_dir=tmp_path, lines=[])
    async with asyncio.timeout(PATIENCE_S):
        problem = await watch.run()
    assert problem is not None
    assert problem.startswith("chat cannot be started (exit code 1)")
    assert problem.endswith("the store pack is broken")


async def test_a_child_is_announced_once_it_is_ready(tmp_path: Path) -> None:
    port = free_port()
    serve = (
        "from http.server import *;"
        f" HTTPServer(('127.0.0.1', {port}), SimpleHTTPRequestHandler).serve_forever()"
    )
    lines: list[str] = []
    child = Child(
        name="chat",
        command=python(serve),
        ready=lambda: answers("127.0.0.1", port, "/"),
        ready_line="chat is ready",
        essential=True,
    )
    watch = supervisor(child, log_dir=tmp_path, lines=lines)
    running = asyncio.create_task(watch.run())
    await until(lambda: "chat is ready" in lines)
    assert not await answers("127.0.0.1", port, "/absent")
    watch.stop()
    assert await running is None
    assert not await answers("127.0.0.1", port, "/")


async def test_a_one_shot_child_runs_once_and_tells_its_progress(tmp_path: Path) -> None:
    lines: list[str] = []
    child = Child(name="encoder", command=python("print('ready'); print('bye')"), one_shot=True)
    watch = supervisor(child, log_dir=tmp_path, lines=lines)
    assert await watch.run() is None
    assert lines == ["encoder: ready", "encoder: bye"]


def test_the_delay_between_restarts_doubles_up_to_its_bound() -> None:
    policy = RestartPolicy(first_delay_s=0.5, max_delay_s=30.0)
    assert [policy.delay_s(failures) for failures in (1, 2, 3, 7, 1_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_refused_with_the_option_to_change(taken_port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"port {taken_port} is in use on 127.0.0.1; use --port"):
        require_free_port("127.0.0.1", taken_port, option="--port")
    assert not port_is_free("127.0.0.1", taken_port)
    assert next_free_port("127.0.0.1", taken_port, tries=1) is None


def test_mlflow_moves_off_a_taken_port_unless_it_was_asked_for(taken_port: int, tmp_path: Path) -> None:
    asked_for = load_settings(mlflow_port=taken_port)
    with pytest.raises(ConfigurationError, match="use --mlflow-port"):
        with_free_mlflow_port(asked_for)
    default = asked_for.model_copy()
    default.model_fields_set.discard("mlflow_port")
    moved = with_free_mlflow_port(default)
    assert moved.mlflow_port > taken_port


def test_the_chat_comes_first_and_alone_is_essential(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, cache_dir=tmp_path / "empty", port=free_port())
    children = children_of(settings, own_mlflow=True)
    assert [child.name for child in children] == ["chat", "worker", "mlflow", "preparation"]
    assert [child.name for child in children if child.essential] == ["chat"]
    assert [child.name for child in children if child.one_shot] == ["preparation"]
    assert "mlflow" not in [child.name for child in children_of(settings, own_mlflow=False)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
