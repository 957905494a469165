"""OTLP out in the names that others know, OTLP in as spans of our traces."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import opentelemetry.semconv._incubating.attributes.gen_ai_attributes as genai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from mangaassist.adapters.embedded.trace_backlog import OTLP, SpoolBacklog
from mangaassist.adapters.otlp.attributes import GENAI_SCHEMA_URL, TABLE, span_attributes
from mangaassist.adapters.otlp.destination import OtlpDestination, parse_headers
from mangaassist.adapters.otlp.messages import MAX_SPANS, export_request, received_spans
from mangaassist.domain.errors import ConfigurationError, InvalidRequestError
from mangaassist.domain.trace import RemoteSpans
from mangaassist.jobs.shipping import TraceShipper
from mangaassist.serving.guardrails.redaction import Redactor
from tests.support.spools import fill
from tests.support.traces import TraceMaker

KNOWN_TO_GENAI = {
    value for name, value in vars(genai).items() if name.startswith("GEN_AI_") and isinstance(value, str)
}


def exported(body: bytes) -> dict[str, dict[str, object]]:
    """Return the attributes of every span by its name."""
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    spans = [
        span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
    ]
    return {span.name: {item.key: plain(item.value) for item in span.attributes} for span in spans}


def plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(plain(item) for item in value.array_value.values)
    return getattr(value, str(kind))


def test_every_genai_name_of_the_table_is_one_of_the_conventions() -> None:
    assert {rule.genai for rule in TABLE if rule.genai} <= KNOWN_TO_GENAI
    trace = TraceMaker().answered()
    used = {name for span in trace.spans for name in span_attributes(span, trace) if "gen_ai." in name}
    assert used <= KNOWN_TO_GENAI
    assert {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} <= used


def test_a_call_of_a_model_is_described_as_both_conventions_want_it() -> None:
    trace = TraceMaker().answered()
    call = exported(export_request([trace], []))["chat composer-1"]
    assert call["gen_ai.operation.name"] == "chat"
    assert call["gen_ai.usage.input_tokens"] == call["llm.token_count.prompt"] == 600
    assert call["gen_ai.usage.output_tokens"] == call["llm.token_count.completion"] == 120
    assert call["llm.token_count.total"] == 720
    assert call["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert call["openinference.span.kind"] == "LLM"
    assert call["mangaassist.prompt_chars"] == 2_345


def test_the_root_holds_tags_sampling_and_previews_and_the_search_its_documents() -> None:
    trace = TraceMaker().answered()
    spans = exported(export_request([trace], []))
    root = spans["handle_message"]
    for name, value in trace.tags.items():
        assert root[f"mangaassist.{name}"] == value
    assert (root["mangaassist.sampling_reason"], root["mangaassist.sampling_weight"]) == ("all", 1.0)
    assert root["input.value"] == trace.request_preview
    assert spans["retrieve_chunks"]["retrieval.documents.1.document.id"] == "series_2"


def test_a_continued_trace_hangs_below_its_caller() -> None:
    trace = replace(TraceMaker().answered(), remote_parent_id="b7ad6b7169203331")
    request = ExportTraceServiceRequest()
    request.ParseFromString(export_request([trace], []))
    (resource,) = request.resource_spans
    assert resource.schema_url == GENAI_SCHEMA_URL
    assert resource.scope_spans[0].spans[0].parent_span_id.hex() == "b7ad6b7169203331"


def test_the_backlog_goes_to_any_backend_compressed_and_with_its_headers(tmp_path: Path) -> None:
    traces = fill(tmp_path, TraceMaker(), 3)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    destination = OtlpDestination(
        "http://collector:4318",
        headers=parse_headers("api-key=s3cret, x-team = manga"),
        transport=httpx.MockTransport(answer),
    )
    report = TraceShipper(SpoolBacklog(tmp_path, destination=OTLP), destination).ship()
    assert (report.shipped, report.problem) == (3, None)
    (request,) = seen
    assert str(request.url) == "http://collector:4318/v1/traces"
    assert (request.headers["api-key"], request.headers["x-team"]) == ("s3cret", "manga")
    assert len(exported(gzip.decompress(request.content))) == len({span.name for span in traces[0].spans})
    destination.close()


@pytest.mark.parametrize(
    "fault",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(503), httpx.Response(429)],
)
def test_a_backend_that_is_down_keeps_everything_waiting(
    tmp_path: Path, fault: httpx.Response | Exception
) -> None:
    fill(tmp_path, TraceMaker(), 1)

    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(fault, Exception):
            raise fault
        return fault

    destination = OtlpDestination("http://c", headers={}, transport=httpx.MockTransport(answer))
    backlog = SpoolBacklog(tmp_path, destination=OTLP)
    assert TraceShipper(backlog, destination).ship().problem is not None
    assert backlog.next_batch(1) is not None


def test_headers_that_are_none_stop_the_start() -> None:
    with pytest.raises(ConfigurationError, match="name=value"):
        parse_headers("nonsense")


def remote_request(count: int = 1) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="pricing")))
    spans = resource.scope_spans.add().spans
    for number in range(count):
        span = spans.add(
            trace_id=bytes.fromhex("0af7651916cd43dd8448eb211c80319c"),
            span_id=number.to_bytes(8, "big", signed=False)[:7] + b"\x01",
            parent_span_id=bytes.fromhex("b7ad6b7169203331"),
            name="GET /price for ada@example.com",
            start_time_unix_nano=1_000,
            end_time_unix_nano=2_000,
        )
        span.attributes.append(KeyValue(key="user", value=AnyValue(string_value="mail ada@example.com")))
        span.attributes.append(KeyValue(key="rows", value=AnyValue(int_value=3)))
    return request


def received(body: bytes, *, as_json: bool = False) -> list[RemoteSpans]:
    return received_spans(body, as_json=as_json, received_at_ns=5, redact=Redactor().redact)


def test_spans_of_a_service_arrive_redacted_and_bounded() -> None:
    (remote,) = received(remote_request().SerializeToString())
    assert (remote.trace_id, remote.service) == ("0af7651916cd43dd8448eb211c80319c", "pricing")
    (span,) = remote.spans
    assert "ada@" not in str(span)
    assert (span.parent_id, span.attributes["rows"]) == ("b7ad6b7169203331", 3)
    assert span.attributes["service.name"] == "pricing"


def test_json_says_the_same_as_protobuf() -> None:
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "pricing"}}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "0af7651916cd43dd8448eb211c80319c",
                                "spanId": "0000000000000001",
                                "parentSpanId": "b7ad6b7169203331",
                                "name": "GET /price for ada@example.com",
                                "startTimeUnixNano": "1000",
                                "endTimeUnixNano": "2000",
                                "attributes": [
                                    {"key": "user", "value": {"stringValue": "mail ada@example.com"}},
                                    {"key": "rows", "value": {"intValue": "3"}},
                                ],
                            }
                        ]
                    }
                ],
            }
        ]
    }
    assert received(orjson.dumps(document), as_json=True) == received(remote_request().SerializeToString())


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"resourceSpans": 3}', b"\xff\xff\xff"])
def test_what_is_no_otlp_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        received(body, as_json=body != b"\xff\xff\xff")


def test_too_much_at_once_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="at most"):
        received(remote_request(MAX_SPANS + 1).SerializeToString())


@given(st.binary(max_size=300), st.booleans())
def test_no_body_breaks_the_intake(body: bytes, as_json: bool) -> None:
    with suppress(InvalidRequestError):
        received(body, as_json=as_json)
