"""A closed-loop load generator that reads server-sent events to the end, and the servers' CPU time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One server: where it listens, what is sent."""

    name: str
    url: str
    bodies: tuple[bytes, ...]
    headers: dict[str, str] = field(default_factory=dict)
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run saw; times in milliseconds."""

    requests: int
    errors: int
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_token_p50_ms: float
    cpu_ms_per_request: float
    rss_mb: float


async def run_load(target: Target, *, connections: int, seconds: float) -> Load:
    """Keep `connections` requests running for `seconds`."""
    latencies: list[float] = []
    first_tokens: list[float] = []
    errors = 0
    bodies = cycle(target.bodies)
    parts = urlsplit(target.url)
    fixed = {"host": parts.netloc, "content-type": "application/json", "accept": "text/event-stream"}
    head = f"POST {parts.path} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in {**fixed, **target.headers}.items())

    async def worker(end: float) -> None:
        nonlocal errors
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        while time.perf_counter() < end:
            body = next(bodies)
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
                started = time.perf_counter()
                writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
                status, first = await _read_response(reader)
                if status == 200:
                    latencies.append(time.perf_counter() - started)
                    first_tokens.append(first - started)
                else:
                    errors += 1
            except (OSError, asyncio.IncompleteReadError, ValueError):
                errors += 1
                if writer is not None:
                    writer.close()
                reader = writer = None
                await asyncio.sleep(0.01)
        if writer is not None:
            writer.close()

    cpu_before = _cpu_s(target.pid)
    started = time.perf_counter()
    await asyncio.gather(*(worker(started + seconds) for _ in range(connections)))
    elapsed = time.perf_counter() - started
    cpu_s = _cpu_s(target.pid) - cpu_before
    count = len(latencies)
    return Load(
        requests=count,
        errors=errors,
        requests_per_s=round(count / elapsed, 1),
        p50_ms=_quantile_ms(latencies, 0.5),
        p95_ms=_quantile_ms(latencies, 0.95),
        p99_ms=_quantile_ms(latencies, 0.99),
        first_token_p50_ms=_quantile_ms(first_tokens, 0.5),
        cpu_ms_per_request=round(cpu_s / max(1, count) * 1e3, 3),
        rss_mb=round(_rss_mb(target.pid), 1),
    )


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, float]:
    """Return the status and when the first token arrived."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"\r\ncontent-length:" in head:  # not a proxied `llm_provider-content-length`
        await reader.readexactly(int(head.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0]))
        return status, time.perf_counter()
    first = 0.0
    while True:
        size = int((await reader.readuntil(b"\r\n"))[:-2].split(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        if not first and (b"token" in chunk or b"delta" in chunk):
            first = time.perf_counter()
        if size == 0:
            return status, first or time.perf_counter()


def _processes(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_s(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _processes(pid))


def _rss_mb(pid: int) -> float:
    return sum(process.memory_info().rss for process in _processes(pid)) / 2**20


def _quantile_ms(values: list[float], q: float) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1e3, 3)
