from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_backlog import CURSOR, SpoolBacklog, shipped_offsets
from mangaassist.adapters.embedded.trace_segments import list_segments, read_from
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace
from mangaassist.ports.traces import TraceCounters
from tests.support.spools import FLUSH_S, fill, open_sink
from tests.support.traces import TraceMaker


def stored(directory: Path) -> list[Trace]:
    return [
        trace
        for segment in list_segments(directory)
        for trace, _ in read_from(segment, 0)
        if trace is not None
    ]


def test_traces_are_on_disk_after_a_flush_in_the_order_they_were_accepted(tmp_path: Path) -> None:
    make = TraceMaker()
    traces = [make.answered() for _ in range(50)]
    sink = open_sink(tmp_path, make, interval_s=60.0)
    for trace in traces:
        sink.accept(trace)
    sink.flush(FLUSH_S)
    assert stored(tmp_path) == traces
    sink.close()


def test_a_flush_waits_for_every_trace_accepted_before_it(tmp_path: Path) -> None:
    make = TraceMaker()
    trace = make.template()
    sink = open_sink(tmp_path, make)
    for count in range(1, 60):
        sink.accept(trace)
        sink.flush(FLUSH_S)
        assert sum(1 for _ in stored(tmp_path)) == count
    sink.close()


def test_closing_writes_what_is_queued_and_later_traces_are_counted_as_dropped(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, interval_s=60.0)
    sink.accept(make.template())
    sink.close()
    sink.accept(make.template())
    assert len(stored(tmp_path)) == 1
    assert sink.dropped_by_reason == {"closed": 1}


def test_a_sink_that_was_never_used_closes_and_leaves_nothing(tmp_path: Path) -> None:
    open_sink(tmp_path / "spool", TraceMaker()).close()
    assert not (tmp_path / "spool").exists()


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, queue_traces=3, interval_s=60.0)
    for _ in range(5):
        sink.accept(make.template())
    sink.close()
    assert sink.dropped_by_reason == {"queue_full": 2}
    assert sink.counters() == TraceCounters(accepted=3, shipped=0, pending=3, dropped=2)


def test_a_full_spool_drops_and_counts(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, max_bytes=10)
    sink.accept(make.template())
    sink.flush(FLUSH_S)
    assert sink.dropped_by_reason == {"spool_full": 1}
    assert sink.counters() == TraceCounters(accepted=1, shipped=0, pending=0, dropped=1)
    sink.close()


def test_a_trace_that_is_no_text_is_dropped_without_its_neighbours(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, interval_s=60.0)
    good = make.template()
    sink.accept(replace(good, request_preview="a lone surrogate \ud800"))
    sink.accept(good)
    sink.close()
    assert stored(tmp_path) == [good]
    assert sum(sink.dropped_by_reason.values()) == 1


def test_a_folder_that_cannot_be_written_costs_the_trace_and_nothing_else(tmp_path: Path) -> None:
    make = TraceMaker()
    blocked = tmp_path / "spool"
    blocked.write_text("a file is in the way")
    sink = open_sink(blocked, make)
    sink.accept(make.template())
    sink.flush(FLUSH_S)
    assert sink.counters().dropped == 1
    blocked.unlink()
    sink.accept(make.template())
    sink.close()
    assert len(stored(blocked)) == 1


def test_segments_end_by_size_and_by_age(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, segment_bytes=1, segment_age_s=60.0)
    for _ in range(3):
        sink.accept(make.template())
        sink.flush(FLUSH_S)
    sink.close()
    assert len(list_segments(tmp_path)) == 3
    aging = open_sink(tmp_path / "aging", make, segment_age_s=60.0)
    aging.accept(make.template())
    aging.flush(FLUSH_S)
    make.clock.advance(30)
    aging.accept(make.template())
    aging.flush(FLUSH_S)
    make.clock.advance(61)
    aging.accept(make.template())
    aging.close()
    assert len(list_segments(tmp_path / "aging")) == 2


