"""Whatever a killed writer leaves: every whole line is read, nothing else, and the tail is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.adapters.embedded.trace_backlog import read_traces
from mangaassist.adapters.embedded.trace_segments import cut_torn_tail, list_segments
from tests.support.spools import fill
from tests.support.traces import TraceMaker


def test_torn_at_every_byte_the_whole_lines_are_read_and_the_rest_is_cut(tmp_path: Path) -> None:
    traces = fill(tmp_path, TraceMaker(), 2)
    segment = list_segments(tmp_path)[0]
    content = segment.read_bytes()
    ends = [position + 1 for position, byte in enumerate(content) if byte == 10]
    for length in range(len(content) + 1):
        segment.write_bytes(content[:length])
        whole = [end for end in ends if end <= length]
        assert [trace for trace, _ in read_traces(segment, 0)] == list(traces[: len(whole)])
        assert cut_torn_tail(segment) == length - (whole[-1] if whole else 0)
        assert segment.read_bytes() == content[: whole[-1] if whole else 0]


@given(st.lists(st.binary(max_size=200), max_size=6), st.integers(0, 6))
def test_rubbish_between_lines_costs_only_itself(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], at: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    (trace,) = fill(folder, TraceMaker(), 1)
    segment = list_segments(folder)[0]
    line = segment.read_bytes()
    lines = [part.replace(b"\n", b"") + b"\n" for part in parts]
    lines.insert(min(at, len(lines)), line)
    segment.write_bytes(b"".join(lines))
    read = list(read_traces(segment, 0))
    assert [found for found, _ in read if found is not None] == [trace]
    assert read[-1][1] == segment.stat().st_size
