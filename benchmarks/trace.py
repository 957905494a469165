"""What a trace of 14 spans costs, how many a second become durable, and how soon one can be seen.

    python -m benchmarks.trace [--json] [--rounds N] [--spans N] [--no-mlflow]

The recorder, the OpenTelemetry SDK and MLflow's tracing make the same tree in turns in one run; the figures
are CPU time of the requesting thread in the fastest round: noise only ever adds. OpenTelemetry exports to an
exporter that throws everything away, MLflow to an SQLite store of its own: both do that on other threads,
which is not counted. Durable means synced: the clock stops when the last accepted trace is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from tests.support.mlflow_server import MlflowServer

from benchmarks.serve import machine, note
from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_spool import SpoolTraceSink
from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.domain.errors import DependencyError
from mangaassist.domain.trace import Trace
from mangaassist.domain.trace_context import started_here
from mangaassist.serving.tracing import TraceRecorder

STEPS = tuple(f"step_{number}" for number in range(13))
ROOT: dict[str, str] = {"request_id": "req_1", "session_id": "s", "page_type": "home", "outcome": "answered"}
STEP: dict[str, str | float] = {
    "intent": "recommendation",
    "confidence": 0.93,
    "version": "intent-1",
    "count": 3,
}
TRACES_A_ROUND = 100
PATIENCE_S = 120.0
PRELOADED = 5_000


class ThrowAway(SpanExporter):
    """An exporter without a backend."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="mangaassist bench trace", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--spans", type=int, default=280_000, help="spans of the sustained run")
    parser.add_argument("--no-mlflow", action="store_true", help="leave out what needs MLflow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mangaassist-trace-") as name:
        folder = Path(name)
        report: dict[str, Any] = {"machine": machine(), "spans_a_trace": 1 + len(STEPS)}
        report |= costs(folder, rounds=arguments.rounds, with_mlflow=not arguments.no_mlflow)
        report |= sustained(folder / "spool", traces=arguments.spans // (1 + len(STEPS)))
        report |= seen_by_another_process(folder / "seen")
        if not arguments.no_mlflow:
            report |= seen_in_mlflow(folder)
    print(json.dumps(report, indent=2) if arguments.json else report)


def record(response_id: str = "resp_1") -> Trace:
    """Make the tree with the product's recorder, frozen as it is handed over."""
    clock, ids = SystemClock(), RandomIds()
    recorder = TraceRecorder(clock=clock, ids=ids, traceparent=started_here(ids.trace_id()))
    with recorder.span("handle_message", "CHAIN") as root:
        root.set(**ROOT)
        for name in STEPS:
            with recorder.span(name) as span:
                span.set(**STEP)
    return recorder.trace(
        response_id=response_id, session_id="s", request_preview="hi", response_preview="there"
    )


def costs(folder: Path, *, rounds: int, with_mlflow: bool) -> dict[str, float]:
    """Return microseconds of CPU a trace by who makes it, in turns."""
    sink = SpoolTraceSink(folder / "costs", clock=SystemClock(), process_id=os.getpid())
    ready = record()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(ThrowAway()))
    tracer = provider.get_tracer("bench")

    def opentelemetry() -> None:
        with tracer.start_as_current_span("handle_message") as root:
            root.set_attributes(ROOT)
            for name in STEPS:
                with tracer.start_as_current_span(name) as span:
                    span.set_attributes(STEP)

    makers: dict[str, Callable[[], object]] = {
        "recorder_us": record,
        "hand_over_us": lambda: sink.accept(ready),
        "opentelemetry_us": opentelemetry,
    }
    if with_mlflow:
        makers["mlflow_us"] = mlflow_tree(folder)
    times: dict[str, list[float]] = {name: [] for name in makers}
    for number in range(rounds + 1):
        for name, make in makers.items():
            count = TRACES_A_ROUND if name != "mlflow_us" else TRACES_A_ROUND // 10
            started = time.thread_time_ns()
            for _ in range(count):
                make()
            if number:  # the first round warms up
                times[name].append((time.thread_time_ns() - started) / count / 1e3)
    sink.close()
    provider.shutdown()
    figures = {name: round(min(values), 2) for name, values in times.items()}
    ratio = round(figures["recorder_us"] / figures["opentelemetry_us"], 3)
    return {**figures, "recorder_to_opentelemetry": ratio}