def test_accepting_is_cheap_while_the_disk_is_busy(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    trace = make.answered()
    costs = []
    for _ in range(2_000):
        started = time.perf_counter_ns()
        sink.accept(trace)
        costs.append(time.perf_counter_ns() - started)
    sink.close()
    assert sorted(costs)[len(costs) // 2] < 20_000


def test_a_torn_tail_and_a_damaged_line_are_passed_over(tmp_path: Path) -> None:
    make = TraceMaker()
    first, second = fill(tmp_path, make, 2)
    segment = list_segments(tmp_path)[0]
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + b"00000000 {}\n" + lines[1] + lines[0][:100])
    backlog = SpoolBacklog(tmp_path)
    batch = backlog.next_batch(10)
    assert batch is not None
    assert batch.traces == (first, second)
    assert batch.damaged == 1
    backlog.acknowledge(batch)
    assert backlog.next_batch(10) is None


def test_a_batch_comes_again_until_it_is_acknowledged_also_after_a_restart(tmp_path: Path) -> None:
    traces = fill(tmp_path, TraceMaker(), 5)
    backlog = SpoolBacklog(tmp_path)
    batch = backlog.next_batch(3)
    assert batch is not None
    assert batch.traces == traces[:3]
    assert backlog.next_batch(3) == batch
    backlog.acknowledge(batch)
    rest = SpoolBacklog(tmp_path).next_batch(3)
    assert rest is not None
    assert rest.traces == traces[3:]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": "b"}'])
def test_an_unreadable_cursor_ships_again_rather_than_losing(tmp_path: Path, content: bytes) -> None:
    traces = fill(tmp_path, TraceMaker(), 2)
    (tmp_path / CURSOR).write_bytes(content)
    batch = SpoolBacklog(tmp_path).next_batch(10)
    assert batch is not None
    assert batch.traces == traces


def test_the_counters_tell_what_was_shipped(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    for _ in range(3):
        sink.accept(make.template())
        sink.flush(FLUSH_S)
    backlog = SpoolBacklog(tmp_path)
    batch = backlog.next_batch(2)
    assert batch is not None
    backlog.acknowledge(batch)
    assert sink.counters() == TraceCounters(accepted=3, shipped=2, pending=1, dropped=0)
    rest = backlog.next_batch(2)
    assert rest is not None
    backlog.acknowledge(rest)
    sink.close()
    assert backlog.sweep(now_s=time.monotonic() + 1e11, retention_s=0, keep_bytes=0) == 1
    assert sink.counters() == TraceCounters(accepted=3, shipped=3, pending=0, dropped=0)


def test_sweeping_removes_what_is_old_and_shipped_and_nothing_that_waits(tmp_path: Path) -> None:
    make = TraceMaker()
    fill(tmp_path, make, 3, segment_bytes=1)
    old, older, waiting = list_segments(tmp_path)
    backlog = SpoolBacklog(tmp_path)
    for _ in range(2):
        batch = backlog.next_batch(1)
        assert batch is not None
        backlog.acknowledge(batch)
    for segment in (old, older, waiting):
        os.utime(segment, (1_000, 1_000))
    assert backlog.sweep(now_s=1_500, retention_s=1_000, keep_bytes=10**9) == 0
    assert backlog.sweep(now_s=2_500, retention_s=1_000, keep_bytes=10**9) == 2
    assert list_segments(tmp_path) == [waiting]
    assert set(shipped_offsets(tmp_path)) == set()


def test_sweeping_keeps_the_newest_within_its_room(tmp_path: Path) -> None:
    make = TraceMaker()
    fill(tmp_path, make, 3, segment_bytes=1)
    segments = list_segments(tmp_path)
    backlog = SpoolBacklog(tmp_path)
    while (batch := backlog.next_batch(10)) is not None:
        backlog.acknowledge(batch)
    for segment in segments:
        os.utime(segment, (1_000, 1_000))
    room = segments[2].stat().st_size
    assert backlog.sweep(now_s=1_100, retention_s=10**6, keep_bytes=room) == 0, "a writer may hold them"
    assert backlog.sweep(now_s=10_000, retention_s=10**6, keep_bytes=room) == 2
    assert list_segments(tmp_path) == [segments[2]]


def test_a_segment_with_a_torn_tail_is_swept_when_its_lines_are_shipped(tmp_path: Path) -> None:
    fill(tmp_path, TraceMaker(), 1)
    segment = list_segments(tmp_path)[0]
    with segment.open("ab") as file:
        file.write(b"0123")
    backlog = SpoolBacklog(tmp_path)
    batch = backlog.next_batch(10)
    assert batch is not None
    backlog.acknowledge(batch)
    os.utime(segment, (1_000, 1_000))
    assert backlog.sweep(now_s=10_000, retention_s=1_000, keep_bytes=0) == 1


def test_the_archive_finds_a_trace_by_either_id_in_any_segment(tmp_path: Path) -> None:
    traces = fill(tmp_path, TraceMaker(), 4, segment_bytes=1)
    archive = SpoolTraceArchive(tmp_path)
    for trace in traces:
        assert archive.get(trace.trace_id) == trace
        assert archive.get(trace.response_id) == trace


def test_the_archive_flushes_first_so_that_the_newest_is_found(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, interval_s=60.0)
    archive = SpoolTraceArchive(tmp_path, flush=lambda: sink.flush(FLUSH_S))
    trace = make.template()
    sink.accept(trace)
    assert archive.get(trace.trace_id) == trace
    sink.close()


@pytest.mark.parametrize("unknown", ["f" * 32, "", '"', "../x", "session-1", "résp", "a" * 10_000])
def test_the_archive_knows_no_other_ids(tmp_path: Path, unknown: str) -> None:
    fill(tmp_path, TraceMaker(), 1)
    with pytest.raises(NotFoundError):
        SpoolTraceArchive(tmp_path).get(unknown)


def test_an_absent_spool_is_an_empty_one(tmp_path: Path) -> None:
    absent = tmp_path / "spool"
    assert SpoolBacklog(absent).next_batch(1) is None
    assert SpoolBacklog(absent).pending_bytes() == 0
    assert SpoolBacklog(absent).sweep(now_s=0, retention_s=0, keep_bytes=0) == 0
    with pytest.raises(NotFoundError):
        SpoolTraceArchive(absent).get("f" * 32)
