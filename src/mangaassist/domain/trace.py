"""Finished spans and traces: the records handed from the request path to the shipper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SpanStatus = Literal["ok", "error"]
SpanKind = Literal["CHAIN", "TASK", "RETRIEVER", "EMBEDDING", "RERANKER", "PARSER", "LLM", "GUARDRAIL"]
AttributeValue = str | int | float | bool | None | tuple[str, ...] | tuple[int, ...] | tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class FinishedSpan:
    """One step of one request; times are nanoseconds since the epoch.

    Nobody changes one. It is not declared frozen because that makes building it four times as dear, and every
    answer builds fourteen and more (`mangaassist bench trace`).
    """

    name: str
    kind: SpanKind
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    status: SpanStatus = "ok"
    error: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    @property
    def duration_ms(self) -> float:
        """How long the step took."""
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One customer-visible response as it was made; spans in order of their start, root first.

    `tags` are those of the trace contract; `artifacts` are named JSON documents kept with the
    trace (the chunk snapshot). Previews are redacted and at most 500 characters. A trace that is not
    `sampled` waits and may still be kept; `sampling_weight` is how many traces it stands for in estimates.
    `remote_parent_id` is the caller's span where the trace began elsewhere.
    """

    trace_id: str
    response_id: str
    session_id: str
    tags: Mapping[str, str]
    spans: tuple[FinishedSpan, ...]
    request_preview: str
    response_preview: str
    artifacts: Mapping[str, str] = field(default_factory=dict)
    sampling_reason: str = "all"
    sampled: bool = True
    sampling_weight: float = 1.0
    remote_parent_id: str | None = None

    @property
    def root(self) -> FinishedSpan:
        """The span of the whole request."""
        return self.spans[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSpans:
    """Spans of another service that belong to one of our traces, as they came together."""

    trace_id: str
    service: str
    received_at_ns: int
    spans: tuple[FinishedSpan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceBatch:
    """Traces read together from where they wait; `segment` and `end_offset` say how far that reaches.

    `damaged` counts the lines in between that could not be read.
    """

    traces: tuple[Trace, ...]
    damaged: int
    segment: str
    end_offset: int
