"""Durable turns per second, the time to their acknowledgement, and what reads and reservations cost.

    python -m benchmarks.storage [--url URL] [--turns 20000] [--writers 64] [--json]

Without a URL: a new SQLite file in a temporary folder (`--folder` chooses the disk). The median fsync of
the same disk is measured before and after, because every acknowledgement contains one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.support.stored import make_write

from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.domain.budget import BudgetPolicy

Figures = dict[str, float]
SOLO_TURNS = 300


def fsync_ms(folder: Path, *, rounds: int = 100) -> float:
    """Return the median time of appending 16 kB and syncing it."""
    times = []
    with (folder / "fsync.probe").open("wb") as probe:
        for _ in range(rounds):
            probe.write(b"x" * 16_384)
            probe.flush()
            started = time.perf_counter()
            os.fsync(probe.fileno())
            times.append(time.perf_counter() - started)
    (folder / "fsync.probe").unlink()
    return statistics.median(times) * 1e3


async def closed_loop(operation: Callable[[int], Awaitable[object]], *, count: int, width: int) -> Figures:
    """Run `count` operations, `width` at a time; return rate, CPU and percentiles."""
    numbers = iter(range(count))
    times: list[float] = []

    async def work() -> None:
        for number in numbers:
            started = time.perf_counter()
            await operation(number)
            times.append(time.perf_counter() - started)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(width)))
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    cuts = statistics.quantiles(times, n=100)
    return {
        "per_s": count / wall_s,
        "p50_ms": cuts[49] * 1e3,
        "p95_ms": cuts[94] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "cpu_ms_each": cpu_s / count * 1e3,
    }


async def measure(url: str, *, turns: int, writers: int) -> dict[str, Figures]:
    """Return the figures of every kind of use."""
    storage = await SqlStorage.open(url, clock=SystemClock(), ids=RandomIds())
    sessions, budgets = storage.sessions, storage.budgets
    run = RandomIds().sortable("run")

    writes = [
        make_write(f"{run}-{number}", session_id=f"{run}-{number % 1000}")
        for number in range(2 * turns + SOLO_TURNS)
    ]

    async def append(number: int) -> None:
        await sessions.append(writes[number])

    async def append_alone(number: int) -> None:
        await sessions.append(writes[2 * turns + number])

    async def load(number: int) -> None:
        await sessions.load(f"{run}-{number % 1000}", owner="visitor:1", last_turns=6)

    async def load_on_a_thread(number: int) -> None:
        await asyncio.to_thread(int)
        await load(number)

    async def spend(number: int) -> None:
        reservation = await budgets.reserve(f"{run}-{number % 1000}", f"{run}-{number}", BudgetPolicy())
        await budgets.settle(reservation, used_tokens=100)

    async def whole_turn(number: int) -> None:
        reservation = await budgets.reserve(f"{run}-t{number % 1000}", f"{run}-t{number}", BudgetPolicy())
        await sessions.append(writes[turns + number])
        await budgets.settle(reservation, used_tokens=100)

    figures = {
        f"append_{writers}_writers": await closed_loop(append, count=turns, width=writers),
        "append_1_writer": await closed_loop(append_alone, count=SOLO_TURNS, width=1),
        "load": await closed_loop(load, count=turns, width=1),
        "load_plus_thread_hop": await closed_loop(load_on_a_thread, count=min(turns, 5_000), width=1),
        "reserve_and_settle_1": await closed_loop(spend, count=min(turns, 3_000), width=1),
        f"turn_with_budget_{writers}_writers": await closed_loop(whole_turn, count=turns, width=writers),
    }
    await storage.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--turns", type=int, default=20_000)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        url = arguments.url or f"sqlite:///{folder / 'bench.db'}"
        before = fsync_ms(folder)
        figures = asyncio.run(measure(url, turns=arguments.turns, writers=arguments.writers))
        report = {"fsync_p50_ms": {"before": before, "after": fsync_ms(folder)}, **figures}
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    for use, values in report.items():
        print(f"{use:32}" + "  ".join(f"{key} {value:.3f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