def mlflow_tree(folder: Path) -> Callable[[], None]:
    """Return what makes the same tree with MLflow's own tracing, exporting asynchronously."""
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
    import mlflow
    from mlflow.entities.trace_location import MlflowExperimentLocation

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    experiment_id = mlflow.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    mlflow.tracing.set_destination(MlflowExperimentLocation(experiment_id))

    def make() -> None:
        with mlflow.start_span("handle_message", span_type="CHAIN") as root:
            root.set_attributes(ROOT)
            for name in STEPS:
                with mlflow.start_span(name) as span:
                    span.set_attributes(STEP)

    return make


def sustained(directory: Path, *, traces: int) -> dict[str, float]:
    """Return how many spans a second one process records, hands over and gets synced."""
    sink = SpoolTraceSink(directory, clock=SystemClock(), process_id=os.getpid())
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(traces):
        sink.accept(record())
    sink.flush(PATIENCE_S)
    elapsed, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    counters = sink.counters()
    sink.close()
    if counters.dropped or counters.accepted != traces:
        raise SystemExit(f"not all traces were accepted: {counters}")
    spans = traces * (1 + len(STEPS))
    size = sum(path.stat().st_size for path in directory.glob("*.traces"))
    return {
        "spans_per_s": round(spans / elapsed),
        "spans_per_cpu_s": round(spans / cpu_s),
        "sustained_s": round(elapsed, 2),
        "bytes_a_trace": round(size / traces),
    }


def seen_by_another_process(directory: Path) -> dict[str, float]:
    """Return how long after hand-over a trace is found, among thousands; nothing is flushed for it."""
    sink = SpoolTraceSink(directory, clock=SystemClock(), process_id=os.getpid())
    for _ in range(PRELOADED):
        sink.accept(record())
    times = []
    for _ in range(50):
        trace = record(RandomIds().sortable("resp"))
        started = time.perf_counter()
        sink.accept(trace)
        # reads the files as `trace show` does; nothing of the sink's memory is used
        SpoolTraceArchive(directory).get(trace.response_id)
        times.append(time.perf_counter() - started)
    sink.close()
    return {
        "visible_ms": round(statistics.median(times) * 1e3, 2),
        "visible_max_ms": round(max(times) * 1e3, 2),
    }


def seen_in_mlflow(folder: Path) -> dict[str, float]:
    """Return the seconds from hand-over until MLflow has the trace, by the real worker and server."""
    data_dir = folder / "data"
    (folder / "mlflow").mkdir()
    data_dir.mkdir()
    server = MlflowServer(folder / "mlflow")
    note("starting MLflow")
    server.start()
    client = MlflowClient(server.url, experiment="mangaassist")
    sink = SpoolTraceSink(data_dir / "spool", clock=SystemClock(), process_id=os.getpid())
    times = []
    try:
        with running_worker(data_dir, server.url):
            for number in range(6):
                trace = record()
                started = time.perf_counter()
                sink.accept(trace)
                wait_for(client, trace)
                if number:  # the first waits for the worker's start
                    times.append(time.perf_counter() - started)
    finally:
        sink.close()
        client.close()
        server.stop()
    return {"in_mlflow_s": round(statistics.median(times), 2), "in_mlflow_max_s": round(max(times), 2)}


def wait_for(client: MlflowClient, trace: Trace) -> None:
    """Return once MLflow tells the trace's tags and previews."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            client.trace_info(trace.trace_id)
        except DependencyError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit("the trace did not arrive in MLflow")


@contextmanager
def running_worker(data_dir: Path, mlflow_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the product's worker on a data directory."""
    environment = {
        **os.environ,
        "MANGAASSIST_DATA_DIR": str(data_dir),
        "MANGAASSIST_MLFLOW_URL": mlflow_url,
    }
    with (data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mangaassist.jobs.worker_process"], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
