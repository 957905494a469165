"""The span recorder of the request path: typed records, no SDK, tens of microseconds a tree."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from mangaassist.domain.trace import AttributeValue, FinishedSpan, SpanKind, Trace
from mangaassist.ports.clock import Clock, IdFactory

_LARGEST_SPAN_ID: Final = 2**64 - 1


class Span:
    """One running step; a context manager that closes itself also when the step throws."""

    __slots__ = (
        "_recorder",
        "attributes",
        "end_ns",
        "error",
        "kind",
        "name",
        "parent_id",
        "span_id",
        "start_ns",
    )

    def __init__(
        self,
        recorder: TraceRecorder,
        name: str,
        kind: SpanKind,
        parent_id: str | None,
        span_id: str,
        start_ns: int,
    ) -> None:
        self._recorder = recorder
        self.name = name
        self.kind = kind
        self.parent_id = parent_id
        self.span_id = span_id
        self.start_ns = start_ns
        self.end_ns = 0
        self.error: str | None = None
        self.attributes: dict[str, AttributeValue] = {}

    def set(self, **attributes: AttributeValue) -> None:
        """Add attributes."""
        self.attributes.update(attributes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.error = kind.__name__
        self._recorder.finish(self)

    @property
    def duration_ms(self) -> float:
        """Duration so far, or of the finished step."""
        return ((self.end_ns or self._recorder.now_ns()) - self.start_ns) / 1e6


class TraceRecorder:
    """Collects the spans of one request.

    Steps of a request follow each other, so the current parent is a plain stack; steps that run side by
    side name their parent. Attribute values must be redacted before they are set.
    """

    __slots__ = (
        "_clock",
        "_next_span_id",
        "_offset_ns",
        "_spans",
        "_stack",
        "artifacts",
        "remote_parent_id",
        "tags",
        "trace_id",
    )

    def __init__(self, *, clock: Clock, ids: IdFactory, traceparent: str | None = None) -> None:
        self._clock = clock
        # one draw a request, counted on from there: an id has to be unique within its trace only
        self._next_span_id = int(ids.span_id(), 16) or 1
        # one wall-clock reading; everything after it is monotonic, so durations never go backwards
        self._offset_ns = clock.time_ns() - clock.monotonic_ns()
        self._spans: list[Span] = []
        self._stack: list[Span] = []
        remote = parse_traceparent(traceparent)
        self.trace_id = remote[0] if remote else ids.trace_id()
        self.remote_parent_id = remote[1] if remote else None
        self.tags: dict[str, str] = {}
        self.artifacts: dict[str, str] = {}

    def now_ns(self) -> int:
        """Nanoseconds since the epoch on this trace's monotonic time line."""
        return self._clock.monotonic_ns() + self._offset_ns

    def span(self, name: str, kind: SpanKind = "TASK", *, parent: Span | None = None) -> Span:
        """Start a step under the innermost open one; with `parent`, beside other open steps."""
        if parent is not None:
            span = Span(self, name, kind, parent.span_id, self._span_id(), self.now_ns())
        else:
            parent_id = self._stack[-1].span_id if self._stack else None
            span = Span(self, name, kind, parent_id, self._span_id(), self.now_ns())
            self._stack.append(span)
        self._spans.append(span)
        return span

    def _span_id(self) -> str:
        number = self._next_span_id
        # all zeros is no span id (W3C Trace Context)
        self._next_span_id = (number + 1) & _LARGEST_SPAN_ID or 1
        return f"{number:016x}"

    def finish(self, span: Span) -> None:
        """Close a step and whatever is still open below it."""
        span.end_ns = self.now_ns()
        if span in self._stack:
            while self._stack:
                top = self._stack.pop()
                if top is span:
                    break
                if not top.end_ns:
                    top.end_ns = span.end_ns
                    top.error = top.error or "unfinished"

    @property
    def root(self) -> Span:
        """The span of the whole request."""
        return self._spans[0]

    def step_ms(self) -> dict[str, float]:
        """Durations of the finished steps by name, repeated names added up."""
        out: dict[str, float] = {}
        for span in self._spans[1:]:
            if span.end_ns:
                out[span.name] = out.get(span.name, 0.0) + (span.end_ns - span.start_ns) / 1e6
        return out

    def trace(
        self,
        *,
        response_id: str,
        session_id: str,
        request_preview: str,
        response_preview: str,
        sampling_reason: str = "all",
    ) -> Trace:
        """Freeze the trace; spans still open are closed now."""
        now = self.now_ns()
        finished = []
        for span in self._spans:
            if not span.end_ns:
                span.end_ns = now
            finished.append(
                FinishedSpan(
                    name=span.name,
                    kind=span.kind,
                    span_id=span.span_id,
                    parent_id=span.parent_id,
                    start_ns=span.start_ns,
                    end_ns=span.end_ns,
                    status="error" if span.error else "ok",
                    error=span.error,
                    attributes=span.attributes,
                )
            )
        return Trace(
            trace_id=self.trace_id,
            response_id=response_id,
            session_id=session_id,
            tags=self.tags,
            spans=tuple(finished),
            request_preview=request_preview,
            response_preview=response_preview,
            artifacts=self.artifacts,
            sampling_reason=sampling_reason,
        )


def parse_traceparent(header: str | None) -> tuple[str, str] | None:
    """Return (trace id, parent span id) of a W3C `traceparent`, or None when absent or malformed."""
    if header is None:
        return None
    parts = header.strip().lower().split("-")
    if len(parts) < 4 or len(parts[0]) != 2 or parts[0] == "ff" or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    hexadecimal = set("0123456789abcdef")
    if not all(set(part) <= hexadecimal for part in parts[:3]):
        return None
    if set(parts[1]) == {"0"} or set(parts[2]) == {"0"}:
        return None
    return parts[1], parts[2]
