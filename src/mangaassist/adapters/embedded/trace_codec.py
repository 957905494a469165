"""Traces as JSON and back; lossless but for floats that are no number, which become None."""

from __future__ import annotations

from typing import Any

import orjson

from mangaassist.domain.trace import FinishedSpan, Trace


def encode_trace(trace: Trace) -> bytes:
    """Return one line of JSON without its line break."""
    return orjson.dumps(
        {
            "trace_id": trace.trace_id,
            "response_id": trace.response_id,
            "session_id": trace.session_id,
            "sampling_reason": trace.sampling_reason,
            "request_preview": trace.request_preview,
            "response_preview": trace.response_preview,
            "tags": dict(trace.tags),
            "artifacts": dict(trace.artifacts),
            "spans": [
                [
                    span.name,
                    span.kind,
                    span.span_id,
                    span.parent_id,
                    span.start_ns,
                    span.end_ns,
                    span.status,
                    span.error,
                    dict(span.attributes),
                ]
                for span in trace.spans
            ],
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
            request_preview=content["request_preview"],
            response_preview=content["response_preview"],
            tags=content["tags"],
            artifacts=content["artifacts"],
            spans=tuple(_span(values) for values in content["spans"]),
        )
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"not a trace: {error}") from error


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
