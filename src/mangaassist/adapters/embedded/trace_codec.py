"""Traces as JSON and back; lossless but for floats that are no number, which become None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from mangaassist.domain.trace import FinishedSpan, RemoteSpans, Trace

END_NS: Final = 5
"""Where a span's list of values holds its end."""


def encode_trace(trace: Trace) -> bytes:
    """Return one line of JSON without its line break.

    A value that JSON cannot carry costs itself, never the trace: text that is no Unicode loses the characters
    that are not, anything else becomes its description.
    """
    return _encoded(
        {
            "trace_id": trace.trace_id,
            "response_id": trace.response_id,
            "session_id": trace.session_id,
            "sampling_reason": trace.sampling_reason,
            "sampled": trace.sampled,
            "sampling_weight": trace.sampling_weight,
            "remote_parent_id": trace.remote_parent_id,
            "request_preview": trace.request_preview,
            "response_preview": trace.response_preview,
            "tags": trace.tags,
            "artifacts": trace.artifacts,
            "spans": [_values(span) for span in trace.spans],
        }
    )


def encode_remote(remote: RemoteSpans) -> bytes:
    """Return one line of JSON without its line break; see `encode_trace`."""
    return _encoded(
        {
            "trace_id": remote.trace_id,
            "service": remote.service,
            "received_at_ns": remote.received_at_ns,
            "spans": [_values(span) for span in remote.spans],
        }
    )


def decode_trace(line: bytes) -> Trace:
    """Return the trace of a line; raises `ValueError` for anything else."""
    try:
        content: dict[str, Any] = orjson.loads(line)
        return Trace(
            trace_id=content["trace_id"],
            response_id=content["response_id"],
            session_id=content["session_id"],
            sampling_reason=content["sampling_reason"],
            # a line of an older version has none of these: it was kept
            sampled=content.get("sampled", True),
            sampling_weight=content.get("sampling_weight", 1.0),
            remote_parent_id=content.get("remote_parent_id"),
            request_preview=content["request_preview"],
            response_preview=content["response_preview"],
            tags=content["tags"],
            artifacts=content["artifacts"],
            spans=tuple(_span(values) for values in content["spans"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not a trace: {error}") from error


def decode_remote(line: bytes) -> RemoteSpans:
    """Return the spans of a line; raises `ValueError` for anything else."""
    try:
        content: dict[str, Any] = orjson.loads(line)
        return RemoteSpans(
            trace_id=content["trace_id"],
            service=content["service"],
            received_at_ns=content["received_at_ns"],
            spans=tuple(_span(values) for values in content["spans"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not spans of a service: {error}") from error


def _encoded(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:
        return orjson.dumps(_plain(document))


def _plain(value: Any) -> Any:
    """Return the value with everything in it that JSON can carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    return _plain(str(value))


def _values(span: FinishedSpan) -> list[Any]:
    return [
        span.name,
        span.kind,
        span.span_id,
        span.parent_id,
        span.start_ns,
        span.end_ns,
        span.status,
        span.error,
        span.attributes,
    ]


def _span(values: list[Any]) -> FinishedSpan:
    name, kind, span_id, parent_id, start_ns, end_ns, status, error, attributes = values
    return FinishedSpan(
        name=name,
        kind=kind,
        span_id=span_id,
        parent_id=parent_id,
        start_ns=start_ns,
        end_ns=end_ns,
        status=status,
        error=error,
        attributes={
            key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()
        },
    )
