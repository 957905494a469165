"""The whole path beside the floor and LiteLLM's proxy, all streaming from one zero-latency model.

Usage: python -m benchmarks.serve [--json] [--seconds S] [--rounds N] [--without-litellm]
Every round measures every server in turn, at 1 and at 8 connections; medians over the rounds are reported,
and the ratios are taken round by round, so that a machine whose speed drifts does not decide.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.fake_model import WORDS
from benchmarks.load import Load, Target, run_load
from mangaassist.bootstrap.encoder import find_cached_encoder

ROOT = Path(__file__).parents[1]
LITELLM = "litellm[proxy]==1.106.2"
FLOOR_PACKAGES = ("tantivy", "usearch")
QUESTIONS = (
    "something like berserk but less grim",
    "a funny manga for my ten year old niece",
    "how many volumes does monster have",
    "can you suggest a short finished sports series",
    "who draws vinland saga and is it finished",
    "recommend a cozy slice of life manga under 15 dollars",
    "what is a good mystery for someone who liked death note",
    "is the first volume of frieren in stock",
)
CONNECTIONS = (1, 8)
RATIOS = ("cpu_ms_per_request", "p50_ms", "p95_ms", "first_token_p50_ms", "requests_per_s", "rss_mb")


def main() -> None:
    """Run the benchmark and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="mangaassist bench serve", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often every server is measured")
    parser.add_argument("--without-litellm", action="store_true", help="leave the peer out")
    parser.add_argument("--without-floor", action="store_true", help="leave the floor out")
    arguments = parser.parse_args()
    report = asyncio.run(
        measure(
            seconds=arguments.seconds,
            rounds=arguments.rounds,
            litellm=not arguments.without_litellm,
            floor=not arguments.without_floor,
        )
    )
    print(json.dumps(report, indent=2) if arguments.json else table(report))


async def measure(*, seconds: float, rounds: int, litellm: bool, floor: bool) -> dict[str, Any]:
    """Start everything, measure round by round, stop everything."""
    with tempfile.TemporaryDirectory(prefix="mangaassist-bench-") as folder, servers() as start:
        work = Path(folder)
        model_port = free_port()
        start("model", [sys.executable, "-m", "benchmarks.fake_model", str(model_port)], {})
        targets = [await product(start, work, model_port)]
        if floor:
            targets.append(await floor_target(start, work, model_port))
        if litellm:
            targets.append(await litellm_target(start, work, model_port))
        for target in targets:
            await run_load(target, connections=4, seconds=2)
        loads: dict[str, dict[int, list[Load]]] = {
            target.name: {c: [] for c in CONNECTIONS} for target in targets
        }
        for number in range(rounds):
            for target in targets:
                for connections in CONNECTIONS:
                    note(f"round {number + 1} of {rounds}: {target.name}, {connections} connection(s)")
                    loads[target.name][connections].append(
                        await run_load(target, connections=connections, seconds=seconds)
                    )
    return summary(loads, rounds=rounds, seconds=seconds)


async def product(start: Any, work: Path, model_port: int) -> Target:
    """Start the product's server with the fake model behind it."""
    port = free_port()
    environment = {
        "MANGAASSIST_DATA_DIR": str(work / "product"),
        "MANGAASSIST_GENERATION": "openai_compatible",
        "MANGAASSIST_OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
        "MANGAASSIST_OPENAI_MODEL": "fake",
        "MANGAASSIST_RATE_LIMIT_PER_MINUTE": "100000000",
    }
    prepare = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mangaassist.cli", "store", "index", env={**os.environ, **environment}, cwd=ROOT
    )
    if await prepare.wait():
        raise SystemExit("the index could not be built")
    application = ["--factory", "mangaassist.web.main:create_application"]
    pid = start("mangaassist", [sys.executable, *uvicorn(application, port)], environment)
    await healthy(f"http://127.0.0.1:{port}/readyz", "mangaassist", 60, pid=pid)
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
        token = (await client.post("/v1/session")).json()["token"]
        asked = {"message": QUESTIONS[0]}
        answer = (
            await client.post("/v1/chat", json=asked, headers={"authorization": f"Bearer {token}"})
        ).json()
    if not answer["text"].startswith(" ".join(WORDS)):
        raise SystemExit(f"the product does not answer from the fake model: {answer['text'][:200]!r}")
    return Target(
        name="mangaassist",
        url=f"http://127.0.0.1:{port}/v1/chat",
        bodies=tuple(json.dumps({"message": question}).encode() for question in QUESTIONS),
        headers={"authorization": f"Bearer {token}"},
        pid=pid,
    )


async def floor_target(start: Any, work: Path, model_port: int) -> Target:
    """Start the floor with the same encoder."""
    encoder = find_cached_encoder()
    if encoder is None:
        raise SystemExit("the floor needs the encoder: run `mangaassist models fetch` first")
    port = free_port()
    extra = [argument for package in FLOOR_PACKAGES for argument in ("--with", package)]
    pid = start(
        "floor",
        [uv(), "run", "--no-sync", *extra, "python", *uvicorn(["benchmarks.floor:app"], port)],
        {
            "DATA": str(work / "floor"),
            "ENCODER": str(encoder.onnx_path),
            "TOKENIZER": str(encoder.tokenizer_path),
            "MODEL_PORT": str(model_port),
        },
    )
    await healthy(f"http://127.0.0.1:{port}/", "floor", 600, pid=pid, any_status=True)
    bodies = tuple(json.dumps({"message": question}).encode() for question in QUESTIONS)
    return Target(name="floor", url=f"http://127.0.0.1:{port}/chat", bodies=bodies, pid=pid)


