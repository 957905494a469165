"""The span recorder: a true tree, complete also when a step throws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.trace import Trace
from mangaassist.domain.trace_context import parse_traceparent
from mangaassist.serving.tracing import TraceRecorder
from tests.support.clock import FakeClock, SequentialIds


def frozen(recorder: TraceRecorder) -> Trace:
    return recorder.trace(response_id="r", session_id="s", request_preview="", response_preview="")


def test_steps_nest_under_the_innermost_open_step() -> None:
    clock = FakeClock()
    recorder = TraceRecorder(clock=clock, ids=SequentialIds())
    with recorder.span("handle_message", "CHAIN"):
        with recorder.span("retrieve_chunks", "RETRIEVER"), recorder.span("embed_query", "EMBEDDING"):
            clock.advance(0.25)
        with recorder.span("build_prompt"):
            pass
    root, retrieve, embed, build = frozen(recorder).spans
    assert [retrieve.parent_id, embed.parent_id, build.parent_id] == [
        root.span_id,
        retrieve.span_id,
        root.span_id,
    ]
    assert embed.duration_ms == pytest.approx(250)


def test_steps_side_by_side_name_their_parent() -> None:
    recorder = TraceRecorder(clock=FakeClock(), ids=SequentialIds())
    with recorder.span("retrieve_chunks") as parent:
        vector = recorder.span("vector_search", parent=parent)
        keyword = recorder.span("keyword_search", parent=parent)
        recorder.finish(vector)
        recorder.finish(keyword)
    spans = frozen(recorder).spans
    assert {span.parent_id for span in spans[1:]} == {spans[0].span_id}


def test_a_step_that_throws_is_closed_and_marked() -> None:
    recorder = TraceRecorder(clock=FakeClock(), ids=SequentialIds())
    with (
        pytest.raises(ValueError, match="bad"),
        recorder.span("handle_message"),
        recorder.span("load_context"),
    ):
        raise ValueError("bad")
    assert [(span.status, span.error) for span in frozen(recorder).spans] == [("error", "ValueError")] * 2


def test_steps_left_open_end_with_their_parent() -> None:
    recorder = TraceRecorder(clock=FakeClock(), ids=SequentialIds())
    with recorder.span("handle_message"):
        recorder.span("bedrock_generate")
    root, inner = frozen(recorder).spans
    assert (inner.end_ns, inner.error) == (root.end_ns, "unfinished")


def test_an_incoming_trace_is_continued() -> None:
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    recorder = TraceRecorder(clock=FakeClock(), ids=SequentialIds(), traceparent=header)
    assert recorder.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert recorder.remote_parent_id == "b7ad6b7169203331"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00-0-0-0",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-XYf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ],
)
def test_a_malformed_traceparent_starts_a_new_trace(header: str | None) -> None:
    assert parse_traceparent(header) is None


@given(st.text())
def test_no_header_breaks_the_parser(header: str) -> None:
    parse_traceparent(header)


def test_span_ids_are_distinct_well_formed_and_never_zero() -> None:
    class Zeros(SequentialIds):
        def span_id(self) -> str:
            return "0" * 16

    recorder = TraceRecorder(clock=FakeClock(), ids=Zeros())
    with recorder.span("root"):
        for _ in range(300):
            with recorder.span("step"):
                pass
    ids = [span.span_id for span in frozen(recorder).spans]
    assert len(set(ids)) == 301
    assert all(len(span_id) == 16 and int(span_id, 16) > 0 for span_id in ids)


def test_a_step_that_outlives_its_parent_ends_with_it_and_one_begun_later_is_left_out() -> None:
    clock = FakeClock()
    recorder = TraceRecorder(clock=clock, ids=SequentialIds())
    root = recorder.span("handle_message")
    parent = recorder.span("retrieve_chunks", parent=root)
    search = recorder.span("vector_search", parent=parent)
    recorder.finish(parent)
    clock.advance(1)
    recorder.finish(search)
    recorder.span("keyword_search", parent=parent)
    recorder.finish(root)
    spans = {span.name: span for span in frozen(recorder).spans}
    assert set(spans) == {"handle_message", "retrieve_chunks", "vector_search"}
    assert spans["vector_search"].end_ns == spans["retrieve_chunks"].end_ns
    assert spans["vector_search"].error == "unfinished"


def test_an_outgoing_call_carries_the_innermost_step_and_the_baggage() -> None:
    recorder = TraceRecorder(clock=FakeClock(), ids=SequentialIds())
    with recorder.span("handle_message"), recorder.span("bedrock_generate") as call:
        headers = recorder.context({"mangaassist.release_bundle": "b-1", "note": "a b"}).headers()
    assert headers == {
        "traceparent": f"00-{recorder.trace_id}-{call.span_id}-01",
        "baggage": "mangaassist.release_bundle=b-1,note=a%20b",
    }
