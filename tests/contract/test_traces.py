"""What every trace sink, archive and keeper promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mangaassist.adapters.embedded.trace_archive import SpoolTraceArchive
from mangaassist.adapters.embedded.trace_keeper import SpoolTraceKeeper
from mangaassist.domain.errors import NotFoundError
from mangaassist.ports.traces import TraceArchive, TraceKeeper, TraceSink
from tests.support.memory_traces import InMemoryTraces
from tests.support.spools import FLUSH_S, held, open_sink
from tests.support.traces import TraceMaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """The three ports over one store."""

    sink: TraceSink
    archive: TraceArchive
    keeper: TraceKeeper
    close: Callable[[], None]


@pytest.fixture
def make() -> TraceMaker:
    return TraceMaker()


@pytest.fixture(params=["spool", "memory"])
def traces(request: pytest.FixtureRequest, tmp_path: Path, make: TraceMaker) -> Iterator[Traces]:
    if request.param == "memory":
        memory = InMemoryTraces()
        yield Traces(sink=memory, archive=memory, keeper=memory, close=memory.close)
        return
    sink = open_sink(tmp_path, make)
    keeper = SpoolTraceKeeper(tmp_path, clock=make.clock, process_id=2)
    archive = SpoolTraceArchive(tmp_path)
    yield Traces(sink=sink, archive=archive, keeper=keeper, close=sink.close)
    sink.close()
    keeper.close()


def test_an_accepted_trace_is_found_at_once_by_either_id(traces: Traces, make: TraceMaker) -> None:
    trace = make.answered()
    traces.sink.accept(trace)
    assert traces.archive.get(trace.trace_id) == trace
    assert traces.archive.get(trace.response_id) == trace


def test_what_was_not_accepted_is_not_found(traces: Traces, make: TraceMaker) -> None:
    traces.sink.accept(make.answered())
    with pytest.raises(NotFoundError):
        traces.archive.get("f" * 32)
    assert traces.keeper.keep("f" * 32, reason="feedback") == "gone"


def test_every_trace_is_accepted_or_dropped_with_a_reason(traces: Traces, make: TraceMaker) -> None:
    traces.sink.accept(make.answered())
    traces.sink.accept(held(make.answered()))
    traces.sink.flush(FLUSH_S)
    traces.close()
    traces.sink.accept(make.answered())
    counters = traces.sink.counters()
    assert (counters.accepted, counters.pending, counters.held, counters.dropped) == (2, 1, 1, 1)
    assert sum(counters.dropped_by_reason.values()) == counters.dropped


def test_a_held_trace_is_kept_whole_with_its_reason_and_outside_the_estimates(
    traces: Traces, make: TraceMaker
) -> None:
    trace = held(make.answered())
    traces.sink.accept(trace)
    assert traces.keeper.keep(trace.response_id, reason="feedback") == "promoted"
    assert traces.keeper.keep(trace.response_id, reason="alert") == "already"
    kept = traces.archive.get(trace.trace_id)
    assert (kept.sampled, kept.sampling_reason, kept.sampling_weight) == (True, "feedback", 0.0)
    assert kept.spans == trace.spans


def test_keeping_what_was_sampled_changes_nothing(traces: Traces, make: TraceMaker) -> None:
    trace = replace(make.answered(), sampling_reason="slow")
    traces.sink.accept(trace)
    assert traces.keeper.keep(trace.trace_id, reason="alert") == "already"
    assert traces.archive.get(trace.trace_id) == trace
