"""`mangaassist up` as a newcomer runs it: chat at once, MLflow by itself, every trace there, a clean exit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.product import free_port

EXPECTED_SPANS = {
    "handle_message",
    "load_context",
    "intent_classification",
    "route_intent",
    "retrieve_chunks",
    "embed_query",
    "vector_search",
    "keyword_search",
    "rerank_chunks",
    "build_prompt",
    "bedrock_generate",
    "apply_guardrails",
    "persist_response",
}
REQUIRED_TAGS = {
    "session_id",
    "request_id",
    "intent",
    "page_type",
    "prompt_version",
    "release_bundle",
    "cache_hit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A running `mangaassist up`."""

    chat: str
    mlflow: str
    process: subprocess.Popen[bytes]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running_up(data_dir: Path) -> Iterator[Up]:
    port, mlflow_port = free_port(), free_port()
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
    log = (data_dir / "up.log").open("wb")
    process = subprocess.Popen(
        command,
        env={**os.environ, "MANGAASSIST_DATA_DIR": str(data_dir)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield Up(chat=f"http://127.0.0.1:{port}", mlflow=f"http://127.0.0.1:{mlflow_port}", process=process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        log.close()


def eventually(read: Callable[[], Any], *, seconds: float) -> Any:
    """Return the first truthy value that `read` gives."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = read()
        except httpx.HTTPError:
            value = None
        if value:
            return value
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)


@pytest.mark.mlflow
@pytest.mark.slow
def test_a_newcomer_asks_rates_and_finds_the_trace_in_mlflow(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        eventually(lambda: httpx.get(f"{up.chat}/readyz").status_code == 200, seconds=60)
        with httpx.Client(base_url=up.chat, timeout=30, trust_env=False) as client:
            client.headers["authorization"] = f"Bearer {client.post('/v1/session').json()['token']}"
            answer = client.post("/v1/chat", json={"message": "something like Berserk but gentler"}).json()
            assert answer["intent"] == "recommendation"
            event = {
                "response_id": answer["response_id"],
                "trace_id": answer["trace_id"],
                "feedback": "thumbs_down",
            }
            assert (
                client.post("/v1/feedback", json={**event, "reason_code": "wrong_recommendation"}).status_code
                == 202
            )

        eventually(lambda: httpx.get(f"{up.mlflow}/health").status_code == 200, seconds=180)
        info = eventually(lambda: _trace_info(up.mlflow, answer["trace_id"]), seconds=60)
        assert set(info["tags"]) >= REQUIRED_TAGS
        assert info["tags"]["release_bundle"] == answer["release_bundle"]
        assert info["client_request_id"] == answer["response_id"]
        assert info["tags"]["chunk_snapshot_uri"].startswith("mlflow-artifacts:/")
        rated = eventually(lambda: _trace_info(up.mlflow, answer["trace_id"]).get("assessments"), seconds=30)
        assert rated[0]["feedback"]["value"] == "thumbs_down"
        assert _span_names(up.mlflow, answer["trace_id"]) >= EXPECTED_SPANS - {"embed_query", "vector_search"}

        children = up.children()
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(30) == 0
        assert [
            child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
        ] == []


def _trace_info(mlflow: str, trace_id: str) -> dict[str, Any]:
    response = httpx.get(f"{mlflow}/api/3.0/mlflow/traces/tr-{trace_id}")
    if response.status_code != 200:
        return {}
    info: dict[str, Any] = response.json()["trace"]["trace_info"]
    return info if "release_bundle" in info.get("tags", {}) else {}


def _span_names(mlflow: str, trace_id: str) -> set[str]:
    program = (
        "import json, sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]); "
        "print(json.dumps([span.name for span in mlflow.get_trace(sys.argv[2]).data.spans]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, mlflow, f"tr-{trace_id}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(json.loads(output.strip().splitlines()[-1]))
