"""The columnar copy: every record once whatever is killed when, rebuilt at will, one customer forgotten."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mangaassist.adapters.columnar.analytics import DuckDbAnalytics
from mangaassist.adapters.columnar.copy import MERGED_FROM, ColumnarCopy
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap.records import copy_pending, rebuild_copy
from mangaassist.control.monitoring.reports import REPORTS, named_report, run_report
from mangaassist.domain.errors import DependencyUnavailableError, InvalidRequestError, NotFoundError
from tests.support.clock import FakeClock, SequentialIds
from tests.support.stored import MOMENT, make_feedback, make_write

TODAY = MOMENT.date()


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[SqlStorage]:
    opened = await SqlStorage.open(database_url, clock=FakeClock(), ids=SequentialIds())
    yield opened
    await opened.close()


@pytest.fixture
def copy(tmp_path: Path) -> ColumnarCopy:
    return ColumnarCopy(tmp_path / "columnar")


async def answered(storage: SqlStorage, count: int, *, prefix: str = "res") -> None:
    for number in range(count):
        owner = f"visitor:{number % 5}"
        await storage.sessions.append(
            make_write(f"{prefix}_{number}", session_id=f"ses_{number % 5}", owner=owner)
        )


def counted(
    copy: ColumnarCopy, sql: str = "SELECT count(*), count(DISTINCT response_id) FROM records"
) -> object:
    with DuckDbAnalytics(copy) as analytics:
        return analytics.run(sql).rows[0]


async def test_every_record_and_its_feedback_is_copied_once(storage: SqlStorage, copy: ColumnarCopy) -> None:
    await answered(storage, 12)
    await storage.feedback.add(make_feedback("res_3"), owner="visitor:3")
    report = await copy_pending(storage, copy, clock=FakeClock())
    assert (report.records, report.feedback) == (12, 1)

    await storage.sessions.append(make_write("res_3", session_id="ses_3", owner="visitor:3"))  # a repeat
    again = await copy_pending(storage, copy, clock=FakeClock())

    assert (again.records, again.feedback) == (0, 0)
    assert counted(copy) == (12, 12)
    assert counted(copy, "SELECT count(*), any_value(intent) FROM feedback") == (1, "recommendation")
    values = counted(
        copy,
        "SELECT chunk_ids, guardrail_scores['toxicity'], step_ms['build_prompt'], input_tokens, day,"
        " created_at FROM records WHERE response_id = 'res_0'",
    )
    assert values == ('["chunk-1","chunk-2"]', 0.25, 0.5, 2**40, TODAY, MOMENT.replace(tzinfo=None))


async def test_an_empty_copy_answers_every_report_with_no_rows(copy: ColumnarCopy) -> None:
    with DuckDbAnalytics(copy) as analytics:
        for report in REPORTS:
            assert run_report(report.name, analytics, since=TODAY, until=TODAY).rows == ()
    with pytest.raises(NotFoundError, match="latency, cost, blocks"):
        named_report("profit")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM nowhere",
        "SELECT * FROM read_csv('/etc/hostname')",
        "COPY records TO '/tmp/out.parquet'",
        "SET enable_external_access = true",
        "not sql at all",
    ],
)
async def test_a_query_reads_the_views_and_nothing_else(copy: ColumnarCopy, sql: str) -> None:
    with DuckDbAnalytics(copy) as analytics, pytest.raises(InvalidRequestError):
        analytics.run(sql)


async def test_small_files_are_merged_and_the_old_ones_swept_later(
    storage: SqlStorage, copy: ColumnarCopy
) -> None:
    clock = FakeClock(MOMENT - timedelta(days=365))
    for batch in range(MERGED_FROM + 1):
        await storage.sessions.append(make_write(f"res_{batch}"))
        await copy_pending(storage, copy, clock=clock)
    assert len(copy.generation().files("record")) == 2
    assert counted(copy) == (MERGED_FROM + 1, MERGED_FROM + 1)

    on_disk = len(list(copy.generation().folder.glob("records/*/*/*.parquet")))
    copy.generation().sweep(now_s=time.time() + 3_600)
    assert on_disk > len(list(copy.generation().folder.glob("records/*/*/*.parquet"))) == 2
    assert counted(copy) == (MERGED_FROM + 1, MERGED_FROM + 1)


async def test_one_customer_is_forgotten_and_nobody_else(storage: SqlStorage, copy: ColumnarCopy) -> None:
    await answered(storage, 20)
    await storage.feedback.add(make_feedback("res_3"), owner="visitor:3")
    await copy_pending(storage, copy, clock=FakeClock())

    assert copy.generation().forget("visitor:3") == 5  # four answers and a feedback
    assert copy.generation().forget("visitor:3") == 0

    assert counted(copy) == (16, 16)
    assert counted(copy, "SELECT count(*) FROM feedback") == (0,)


async def test_a_rebuilt_copy_is_the_same(storage: SqlStorage, copy: ColumnarCopy) -> None:
    await answered(storage, 9)
    await storage.feedback.add(make_feedback("res_1"), owner="visitor:1")
    await copy_pending(storage, copy, clock=FakeClock())
    with DuckDbAnalytics(copy) as analytics:
        before = analytics.run("SELECT * EXCLUDE (bucket) FROM records ORDER BY response_id")
        rates = run_report("daily-feedback", analytics, since=TODAY, until=TODAY)

    report = await rebuild_copy(storage, copy)

    assert (report.records, report.feedback) == (9, 1)
    with DuckDbAnalytics(copy) as analytics:
        assert analytics.run("SELECT * EXCLUDE (bucket) FROM records ORDER BY response_id") == before
        assert run_report("daily-feedback", analytics, since=TODAY, until=TODAY) == rates
    assert [path.name for path in copy.generation().folder.parent.glob("g*")] == ["g2"]


async def test_daily_aggregates_count_late_feedback_on_the_day_of_its_answer_and_stay_exact(
    storage: SqlStorage, copy: ColumnarCopy
) -> None:
    await answered(storage, 10)
    for number, late in ((0, 0), (1, 3)):
        await storage.feedback.add(
            make_feedback(
                f"res_{number}", feedback_id=f"fb_{number}", timestamp=MOMENT + timedelta(days=late)
            ),
            owner=f"visitor:{number}",
        )
        await copy_pending(storage, copy, clock=FakeClock())
    for _ in range(2):
        with DuckDbAnalytics(copy) as analytics:
            (row,) = run_report("daily-feedback", analytics, since=TODAY, until=TODAY).records()
        assert (row["day"], row["answers"], row["thumbs_down"]) == (TODAY, 10, 2)
        assert row["thumbs_down_per_answer"] == 0.2
        await rebuild_copy(storage, copy)


async def test_only_one_process_writes(storage: SqlStorage, copy: ColumnarCopy) -> None:
    with copy.locked(), pytest.raises(DependencyUnavailableError, match="another process"):
        await copy_pending(storage, copy, clock=FakeClock())


COPYING = """
import asyncio, sys
from pathlib import Path
from mangaassist.adapters.columnar.copy import ColumnarCopy
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.bootstrap import records
from mangaassist.bootstrap.clock import RandomIds, SystemClock

records.BATCH_ROWS = 7

async def main():
    storage = await SqlStorage.open(sys.argv[1], clock=SystemClock(), ids=RandomIds())
    print("copying", flush=True)
    while True:
        await records.copy_pending(storage, ColumnarCopy(Path(sys.argv[2])), clock=SystemClock())

asyncio.run(main())
"""


def copy_and_kill(url: str, directory: Path, *, after_s: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", COPYING, url, str(directory)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"copying\n"
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()


async def test_a_copier_killed_at_any_moment_neither_loses_nor_doubles(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mangaassist.db'}"
    copy, moments = ColumnarCopy(tmp_path / "columnar"), random.Random(5)
    storage = await SqlStorage.open(url, clock=FakeClock(), ids=SequentialIds())
    for killed in range(6):
        await answered(storage, 60, prefix=f"round{killed}")
        copy_and_kill(url, tmp_path / "columnar", after_s=moments.uniform(0.0, 0.12))

    await copy_pending(storage, copy, clock=FakeClock())
    await storage.close()

    assert counted(copy) == (360, 360)
