from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_backlog import (
    SpoolBacklog,
    cursor_file,
    read_traces,
    shipped_everywhere,
    shipped_offsets,
    waiting_traces,
)
from mangaassist.adapters.embedded.trace_counts import ProcessCounts, total_counts
from mangaassist.adapters.embedded.trace_segments import HELD, KEPT, list_segments
from mangaassist.adapters.embedded.trace_sweep import WRITER_GONE_S, Retention, sweep_spool
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace
from mangaassist.ports.traces import TraceCounters
from tests.support.spools import FLUSH_S, fill, held, open_sink, ordinary
from tests.support.traces import TraceMaker

DAY_S = 86_400.0


def stored(directory: Path, lane: str = KEPT) -> list[Trace]:
    return [
        trace
        for segment in list_segments(directory, lane)
        for trace, _ in read_traces(segment, 0)
        if trace is not None
    ]


def refuse_writes(monkeypatch: pytest.MonkeyPatch, *, after_bytes: int | None) -> Callable[[], None]:
    """Make the disk full: writes end after some bytes, as they do on a real one; return how to make room."""
    real = os.write
    left = [after_bytes]

    def write(handle: int, data: bytes) -> int:
        if left[0] is None:
            return real(handle, data)
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(handle, data[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)

    def make_room() -> None:
        left[0] = None

    return make_room


def test_what_was_accepted_can_be_read_at_once_by_any_process_in_the_order_it_came(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, sync_interval_s=60.0)
    traces = [make.answered() for _ in range(50)]
    for count, trace in enumerate(traces, start=1):
        sink.accept(trace)
        assert stored(tmp_path) == traces[:count]
    sink.close()


def test_a_flush_waits_until_everything_accepted_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced.append(os.fstat(handle).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    make = TraceMaker()
    trace = make.template()
    sink = open_sink(tmp_path, make, sync_interval_s=60.0)
    for _ in range(20):
        sink.accept(trace)
        sink.flush(FLUSH_S)
        assert list_segments(tmp_path)[0].stat().st_size in synced
    sink.close()


def test_closing_syncs_what_is_new_and_later_traces_are_counted_as_dropped(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, sync_interval_s=60.0)
    sink.accept(make.template())
    sink.close()
    sink.accept(make.template())
    assert len(stored(tmp_path)) == 1
    assert sink.counters().dropped_by_reason == {"closed": 1}


def test_a_sink_that_was_never_used_closes_and_leaves_nothing(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "spool", TraceMaker())
    sink.flush(FLUSH_S)
    sink.close()
    assert not (tmp_path / "spool").exists()


def test_traces_outside_the_sample_wait_apart_and_are_found_and_not_shipped(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    kept, waiting = make.answered(), held(make.answered())
    sink.accept(kept)
    sink.accept(waiting)
    sink.flush(FLUSH_S)
    assert (stored(tmp_path), stored(tmp_path, HELD)) == ([kept], [waiting])
    assert SpoolTraceArchive(tmp_path).get(waiting.response_id) == waiting
    batch = SpoolBacklog(tmp_path).next_batch(10)
    assert batch is not None
    assert batch.traces == (kept,)
    assert sink.counters() == TraceCounters(accepted=2, pending=1, held=1)
    sink.close()


def test_a_full_spool_refuses_held_traces_first_then_ordinary_ones_and_wanted_ones_last(
    tmp_path: Path,
) -> None:
    make = TraceMaker()
    wanted = make.answered()
    size = len((fill(tmp_path / "probe", make, 1), list_segments(tmp_path / "probe")[0].read_bytes())[1])
    sink = open_sink(tmp_path / "spool", make, max_bytes=20 * size)
    dropped = []
    for _ in range(22):
        for trace in (held(wanted), ordinary(wanted), wanted):
            sink.accept(trace)
        dropped.append(dict(sink.counters().dropped_by_reason))
    sink.close()
    first = {reason: next(n for n, seen in enumerate(dropped) if reason in seen) for reason in dropped[-1]}
    assert first["spool_full_held"] < first["spool_full_ordinary"] < first["spool_full_wanted"]
    counters = sink.counters()
    assert counters.accepted + counters.dropped == 66
    assert counters.accepted == len(stored(tmp_path / "spool")) + len(stored(tmp_path / "spool", HELD))


def test_room_is_made_of_what_was_shipped_and_then_of_what_is_only_held(tmp_path: Path) -> None:
    make = TraceMaker()
    old_held = tuple(held(make.answered()) for _ in range(4))
    shipped = fill(tmp_path, make, 4, segment_bytes=1)
    backlog = SpoolBacklog(tmp_path)
    while (batch := backlog.next_batch(10)) is not None:
        backlog.acknowledge(batch)
    waiting = fill(tmp_path, make, 2, segment_bytes=1, process_id=2)
    sink = open_sink(tmp_path, make, segment_bytes=1, process_id=3)
    for trace in old_held:
        make.clock.advance(1)
        sink.accept(trace)
    sink.close()
    size = list_segments(tmp_path)[0].stat().st_size
    tight = open_sink(tmp_path, make, max_bytes=6 * size, measure_every_s=0.0, process_id=4)
    tight.accept(make.answered())
    tight.flush(FLUSH_S)
    tight.close()
    left = stored(tmp_path)
    assert all(trace in left for trace in waiting), "what waits to be shipped stays"
    assert not any(trace in left for trace in shipped[:3])
    assert tight.counters().dropped_by_reason["held_shed"] >= 2
    assert stored(tmp_path, HELD)[-1] == old_held[-1], "the newest of a process may still be written to"


def test_text_that_is_no_unicode_costs_its_characters_and_never_the_trace(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    trace = replace(make.template(), request_preview="a lone surrogate \ud800", tags={"n": object()})  # type: ignore[dict-item]  # what a fault could put there
    sink.accept(trace)
    sink.close()
    (found,) = stored(tmp_path)
    assert found.request_preview == "a lone surrogate ?"
    assert found.spans == trace.spans
    assert sink.counters().dropped == 0


def test_what_the_disk_refuses_waits_in_memory_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = TraceMaker()
    traces = [make.answered() for _ in range(5)]
    sink = open_sink(tmp_path, make)
    sink.accept(traces[0])
    make_room = refuse_writes(monkeypatch, after_bytes=100)
    for trace in traces[1:]:
        make.clock.advance(1)
        sink.accept(trace)
    assert stored(tmp_path) == traces[:1]
    assert [segment.read_bytes()[-1:] for segment in list_segments(tmp_path)] == [b"\n"]
    make_room()
    sink.flush(FLUSH_S)
    assert stored(tmp_path) == traces
    assert (sink.counters().pending, sink.counters().dropped) == (5, 0)
    sink.close()


def test_when_memory_is_full_too_the_least_wanted_give_way_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = TraceMaker()
    wanted = [make.answered() for _ in range(3)]
    sink = open_sink(tmp_path, make, waiting_bytes=20_000, sync_interval_s=60.0)
    make_room = refuse_writes(monkeypatch, after_bytes=0)
    for trace in wanted:
        sink.accept(held(trace))
        sink.accept(ordinary(trace))
        sink.accept(trace)
    make_room()
    sink.flush(FLUSH_S)
    assert [trace for trace in stored(tmp_path) if trace.sampling_reason == "all"] == wanted
    dropped = sink.counters().dropped_by_reason
    assert dropped["disk_refused_held"] == 3
    assert "disk_refused_wanted" not in dropped
    sink.close()


def test_a_disk_that_refuses_to_the_end_costs_the_traces_and_nothing_else(tmp_path: Path) -> None:
    make = TraceMaker()
    blocked = tmp_path / "spool"
    blocked.write_text("a file is in the way")
    sink = open_sink(blocked, make)
    sink.accept(make.template())
    sink.close()
    assert sink.counters().dropped_by_reason == {"disk_refused_wanted": 1}


def test_the_last_bytes_of_a_disk_are_left_to_the_database(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make, min_free_bytes=2**60, measure_every_s=0.0)
    sink.accept(make.template())
    sink.flush(FLUSH_S)
    sink.accept(make.template())
    sink.close()
    assert sink.counters().dropped_by_reason == {"spool_full_wanted": 1}


def test_every_process_tells_what_it_dropped(tmp_path: Path) -> None:
    make = TraceMaker()
    for process_id in (1, 2):
        sink = open_sink(tmp_path, make, process_id=process_id)
        make.clock.advance(1)
        sink.accept(make.template())
        sink.accept(held(make.template()))
        sink.close()
        sink.accept(make.template())
    assert total_counts(tmp_path) == ProcessCounts(accepted=4, held=2)


def test_segments_end_by_size_and_by_age(tmp_path: Path) -> None:
    make = TraceMaker()
    fill(tmp_path, make, 3, segment_bytes=1)
    assert len(list_segments(tmp_path)) == 3
    aging = open_sink(tmp_path / "aging", make, segment_age_s=60.0)
    for pause in (0, 30, 61):
        make.clock.advance(pause)
        aging.accept(make.template())
    aging.close()
    assert len(list_segments(tmp_path / "aging")) == 2


def test_accepting_is_cheap_while_the_disk_is_busy(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    trace = make.answered()
    costs = []
    for _ in range(500):
        started = time.thread_time_ns()
        sink.accept(trace)
        costs.append(time.thread_time_ns() - started)
    sink.close()
    assert sorted(costs)[len(costs) // 2] < 400_000


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
    cursor_file(tmp_path).write_bytes(content)
    batch = SpoolBacklog(tmp_path).next_batch(10)
    assert batch is not None
    assert batch.traces == traces


def test_the_counters_tell_what_was_shipped_and_how_long_the_oldest_waits(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    for _ in range(3):
        sink.accept(make.template())
        make.clock.advance(10)
    first = sink.counters()
    assert replace(first, oldest_pending_s=0.0) == TraceCounters(accepted=3, pending=3)
    assert first.oldest_pending_s == pytest.approx(30, abs=1)
    backlog = SpoolBacklog(tmp_path)
    batch = backlog.next_batch(2)
    assert batch is not None
    backlog.acknowledge(batch)
    second = sink.counters()
    assert replace(second, oldest_pending_s=0.0) == TraceCounters(accepted=3, shipped=2, pending=1)
    assert second.oldest_pending_s == pytest.approx(10, abs=1)
    rest = backlog.next_batch(2)
    assert rest is not None
    backlog.acknowledge(rest)
    sink.close()
    assert sink.counters() == TraceCounters(accepted=3, shipped=3)


def test_a_trace_is_shipped_once_every_destination_has_it(tmp_path: Path) -> None:
    make = TraceMaker()
    (trace,) = fill(tmp_path, make, 1)
    backlogs = [SpoolBacklog(tmp_path, destination=name) for name in ("mlflow", "otlp")]
    for count, backlog in enumerate(backlogs):
        assert sum(shipped_everywhere(tmp_path, ("mlflow", "otlp")).values()) == 0, count
        batch = backlog.next_batch(10)
        assert batch is not None
        assert batch.traces == (trace,)
        backlog.acknowledge(batch)
    assert sum(shipped_everywhere(tmp_path, ("mlflow", "otlp")).values()) > 0
    assert waiting_traces(tmp_path).traces == 0
    assert waiting_traces(tmp_path, destination=None).traces == 1


def retention(*, shipped_s: float = DAY_S, shipped_bytes: int = 10**9, held_s: float = DAY_S) -> Retention:
    return Retention(shipped_s=shipped_s, shipped_bytes=shipped_bytes, held_s=held_s)


def age(segments: list[Path], moment_s: float) -> None:
    for segment in segments:
        os.utime(segment, (moment_s, moment_s))


def test_sweeping_removes_what_is_old_and_shipped_and_nothing_that_waits(tmp_path: Path) -> None:
    fill(tmp_path, TraceMaker(), 3, segment_bytes=1)
    old, older, waiting = list_segments(tmp_path)
    backlog = SpoolBacklog(tmp_path)
    for _ in range(2):
        batch = backlog.next_batch(1)
        assert batch is not None
        backlog.acknowledge(batch)
    age([old, older, waiting], 1_000)
    assert sweep_spool(tmp_path, [backlog], now_s=1_000 + DAY_S / 2, retention=retention()).segments == 0
    assert sweep_spool(tmp_path, [backlog], now_s=1_001 + DAY_S, retention=retention()).segments == 2
    assert list_segments(tmp_path) == [waiting]
    assert set(shipped_offsets(tmp_path)) == set()


def test_sweeping_keeps_the_newest_within_its_room_and_what_a_writer_may_hold(tmp_path: Path) -> None:
    fill(tmp_path, TraceMaker(), 3, segment_bytes=1)
    segments = list_segments(tmp_path)
    backlog = SpoolBacklog(tmp_path)
    while (batch := backlog.next_batch(10)) is not None:
        backlog.acknowledge(batch)
    now_s = segments[2].stat().st_mtime
    kept = retention(shipped_bytes=0)
    assert sweep_spool(tmp_path, [backlog], now_s=now_s, retention=kept).segments == 2
    assert list_segments(tmp_path) == [segments[2]]


def test_held_traces_are_swept_when_their_window_is_over(tmp_path: Path) -> None:
    make = TraceMaker()
    sink = open_sink(tmp_path, make)
    sink.accept(held(make.answered()))
    sink.close()
    age(list_segments(tmp_path, HELD), 1_000)
    for now_s, gone in ((1_000 + DAY_S, 0), (1_001 + DAY_S, 1)):
        assert sweep_spool(tmp_path, [], now_s=now_s, retention=retention()).segments == gone


def test_a_torn_tail_is_cut_off_when_its_writer_is_gone(tmp_path: Path) -> None:
    (trace,) = fill(tmp_path, TraceMaker(), 1)
    segment = list_segments(tmp_path)[0]
    whole = segment.read_bytes()
    with segment.open("ab") as file:
        file.write(b"0123")
    backlog = SpoolBacklog(tmp_path)
    age([segment], 1_000)
    assert (
        sweep_spool(tmp_path, [backlog], now_s=1_000 + WRITER_GONE_S, retention=retention()).torn_bytes == 0
    )
    assert (
        sweep_spool(tmp_path, [backlog], now_s=1_001 + WRITER_GONE_S, retention=retention()).torn_bytes == 4
    )
    assert segment.read_bytes() == whole
    assert stored(tmp_path) == [trace]


def test_the_archive_finds_a_trace_by_either_id_in_any_segment(tmp_path: Path) -> None:
    traces = fill(tmp_path, TraceMaker(), 4, segment_bytes=1)
    archive = SpoolTraceArchive(tmp_path)
    for trace in traces:
        assert archive.get(trace.trace_id) == trace
        assert archive.get(trace.response_id) == trace


@pytest.mark.parametrize("unknown", ["f" * 32, "", '"', "../x", "session-1", "résp", "a" * 10_000])
def test_the_archive_knows_no_other_ids(tmp_path: Path, unknown: str) -> None:
    fill(tmp_path, TraceMaker(), 1)
    with pytest.raises(NotFoundError):
        SpoolTraceArchive(tmp_path).get(unknown)


def test_an_absent_spool_is_an_empty_one(tmp_path: Path) -> None:
    absent = tmp_path / "spool"
    assert SpoolBacklog(absent).next_batch(1) is None
    assert SpoolBacklog(absent).pending_bytes() == 0
    assert sweep_spool(absent, [], now_s=0, retention=retention()).segments == 0
    assert total_counts(absent) == ProcessCounts()
    with pytest.raises(NotFoundError):
        SpoolTraceArchive(absent).get("f" * 32)
