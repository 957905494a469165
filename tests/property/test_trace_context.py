from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.trace_context import (
    MAX_BAGGAGE_BYTES,
    MAX_BAGGAGE_MEMBERS,
    TraceContext,
    format_baggage,
    parse_baggage,
    parse_traceparent,
    remote_parent,
    started_here,
)

KEYS = st.from_regex(r"[a-z][a-z0-9._*/-]{0,20}", fullmatch=True).filter(lambda key: "/" not in key)
HEX = "0123456789abcdef"
TRACE_IDS = st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
SPAN_IDS = st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0"))


@given(st.dictionaries(KEYS, st.text(st.characters(codec="utf-8"), max_size=20), max_size=8))
def test_baggage_comes_back_as_it_went(members: dict[str, str]) -> None:
    assert parse_baggage(format_baggage(members)) == members


@given(st.dictionaries(KEYS, st.text(st.characters(codec="utf-8"))))
def test_a_header_of_ours_is_plain_ascii_and_within_its_bounds(members: dict[str, str]) -> None:
    header = format_baggage(members)
    assert header.isascii()
    assert not set(header) & set('\r\n "\\;')
    assert len(header) <= MAX_BAGGAGE_BYTES
    assert len(parse_baggage(header)) <= MAX_BAGGAGE_MEMBERS


@given(st.text())
def test_no_header_breaks_the_parsers(header: str) -> None:
    assert len(parse_baggage(header)) <= MAX_BAGGAGE_MEMBERS
    parse_traceparent(header)


def test_properties_and_malformed_members_are_left_out() -> None:
    header = "user=42;ttl=5 , nonsense, =x, team=manga%20shop,bad key=1, a=b=c"
    assert parse_baggage(header) == {"user": "42", "team": "manga shop", "a": "b=c"}


@given(TRACE_IDS, SPAN_IDS)
def test_what_we_send_is_what_another_service_reads(trace_id: str, span_id: str) -> None:
    headers = TraceContext(trace_id=trace_id, span_id=span_id).headers()
    assert parse_traceparent(headers["traceparent"]) == (trace_id, span_id)
    assert "baggage" not in headers


@given(TRACE_IDS)
def test_a_trace_that_begins_here_has_no_remote_parent(trace_id: str) -> None:
    context = parse_traceparent(started_here(trace_id))
    assert context is not None
    assert context[0] == trace_id
    assert remote_parent(context) is None
