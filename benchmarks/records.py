"""A million request records: the named reports, one trace, one customer, and bytes a request.

    python -m benchmarks.records [--records 1000000] [--distinct 50000] [--folder DIR] [--rounds 5] [--json]

`--distinct` synthetic answers of one day go into SQLite as the server stores them (turn, record, copy's
outbox) and through the product's own copy into Parquet; then both are filled up to `--records` with copies of
them under other ids. Reports run through `run_report` on an open connection, look-ups through
`SqlRequestRecords`.
A pure-CPU probe before and after says how busy the machine was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from mangaassist.adapters.columnar.analytics import DuckDbAnalytics
from mangaassist.adapters.columnar.copy import ColumnarCopy
from mangaassist.adapters.sql.feedback import FEEDBACK_COLUMNS
from mangaassist.adapters.sql.records import INSERT_RECORD, record_parameters
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.records import copy_pending
from mangaassist.control.monitoring.reports import REPORTS, run_report
from mangaassist.domain.records import RequestRecord

DAY = datetime(2026, 11, 20, tzinfo=UTC)
INTENTS = ("recommendation", "product_question", "faq", "promotion", "order_tracking", "checkout_help")
STEPS = ("load_context", "intent_classification", "retrieve_chunks", "rerank_chunks", "build_prompt",
         "bedrock_generate", "apply_guardrails")  # fmt: skip
STAGES = ("prompt_injection", "pii_detection", "price_validation", "grounding_check")
LOADED_AT_ONCE = 20_000


def records(count: int, seed: int = 1) -> Iterator[RequestRecord]:
    """Yield answers spread over a day, about five a customer and three a session."""
    choose = random.Random(seed)
    hashes = [f"{number:064x}" for number in range(400)]
    for number in range(count):
        intent = choose.choice(INTENTS)
        model = choose.random() < 0.8
        blocked = choose.random() < 0.02
        top = [choose.randrange(400) for _ in range(5)] if model else []
        latency = choose.lognormvariate(6, 0.5)
        yield RequestRecord(
            response_id=f"resp_{number:026d}",
            request_id=f"req_{number:026d}",
            trace_id=f"{number + 1:032x}",
            session_id=f"sess_{number // 3:026d}",
            owner=f"customer:{choose.randrange(max(1, count // 5))}",
            created_at=DAY + timedelta(microseconds=86_400_000_000 * number // count),
            intent=intent,
            confidence=round(choose.uniform(0.4, 1.0), 4),
            classification_path="model",
            route="llm" if model else "template",
            release_bundle=choose.choice(("2026.11.21-6da39277", "2026.11.21-77ab01cd")),
            prompt_version=f"{intent}-{choose.choice(('1.0', '1.1', '2.0'))}",
            model_id=choose.choice(("sonnet", "haiku")) if model else "none",
            page_type="home",
            user_type=choose.choice(("guest", "signed_in", "member")),
            locale="en-US",
            cache_hit=False,
            input_tokens=choose.randrange(800, 3_000) if model else 0,
            output_tokens=choose.randrange(20, 300) if model else 0,
            cached_input_tokens=0,
            latency_ms=latency,
            time_to_first_token_ms=latency / 3 if model else None,
            guardrail_action="block" if blocked else "allow",
            guardrail_scores={stage: round(choose.random() / 3, 4) for stage in STAGES},
            chunk_ids=tuple(f"faq:{one}" for one in top),
            step_ms={step: round(latency * choose.random() / len(STEPS), 3) for step in STEPS},
            versions={
                "intent_classifier": "intent-64a4",
                "knowledge": "knowledge-f7a5",
                "reranker": "shipped-4369",
            },
            provider="bedrock" if model else "none",
            cost_usd=round(choose.random() / 100, 6) if model else 0.0,
            guardrail_stage=choose.choice(STAGES) if blocked else None,
            guardrail_actions=dict.fromkeys(STAGES, "allow"),
            chunk_hashes=tuple(hashes[one] for one in top),
            prompt_hash=f"{choose.getrandbits(256):064x}" if model else None,
            capsule=f"{choose.getrandbits(256):064x}",
        )


def load(path: Path, count: int) -> None:
    """Store the answers the way the server does, thousands a transaction; a hundredth is disliked."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    known: set[str] = set()
    batch: list[RequestRecord] = []
    for record in records(count):
        batch.append(record)
        if len(batch) == LOADED_AT_ONCE:
            _store(connection, batch, known)
            batch = []
    _store(connection, batch, known)
    connection.close()


