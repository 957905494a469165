"""The real server as a child process, on a data directory of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProduct:
    """A server that answers."""

    url: str
    data_dir: Path
    process: subprocess.Popen[bytes]

    def login(self, customer_id: str) -> str:
        """Return the token of a demo customer."""
        response = httpx.post(f"{self.url}/v1/demo/login", json={"customer_id": customer_id}, timeout=10)
        response.raise_for_status()
        token: str = response.json()["token"]
        return token

    def visitor(self) -> str:
        """Return the token of a new visitor."""
        response = httpx.post(f"{self.url}/v1/session", timeout=10)
        response.raise_for_status()
        token: str = response.json()["token"]
        return token


@contextmanager
def running_product(
    data_dir: Path, *, environment: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[RunningProduct]:
    """Start the server, wait until it is ready, stop it at the end."""
    chosen = port or free_port()
    log = (data_dir / f"server-{chosen}.log").open("wb")
    command = [sys.executable, "-m", "mangaassist.jobs.api_server"]
    settings = {
        "MANGAASSIST_HOST": "127.0.0.1",
        "MANGAASSIST_PORT": str(chosen),
        "MANGAASSIST_DATA_DIR": str(data_dir),
        "MANGAASSIST_RATE_LIMIT_PER_MINUTE": "100000",
        **(environment or {}),
    }
    process = subprocess.Popen(
        command, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{chosen}"
        _wait_until_ready(url, process, Path(log.name))
        yield RunningProduct(url=url, data_dir=data_dir, process=process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        log.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(
                f"the server ended with status {process.returncode}:\n{log.read_text()[-4_000:]}"
            )
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server was not ready within {READY_S:.0f} s:\n{log.read_text()[-4_000:]}")
