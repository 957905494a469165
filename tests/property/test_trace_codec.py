from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mangaassist.adapters.embedded.trace_codec import decode_trace, encode_trace
from mangaassist.adapters.embedded.trace_segments import checked, checksummed
from mangaassist.domain.trace import AttributeValue, FinishedSpan, Trace

# what UTF-8 can carry: what becomes of a lone surrogate is told in test_trace_spool
TEXT = st.text(st.characters(codec="utf-8"))
WHOLE = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[AttributeValue] = st.one_of(
    st.none(),
    st.booleans(),
    TEXT,
    WHOLE,
    FLOAT,
    st.lists(TEXT).map(tuple),
    st.lists(WHOLE).map(tuple),
    st.lists(FLOAT).map(tuple),
)
SPANS = st.builds(
    FinishedSpan,
    name=TEXT,
    kind=st.sampled_from(["CHAIN", "TASK", "LLM"]),
    span_id=st.text("0123456789abcdef", min_size=16, max_size=16),
    parent_id=st.none() | TEXT,
    start_ns=WHOLE,
    end_ns=WHOLE,
    status=st.sampled_from(["ok", "error"]),
    error=st.none() | TEXT,
    attributes=st.dictionaries(TEXT, VALUES),
)
TRACES = st.builds(
    Trace,
    trace_id=TEXT,
    response_id=TEXT,
    session_id=TEXT,
    tags=st.dictionaries(TEXT, TEXT),
    spans=st.lists(SPANS, max_size=4).map(tuple),
    request_preview=TEXT,
    response_preview=TEXT,
    artifacts=st.dictionaries(TEXT, TEXT),
    sampling_reason=TEXT,
    sampled=st.booleans(),
    sampling_weight=FLOAT,
    remote_parent_id=st.none() | TEXT,
)


def read_line(line: bytes) -> Trace | None:
    document = checked(line)
    return decode_trace(document) if document is not None else None


@given(TRACES)
def test_a_trace_comes_back_as_it_went(trace: Trace) -> None:
    assert decode_trace(encode_trace(trace)) == trace


@given(TRACES)
def test_a_trace_is_one_line_whatever_it_holds(trace: Trace) -> None:
    line = checksummed(encode_trace(trace))
    assert line.count(b"\n") == 1
    assert read_line(line.rstrip(b"\n")) == trace


@given(TRACES, st.data())
def test_a_damaged_line_is_noticed(trace: Trace, data: st.DataObject) -> None:
    line = bytearray(checksummed(encode_trace(trace)).rstrip(b"\n"))
    position = data.draw(st.integers(0, len(line) - 1))
    line[position] ^= data.draw(st.integers(1, 255))
    # flipping the case of a checksum digit changes nothing that it says
    assert read_line(bytes(line)) in (None, trace)


@given(st.binary())
def test_reading_never_fails(line: bytes) -> None:
    assert read_line(line) is None
