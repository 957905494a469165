"""Answers at full speed with MLflow stopped, then started: does every trace arrive, whole and once?

    python -m benchmarks.trace_burst [--json] [--answers N] [--connections N] [--rounds N]

The real server and the real worker run on a data directory of their own. First the same load runs in turns
with MLflow stopped and running, for the latency an asker sees. Then MLflow is stopped, the answers are given
at full speed, MLflow is started, and every trace is read back from it and compared with what the answer's
`trace_id` promised: there, with as many spans as the spool has, and none that nobody was promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
from tests.support.mlflow_server import MlflowServer
from tests.support.product import RunningProduct, running_product

from benchmarks.serve import machine, note
from benchmarks.trace import running_worker
from mangaassist.adapters.embedded.trace_backlog import waiting_traces
from mangaassist.adapters.embedded.trace_codec import decode_trace
from mangaassist.adapters.embedded.trace_segments import list_segments, read_lines
from mangaassist.adapters.mlflow.client import MlflowClient

QUESTIONS = (
    "What is your return policy?",
    "Recommend something like Berserk",
    "hello there",
    "Where is my order?",
    "How long does shipping take?",
    "Is Chainsaw Man volume 1 in stock?",
)
PATIENCE_S = 1_800.0
PAGE = 50
ENVIRONMENT = {"MANGAASSIST_ENV": "staging", "MANGAASSIST_GENERATION": "embedded"}


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(prog="mangaassist bench trace-burst", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--answers", type=int, default=5_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="turns of the comparison; 0 leaves it out")
    parser.add_argument("--round-answers", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mangaassist-burst-") as name:
        report = {"machine": machine(), **run(Path(name), arguments)}
    print(json.dumps(report, indent=2) if arguments.json else report)
    if not report["complete"]:
        raise SystemExit(1)


def run(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of the comparison and of the burst."""
    (folder / "data").mkdir()
    (folder / "mlflow").mkdir()
    server = MlflowServer(folder / "mlflow")
    note("starting MLflow, the server and the worker")
    server.start()
    try:
        with (
            running_product(folder / "data", environment=ENVIRONMENT) as product,
            running_worker(folder / "data", server.url),
        ):
            report = compare(product, server, arguments) if arguments.rounds else {}
            server.stop()
            note(f"{arguments.answers} answers with MLflow stopped")
            started = time.perf_counter()
            promised = asyncio.run(ask(product.url, arguments.answers, arguments.connections))
            report["answers_per_s"] = round(len(promised) / (time.perf_counter() - started), 1)
            server.start()
            started = time.perf_counter()
            wait_until_shipped(product)
            report["catch_up_s"] = round(time.perf_counter() - started, 1)
            return {**report, **account(product, server, [one.trace_id for one in promised])}
    finally:
        server.stop()


class Answer:
    """What one asker got: the trace that was promised, and after how long (seconds)."""

    __slots__ = ("seconds", "trace_id")

    def __init__(self, trace_id: str, seconds: float) -> None:
        self.trace_id = trace_id
        self.seconds = seconds


async def ask(url: str, count: int, connections: int) -> list[Answer]:
    """Ask over as many connections as given, one question after the other on each."""
    host, _, port = url.removeprefix("http://").partition(":")
    bodies = islice(cycle(json.dumps({"message": text}).encode() for text in QUESTIONS), count)
    answers: list[Answer] = []

    async def asker() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for body in bodies:
            head = f"POST /v1/chat HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
            started = time.perf_counter()
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            headers = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = re.search(r"\r\ncontent-length: (\d+)", headers)
            content = await reader.readexactly(int(length[1]) if length else 0)
            if not headers.startswith("http/1.1 200"):
                raise SystemExit(f"an answer failed: {headers.splitlines()[0]} {content[:200]!r}")
            answers.append(Answer(json.loads(content)["trace_id"], time.perf_counter() - started))
        writer.close()

    await asyncio.gather(*(asker() for _ in range(connections)))
    return answers


