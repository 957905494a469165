"""Traces as OTLP messages, and OTLP messages of other services as spans."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mangaassist.adapters.otlp.attributes import GENAI_SCHEMA_URL, TABLE_VERSION, span_attributes, span_name
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.trace import AttributeValue, FinishedSpan, RemoteSpans, SpanKind, Trace

SERVICE: Final = "mangaassist"
MAX_SPANS: Final = 2_000
MAX_TEXT: Final = 2_000
MAX_ATTRIBUTES: Final = 128

_STATUS: Final = {"ok": Status.STATUS_CODE_OK, "error": Status.STATUS_CODE_ERROR}
_KINDS_BACK: Final[Mapping[str, SpanKind]] = {
    "CHAIN": "CHAIN",
    "RETRIEVER": "RETRIEVER",
    "EMBEDDING": "EMBEDDING",
    "RERANKER": "RERANKER",
    "LLM": "LLM",
    "GUARDRAIL": "GUARDRAIL",
}


def export_request(traces: Sequence[Trace], remote: Sequence[RemoteSpans]) -> bytes:
    """Return the serialised request for traces and for what other services told of some."""
    request = ExportTraceServiceRequest()
    if traces:
        ours = request.resource_spans.add(schema_url=GENAI_SCHEMA_URL)
        ours.resource.attributes.append(_key_value("service.name", SERVICE))
        ours.resource.attributes.append(_key_value("mangaassist.mapping.version", TABLE_VERSION))
        spans = ours.scope_spans.add().spans
        for trace in traces:
            for span in trace.spans:
                message = spans.add(name=span_name(span), kind=_span_kind(span, trace))
                _fill(message, span, trace.trace_id, span_attributes(span, trace))
                if span is trace.root and trace.remote_parent_id is not None:
                    message.parent_span_id = bytes.fromhex(trace.remote_parent_id)
    for received in remote:
        theirs = request.resource_spans.add()
        theirs.resource.attributes.append(_key_value("service.name", received.service))
        spans = theirs.scope_spans.add().spans
        for span in received.spans:
            _fill(spans.add(name=span.name), span, received.trace_id, span.attributes)
    return bytes(request.SerializeToString())


def received_spans(
    body: bytes, *, as_json: bool, received_at_ns: int, redact: Callable[[str], str]
) -> list[RemoteSpans]:
    """Return the spans of an export request by trace and service, every text redacted and bounded.

    Raises `InvalidRequestError` for what is no OTLP, or too much of it.
    """
    request = _parsed(body, as_json=as_json)
    found: dict[tuple[str, str], list[FinishedSpan]] = defaultdict(list)
    count = 0
    for resource_spans in request.resource_spans:
        service = redact(_service_of(resource_spans.resource.attributes))[:MAX_TEXT]
        for scope_spans in resource_spans.scope_spans:
            for message in scope_spans.spans:
                count += 1
                if count > MAX_SPANS:
                    raise InvalidRequestError(f"at most {MAX_SPANS} spans are taken at once")
                if len(message.trace_id) != 16 or len(message.span_id) != 8:
                    raise InvalidRequestError("a span has no valid trace id and span id")
                found[message.trace_id.hex(), service].append(_span(message, service, redact))
    return [
        RemoteSpans(trace_id=trace_id, service=service, received_at_ns=received_at_ns, spans=tuple(spans))
        for (trace_id, service), spans in found.items()
    ]


def _fill(message: Span, span: FinishedSpan, trace_id: str, attributes: Mapping[str, AttributeValue]) -> None:
    message.trace_id = bytes.fromhex(trace_id)
    message.span_id = bytes.fromhex(span.span_id)
    if span.parent_id is not None:
        message.parent_span_id = bytes.fromhex(span.parent_id)
    message.start_time_unix_nano = span.start_ns
    message.end_time_unix_nano = span.end_ns
    message.status.code = _STATUS[span.status]
    if span.error is not None:
        message.status.message = span.error
        message.attributes.append(_key_value("error.type", span.error))
    message.attributes.extend(
        _key_value(name, value) for name, value in attributes.items() if value is not None
    )


def _span_kind(span: FinishedSpan, trace: Trace) -> Span.SpanKind.ValueType:
    if span is trace.root:
        return Span.SPAN_KIND_SERVER
    return Span.SPAN_KIND_CLIENT if span.kind == "LLM" else Span.SPAN_KIND_INTERNAL


def _key_value(name: str, value: object) -> KeyValue:
    return KeyValue(key=name, value=_any_value(value))


def _any_value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, tuple | list):
        any_value = AnyValue()
        any_value.array_value.values.extend(_any_value(item) for item in value)
        return any_value
    return AnyValue(string_value=str(value))


def _parsed(body: bytes, *, as_json: bool) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    try:
        if as_json:
            document = orjson.loads(body)
            if not isinstance(document, dict):
                raise InvalidRequestError("not an OTLP trace export: no JSON object")
            ParseDict(_with_base64_ids(document), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (ParseError, DecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidRequestError(f"not an OTLP trace export: {error}") from error
    return request


def _with_base64_ids(value: Any) -> Any:
    """Return an OTLP/JSON document as protobuf's JSON has it: ids there are base64, not hex."""
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _base64(item)
        if name in ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
        else _with_base64_ids(item)
        for name, item in value.items()
    }


def _base64(identifier: Any) -> str:
    try:
        return base64.b64encode(bytes.fromhex(identifier)).decode()
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidRequestError(f"{str(identifier)[:40]!r} is not a hexadecimal id") from error


def _span(message: Span, service: str, redact: Callable[[str], str]) -> FinishedSpan:
    attributes = {
        redact(item.key)[:MAX_TEXT]: _received_value(item.value, redact)
        for item in message.attributes[:MAX_ATTRIBUTES]
    }
    failed = message.status.code == Status.STATUS_CODE_ERROR
    return FinishedSpan(
        name=redact(message.name)[:MAX_TEXT],
        kind=_KINDS_BACK.get(str(attributes.get("openinference.span.kind")), "TASK"),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex() or None,
        start_ns=min(message.start_time_unix_nano, 2**63 - 1),
        end_ns=min(max(message.start_time_unix_nano, message.end_time_unix_nano), 2**63 - 1),
        status="error" if failed else "ok",
        error=redact(message.status.message)[:MAX_TEXT] or "error" if failed else None,
        attributes={**attributes, "service.name": service},
    )


def _received_value(value: AnyValue, redact: Callable[[str], str]) -> AttributeValue:
    kind = value.WhichOneof("value")
    if kind == "bool_value":
        return bool(value.bool_value)
    if kind == "int_value":
        return int(value.int_value)
    if kind == "double_value":
        return float(value.double_value)
    if kind == "string_value":
        return redact(value.string_value)[:MAX_TEXT]
    if kind == "array_value":
        return tuple(str(_received_value(item, redact)) for item in value.array_value.values[:MAX_ATTRIBUTES])
    # nested values and bytes cannot be redacted for certain
    return None


def _service_of(attributes: Iterable[KeyValue]) -> str:
    return next((item.value.string_value for item in attributes if item.key == "service.name"), "unknown")
