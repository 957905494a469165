"""Traces as OTLP messages in MLflow's attribute conventions: every value is a JSON string."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mangaassist.adapters.mlflow.names import attachment_reference
from mangaassist.domain.trace import FinishedSpan, RemoteSpans, Trace

PROMPT_SPAN = "build_prompt"
"""The span that the documents of a trace (the chunk snapshot) belong to."""


def export_request(traces: Sequence[Trace], remote: Sequence[RemoteSpans] = ()) -> bytes:
    """Return the serialised OTLP request for a batch of traces and what other services told of some."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for trace in traces:
        trace_id = bytes.fromhex(trace.trace_id)
        documents = _document_span(trace)
        for span in trace.spans:
            message = spans.add()
            _fill(message, span, trace_id)
            inputs = _references(trace) if span is documents else {}
            if span is trace.root:
                inputs["message"] = trace.request_preview
                message.attributes.append(_attribute("mlflow.trace.session", trace.session_id))
                message.attributes.append(_attribute("mlflow.spanOutputs", {"text": trace.response_preview}))
            if inputs:
                message.attributes.append(_attribute("mlflow.spanInputs", inputs))
    for received in remote:
        for span in received.spans:
            _fill(spans.add(), span, bytes.fromhex(received.trace_id))
    return bytes(request.SerializeToString())


def _fill(message: Span, span: FinishedSpan, trace_id: bytes) -> None:
    message.trace_id = trace_id
    message.span_id = bytes.fromhex(span.span_id)
    if span.parent_id is not None:
        message.parent_span_id = bytes.fromhex(span.parent_id)
    message.name = span.name
    message.start_time_unix_nano = span.start_ns
    message.end_time_unix_nano = span.end_ns
    message.status.code = Status.STATUS_CODE_ERROR if span.status == "error" else Status.STATUS_CODE_OK
    if span.error is not None:
        message.status.message = span.error
    message.attributes.append(_attribute("mlflow.spanType", span.kind))
    for name, value in span.attributes.items():
        if value is not None:
            message.attributes.append(_attribute(name, value))
    if span.kind == "LLM":
        message.attributes.append(_attribute("mlflow.chat.tokenUsage", _token_usage(span)))


def _document_span(trace: Trace) -> FinishedSpan:
    return next((span for span in trace.spans if span.name == PROMPT_SPAN), trace.root)


def _references(trace: Trace) -> dict[str, str]:
    return {
        name: attachment_reference(trace.trace_id, name, len(content.encode()))
        for name, content in trace.artifacts.items()
    }


def _token_usage(span: FinishedSpan) -> dict[str, int]:
    def tokens(name: str) -> int:
        value = span.attributes.get(name)
        return value if isinstance(value, int) else 0

    prompt = tokens("input_tokens") + tokens("cached_input_tokens")
    output = tokens("output_tokens")
    return {"input_tokens": prompt, "output_tokens": output, "total_tokens": prompt + output}


def _attribute(name: str, value: object) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=orjson.dumps(value).decode()))