def fill_rows(path: Path, times: int) -> None:
    """Repeat every row of the row store under other ids, `times` - 1 times."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    for copy in range(1, times):
        connection.execute("BEGIN")
        for table, changed in (
            ("sessions", {"session_id"}),
            ("turns", {"response_id", "session_id"}),
            ("request_records", {"response_id", "request_id", "trace_id", "session_id", "owner"}),
        ):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = [f"{name} || '-{copy}'" if name in changed else name for name in columns]
            connection.execute(
                f"INSERT INTO {table} SELECT {', '.join(values)} FROM {table}"
                f" WHERE {'session_id' if table == 'sessions' else 'response_id'} NOT LIKE '%-%'"
            )
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill_files(copy: ColumnarCopy, times: int) -> None:
    """Repeat the rows of every file `times` times."""
    for kind in ("record", "feedback"):
        for name in copy.generation().files(kind):
            table = pq.read_table(name, partitioning=None)
            pq.write_table(pa.concat_tables([table] * times), name, compression="zstd")


def _store(connection: sqlite3.Connection, batch: list[RequestRecord], known: set[str]) -> None:
    connection.execute("BEGIN")
    moment = DAY.isoformat(timespec="microseconds")
    new = {record.session_id: record.owner for record in batch if record.session_id not in known}
    known.update(new)
    connection.executemany(
        "INSERT INTO sessions VALUES (?, ?, '{}', ?, ?, 3)",
        [(session, owner, moment, moment) for session, owner in new.items()],
    )
    connection.executemany(
        "INSERT INTO turns VALUES (?, ?, ?, 'a question', 'an answer', ?, ?)",
        [
            (one.response_id, one.session_id, int(one.response_id[5:]) % 3, one.intent, moment)
            for one in batch
        ],
    )
    connection.executemany(INSERT_RECORD, [record_parameters(record) for record in batch])
    connection.executemany(
        "INSERT INTO copy_outbox VALUES ('record', ?)", [(record.response_id,) for record in batch]
    )
    disliked = [record for record in batch if int(record.response_id[5:]) % 100 == 0]
    connection.executemany(
        f"INSERT INTO feedback ({', '.join(FEEDBACK_COLUMNS)}) VALUES (?, ?, ?, ?, ?, NULL, NULL, NULL)",
        [
            (f"fb_{one.response_id}", one.response_id, one.trace_id,
             "thumbs_down" if number % 3 else "thumbs_up", moment)
            for number, one in enumerate(disliked)
        ],
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO copy_outbox VALUES ('feedback', ?)", [(f"fb_{one.response_id}",) for one in disliked]
    )
    connection.execute("COMMIT")


def cpu_probe_ms() -> float:
    """Return the median time of a fixed piece of pure computing."""
    times = []
    for _ in range(9):
        started = time.perf_counter()
        sum(number * number for number in range(100_000))
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


async def timed(use: Callable[[], Awaitable[object]], rounds: int) -> dict[str, float]:
    """Return median and slowest wall time of a look-up, and its CPU time."""
    times, cpu = [], time.process_time()
    for _ in range(rounds):
        started = time.perf_counter()
        await use()
        times.append((time.perf_counter() - started) * 1e3)
    return {
        "p50_ms": statistics.median(times),
        "max_ms": max(times),
        "cpu_ms": (time.process_time() - cpu) / rounds * 1e3,
    }


def file_bytes(names: list[str]) -> int:
    """Return the size of files together."""
    return sum(Path(name).stat().st_size for name in names)


async def measure(folder: Path, *, distinct: int, times: int, rounds: int) -> dict[str, object]:
    """Return every figure of `distinct` * `times` records."""
    path, count = folder / "records.db", distinct * times
    storage = await SqlStorage.open(f"sqlite:///{path}", clock=SystemClock(), ids=RandomIds())
    probe_before = cpu_probe_ms()
    load(path, distinct)
    copy = ColumnarCopy(folder / "columnar")
    cpu = time.process_time()
    copied = await copy_pending(storage, copy, clock=SystemClock())
    copied_cpu_s = time.process_time() - cpu
    assert copied.records == distinct
    files = copy.generation().files("record")
    distinct_bytes = file_bytes(files)
    fill_rows(path, times)
    fill_files(copy, times)

    choose = random.Random(2)

    def suffix() -> str:
        number = choose.randrange(times)
        return f"-{number}" if number else ""

    lookups = {
        "one_trace": lambda: storage.records.find(f"{choose.randrange(distinct) + 1:032x}{suffix()}"),
        "one_response": lambda: storage.records.find(f"resp_{choose.randrange(distinct):026d}{suffix()}"),
        "one_session": lambda: storage.records.find(f"sess_{choose.randrange(distinct // 3):026d}{suffix()}"),
        "one_customer": lambda: storage.records.of_owner(
            f"customer:{choose.randrange(distinct // 5)}{suffix()}"
        ),
    }
    found = {name: await timed(use, 300) for name, use in lookups.items()}
    reports: dict[str, dict[str, float]] = {}
    with DuckDbAnalytics(copy) as analytics:
        (counted,) = analytics.run("SELECT count(*) FROM records").rows[0]
        assert counted == count
        for report in REPORTS:

            async def run(name: str = report.name) -> object:
                return run_report(name, analytics, since=DAY.date(), until=DAY.date())

            reports[report.name] = await timed(run, rounds)
    await storage.close()
    return {
        "records": count,
        "cpu_probe_ms": {"before": probe_before, "after": cpu_probe_ms()},
        "copy_cpu_us_per_record": copied_cpu_s / distinct * 1e6,
        "bytes_per_request": {
            "row_store": file_bytes([str(path)]) / count,
            "parquet": distinct_bytes / distinct,
            "record_as_json": len(orjson.dumps(next(records(1)))),
        },
        "lookups": found,
        "reports": reports,
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--distinct", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        distinct = min(arguments.distinct, arguments.records)
        figures = asyncio.run(
            measure(
                Path(name),
                distinct=distinct,
                times=max(1, arguments.records // distinct),
                rounds=arguments.rounds,
            )
        )
    figures["load_average"] = os.getloadavg()[0]
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:24}{json.dumps(value)}")


if __name__ == "__main__":
    main()
