"""Analysis of ten million observations: `mangaassist bench experiment [--rows N] [--threads N] [--json]`.

The file is made first: two arms, nine intents, about four answers a session, four metrics (a rate, a cost, a
latency with its 95th percentile, a failure) and what sessions did before. The analysis is the product's own,
from opening the file to the decision: clustered intervals overall and by intent, sample ratio, CUPED.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from mangaassist.bootstrap.experiments import FileQuestion, analyse_file
from mangaassist.bootstrap.settings import load_settings

ROWS, THREADS, ROUNDS = 10_000_000, 2, 3
QUESTION = {
    "roles": {
        "thumbs_up_rate": "primary",
        "fallback_rate": "guardrail",
        "latency_ms": "guardrail",
        "cost_usd": "secondary",
    },
    "margins": {"fallback_rate": (0.01, False), "latency_ms": (0.01, False)},
    "quantiles": {"latency_ms": 0.95},
}
INTENTS = (
    "recommendation", "product_question", "faq", "order_tracking", "promotion", "checkout_help",
    "return_request", "chitchat", "escalation",
)  # fmt: skip


def make(path: Path, rows: int) -> None:
    """Write the observations; DuckDB draws them, seeded."""
    intents = ", ".join(f"'{intent}'" for intent in INTENTS)
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SELECT setseed(0.42)")
    connection.execute(
        f"""COPY (
            SELECT 'sess_' || lpad(u::VARCHAR, 9, '0') AS unit,
                CASE WHEN hash(u) % 2 = 0 THEN 'control' ELSE 'treatment' END AS arm,
                list_extract([{intents}], 1 + (hash(i * 7 + 3) % 9)::INT) AS intent,
                (random() < 0.65 + 0.1 * (hash(u + 11) % 1000) / 1000.0)::INT AS thumbs_up_rate,
                (random() < 0.03)::INT AS fallback_rate,
                exp(random() * 2 - 6) AS cost_usd,
                700 + 900 * random() * random() * (1 + (hash(u + 5) % 100) / 100.0) AS latency_ms,
                (hash(u + 11) % 1000) / 1000.0 AS pre_thumbs_up_rate
            FROM (SELECT i, (random() * {rows // 4})::BIGINT AS u FROM range({rows}) AS t(i))
        ) TO '{path}' (FORMAT PARQUET)"""
    )
    connection.close()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="mangaassist bench experiment", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "observations.parquet"
        if not options.json:
            print(f"writing {options.rows:,} observations ...", file=sys.stderr)
        make(path, options.rows)
        settings = load_settings(data_dir=Path(folder) / "data")
        walls, cpus = [], []
        for _ in range(options.rounds):
            wall, cpu = time.perf_counter(), time.process_time()
            question = FileQuestion(path=path, key="bench", **QUESTION)  # type: ignore[arg-type]
            analysed = analyse_file(settings, question, threads=options.threads)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        size = path.stat().st_size
    analysis = analysed.analysis
    figures = {
        "rows": analysis.observations,
        "units": sum(analysis.sizes.units.values()),
        "file_mb": round(size / 1e6, 1),
        "threads": options.threads,
        "wall_s": [round(one, 2) for one in walls],
        "median_wall_s": round(statistics.median(walls), 2),
        "median_cpu_s": round(statistics.median(cpus), 2),
        # what the wall clock would show with the threads to itself
        "cpu_s_per_thread": round(statistics.median(cpus) / options.threads, 2),
        "load_average": round(os.getloadavg()[0], 2),
        "decision": analysis.decision.value,
        "segments": len({one.segment for one in analysis.arms[0].segments}),
    }
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main(sys.argv[1:])