def compare(product: RunningProduct, server: MlflowServer, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the 95th percentile of the latency with MLflow running and stopped, in turns."""
    asyncio.run(ask(product.url, arguments.round_answers, arguments.connections))
    p95: dict[str, list[float]] = {"up": [], "down": []}
    for number in range(arguments.rounds):
        for state in ("up", "down") if number % 2 == 0 else ("down", "up"):
            server.stop()
            if state == "up":
                server.start()
                wait_until_shipped(product)
            note(f"round {number + 1} of {arguments.rounds}: MLflow {state}")
            answers = asyncio.run(ask(product.url, arguments.round_answers, arguments.connections))
            times = [answer.seconds * 1e3 for answer in answers]
            p95[state].append(round(statistics.quantiles(times, n=20)[-1], 2))
    ratios = [down / up for down, up in zip(p95["down"], p95["up"], strict=True)]
    return {
        "p95_ms_mlflow_up": p95["up"],
        "p95_ms_mlflow_down": p95["down"],
        "p95_down_to_up": round(statistics.median(ratios), 3),
    }


def wait_until_shipped(product: RunningProduct) -> None:
    """Return once nothing waits for MLflow any more."""
    spool, end = product.data_dir / "spool", time.monotonic() + PATIENCE_S
    while (waiting := waiting_traces(spool).traces) and time.monotonic() < end:
        time.sleep(min(2.0, 0.1 + waiting / 500))
    if waiting:
        raise SystemExit(f"{waiting} traces still wait after {PATIENCE_S:.0f} s")


def account(product: RunningProduct, server: MlflowServer, promised: Sequence[str]) -> dict[str, Any]:
    """Return what MLflow has of what was promised; `complete` says that it is all, once, and nothing else."""
    made = dict(spooled(product.data_dir / "spool"))
    client = MlflowClient(server.url, experiment="mangaassist", timeout_s=60.0)
    stored: dict[str, int] = {}
    for start in range(0, len(promised), PAGE):
        stored |= client.span_counts(promised[start : start + PAGE])
    total = stored_traces(server, client.experiment_id())
    client.close()
    metrics = httpx.get(f"{product.url}/metrics", timeout=10).text
    dropped = int(float(re.findall(r'mangaassist_traces_total\{state="dropped"\} (\S+)', metrics)[0]))
    missing = [trace_id for trace_id in promised if not stored.get(trace_id)]
    partial = [trace_id for trace_id in promised if stored.get(trace_id, 0) != made.get(trace_id, -1)]
    figures = {
        "answers": len(promised),
        "traces_in_mlflow": len(promised) - len(missing),
        "incomplete": len(partial) - len(missing),
        "extra": total - len(made),
        "promised_twice": len(promised) - len(set(promised)),
        "dropped": dropped,
    }
    wrong = (missing, partial, figures["extra"], figures["promised_twice"], dropped)
    return {**figures, "complete": not any(wrong)}


def spooled(directory: Path) -> Iterator[tuple[str, int]]:
    """Yield the trace id and the number of spans of everything that was to be shipped."""
    for segment in list_segments(directory):
        for document, _ in read_lines(segment, 0):
            if document is not None:
                trace = decode_trace(document)
                yield trace.trace_id, len(trace.spans)


def stored_traces(server: MlflowServer, experiment_id: str) -> int:
    """Return how many traces the experiment has, by paging through all of them."""
    count, token = 0, None
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
    while True:
        query: dict[str, Any] = {"locations": [location], "max_results": 500}
        if token:
            query["page_token"] = token
        answer = httpx.post(f"{server.url}/api/3.0/mlflow/traces/search", json=query, timeout=60)
        answer.raise_for_status()
        count += len(answer.json().get("traces", []))
        token = answer.json().get("next_page_token")
        if not token:
            return count


if __name__ == "__main__":
    main()
