"""Keeps child processes running, and leaves none behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mangaassist.jobs.command import Command

READY_POLL_S = 0.05
LOG_BYTES = 10 * 1024 * 1024
LOG_TAIL_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process to keep running.

    `ready` is polled until it says yes, then `ready_line` is announced. An `essential` child that
    keeps failing before it was ever ready ends the supervisor; every other one is tried for ever. A
    `one_shot` child runs once; its output is announced line by line.
    """

    name: str
    command: Command
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_line: str = ""
    essential: bool = False
    one_shot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """The delay doubles with every failure in a row; a child that lived for `stable_s` starts afresh."""

    first_delay_s: float = 0.5
    max_delay_s: float = 30.0
    stable_s: float = 60.0
    max_failed_starts: int = 3
    stop_grace_s: float = 8.0

    def delay_s(self, failures: int) -> float:
        """How long to wait after the given number of failures in a row."""
        return float(min(self.max_delay_s, self.first_delay_s * 2 ** min(failures - 1, 16)))


class Supervisor:
    """Runs children in process groups of their own, their output in `<log_dir>/<name>.log`.

    Ends cleanly on `stop`; if it is killed itself, a guard process ends the groups.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        log_dir: Path,
        environment: Mapping[str, str],
        announce: Callable[[str], None],
        policy: RestartPolicy | None = None,
    ) -> None:
        self._children = tuple(children)
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._announce = announce
        self._policy = policy or RestartPolicy()
        self._stop = asyncio.Event()
        self._guard: subprocess.Popen[str] | None = None
        self._problem: str | None = None

    def stop(self) -> None:
        """Begin the clean exit."""
        self._stop.set()

    async def run(self) -> str | None:
        """Run until `stop`; return None, or why an essential child could not be kept running."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._guard = self._start_guard()
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(self._keep(child), name=f"supervise-{child.name}")
        finally:
            if self._guard.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._guard.stdin.close()
            await asyncio.to_thread(self._guard.wait)
        return self._problem

    async def _keep(self, child: Child) -> None:
        failures = failed_starts = 0
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            started = loop.time()
            code, was_ready = await self._run_once(child)
            if self._stop.is_set() or (child.one_shot and code == 0):
                return
            if child.one_shot:
                self._announce(f"{child.name}: failed with exit code {code}; see {self._log_path(child)}")
                return
            failures = 1 if loop.time() - started >= self._policy.stable_s else failures + 1
            failed_starts = 0 if was_ready else failed_starts + 1
            if child.essential and failed_starts >= self._policy.max_failed_starts:
                self._problem = self._describe_failure(child, code)
                self.stop()
                return
            delay_s = self._policy.delay_s(failures)
            self._announce(
                f"{child.name}: ended with exit code {code}, starting it again in {delay_s:g} s"
                f" (log: {self._log_path(child)})"
            )
            await self._stopped_within(delay_s)

    async def _run_once(self, child: Child) -> tuple[int, bool]:
        """Run a child to its end, or end it when the supervisor stops; return (exit code, was ready)."""
        log = self._open_log(child)
        try:
            process = await asyncio.create_subprocess_exec(
                *child.command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if child.one_shot else log,
                stderr=log,
                env={**self._environment, **child.command.environment},
                start_new_session=True,
            )
        finally:
            log.close()
        # the child leads its own session, so its id is its group's too
        self._tell_guard(f"+{process.pid}")
        readiness = asyncio.create_task(self._announce_ready(child))
        output = asyncio.create_task(self._announce_output(child, process.stdout))
        stopping = asyncio.create_task(self._stop.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
            await self._end_group(process, ended)
            await output
        finally:
            for task in (readiness, stopping):
                task.cancel()
            self._tell_guard(f"-{process.pid}")
        was_ready = child.ready is not None and readiness.done() and not readiness.cancelled()
        return await ended, was_ready

    async def _end_group(self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        """End whatever is left of a child's group, politely first."""
        _signal_group(process.pid, signal.SIGTERM)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._policy.stop_grace_s
        await asyncio.wait((ended,), timeout=self._policy.stop_grace_s)
        while _signal_group(process.pid, 0) and loop.time() < deadline:  # noqa: ASYNC110 - a group has no event
            await asyncio.sleep(READY_POLL_S)
        _signal_group(process.pid, signal.SIGKILL)
        await ended

    async def _announce_ready(self, child: Child) -> None:
        if child.ready is None:
            return
        while not await child.ready():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(READY_POLL_S)
        self._announce(child.ready_line)

    async def _announce_output(self, child: Child, stream: asyncio.StreamReader | None) -> None:
        if stream is None:
            return
        async for line in stream:
            self._announce(f"{child.name}: {line.decode(errors='replace').rstrip()}")

    async def _stopped_within(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._stop.wait()

    def _describe_failure(self, child: Child, code: int) -> str:
        path = self._log_path(child)
        tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"{child.name} cannot be started (exit code {code}); {path} ends with:", *tail])

    def _log_path(self, child: Child) -> Path:
        return self._log_dir / f"{child.name}.log"

    def _open_log(self, child: Child) -> BinaryIO:
        path = self._log_path(child)
        if path.is_file() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _start_guard(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mangaassist.jobs.guard"],
            stdin=subprocess.PIPE,
            text=True,
            env=self._environment,
            start_new_session=True,
        )

    def _tell_guard(self, line: str) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._guard.stdin, flush=True)


def _signal_group(group: int, number: int) -> bool:
    """Return whether the group still exists."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