async def litellm_target(start: Any, work: Path, model_port: int) -> Target:
    """Start LiteLLM's proxy in an environment of its own."""
    port = free_port()
    configuration = work / "litellm.yaml"
    configuration.write_text(
        "model_list:\n  - model_name: fake\n    litellm_params:\n"
        f'      {{model: openai/fake, api_base: "http://127.0.0.1:{model_port}/v1", api_key: x}}\n'
        "litellm_settings: {telemetry: false}\n",
        encoding="utf-8",
    )
    proxy = [uv(), "tool", "run", "--from", LITELLM, "litellm", "--config", str(configuration)]
    proxy += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    pid = start("litellm", proxy, {"LITELLM_MASTER_KEY": "sk-bench", "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    await healthy(f"http://127.0.0.1:{port}/health/liveliness", "litellm", 300, pid=pid)
    body = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": QUESTIONS[0]}]}
    return Target(
        name="litellm",
        url=f"http://127.0.0.1:{port}/v1/chat/completions",
        bodies=(json.dumps(body).encode(),),
        headers={"authorization": "Bearer sk-bench"},
        pid=pid,
    )


def summary(loads: dict[str, dict[int, list[Load]]], *, rounds: int, seconds: float) -> dict[str, Any]:
    """Medians over the rounds, and the ratios of each round."""
    out: dict[str, Any] = {
        "machine": machine(),
        "rounds": rounds,
        "seconds": seconds,
        "servers": {
            name: {
                str(connections): {
                    figure: round(statistics.median(getattr(load, figure) for load in series), 3)
                    for figure in asdict(series[0])
                }
                for connections, series in by_connections.items()
            }
            for name, by_connections in loads.items()
        },
        "ratios": {},
    }
    ours = loads["mangaassist"]
    for name, theirs in loads.items():
        if name != "mangaassist":
            out["ratios"][f"mangaassist_to_{name}"] = {
                str(connections): {
                    figure: _ratio(ours[connections], theirs[connections], figure) for figure in RATIOS
                }
                for connections in CONNECTIONS
            }
    return out


def _ratio(ours: list[Load], theirs: list[Load], figure: str) -> float | None:
    """Median over the rounds in which both sides completed answers; None when there is none."""
    ratios = [
        getattr(mine, figure) / getattr(other, figure)
        for mine, other in zip(ours, theirs, strict=True)
        if mine.requests and other.requests and getattr(other, figure)
    ]
    return round(statistics.median(ratios), 4) if ratios else None


def table(report: dict[str, Any]) -> str:
    """Return the report as text."""
    lines = [
        f"{report['machine']} · {report['rounds']} rounds of {report['seconds']} s, medians",
        f"{'server':12} {'conn':>4} {'req/s':>8} {'CPU ms':>8} {'p50':>9} {'p95':>9} {'p99':>9} {'first':>8} "
        f"{'RSS MB':>7} {'errors':>6}",
    ]
    for name, by_connections in report["servers"].items():
        for connections, load in by_connections.items():
            lines.append(
                f"{name:12} {connections:>4} {load['requests_per_s']:8.1f} {load['cpu_ms_per_request']:8.2f} "
                f"{load['p50_ms']:9.2f} {load['p95_ms']:9.2f} {load['p99_ms']:9.2f} "
                f"{load['first_token_p50_ms']:8.2f} {load['rss_mb']:7.0f} {load['errors']:6.0f}"
            )
    for name, by_connections in report["ratios"].items():
        for connections, ratio in by_connections.items():
            lines.append(
                f"{name} at {connections}: " + ", ".join(f"{key} {value}" for key, value in ratio.items())
            )
    return "\n".join(lines)


@contextmanager
def servers() -> Iterator[Any]:
    """Yield a function that starts a process; stop all of them, groups and all, at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, command: list[str], environment: dict[str, str]) -> int:
        note(f"starting {name}")
        log = tempfile.NamedTemporaryFile(prefix=f"bench-{name}-", suffix=".log", delete=False)  # noqa: SIM115
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        running.append(process)
        return process.pid

    try:
        yield start
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


async def healthy(url: str, name: str, timeout_s: float, *, pid: int, any_status: bool = False) -> None:
    """Wait until a server answers; stop the benchmark when its process has ended."""
    end = time.monotonic() + timeout_s
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while time.monotonic() < end:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                raise SystemExit(f"{name} ended by itself; see bench-{name}-*.log in {tempfile.gettempdir()}")
            try:
                answer = await client.get(url)
            except httpx.HTTPError:
                await asyncio.sleep(0.3)
                continue
            if any_status or answer.status_code == 200:
                return
            await asyncio.sleep(0.3)
    raise SystemExit(f"{name} did not become healthy within {timeout_s:.0f} s")


def uvicorn(application: list[str], port: int) -> list[str]:
    """Return the arguments after the interpreter that serve an application the way production does."""
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    return ["-m", "uvicorn", *application, "--port", str(port), *options]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def machine() -> str:
    """Say what the figures were measured on."""
    cores = os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"


def uv() -> str:
    """Return uv's path."""
    found = shutil.which("uv")
    if found is None:
        raise SystemExit("this benchmark needs uv: pip install uv")
    return found


def note(text: str) -> None:
    """Say what is happening, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
