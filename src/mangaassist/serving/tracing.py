"""The span recorder of the request path: typed records, no SDK, tens of microseconds a tree."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from mangaassist.domain.sampling import KEEP_ALL, SamplingDecision
from mangaassist.domain.trace import AttributeValue, FinishedSpan, SpanKind, Trace
from mangaassist.domain.trace_context import TraceContext, parse_traceparent, remote_parent
from mangaassist.ports.clock import Clock, IdFactory

_NUMBERS: Final = tuple(f"{number:04x}" for number in range(256))
_LEFT: Final = frozenset({"CancelledError", "GeneratorExit", "unfinished"})


class Span:
    """One running step; a context manager that closes itself also when the step throws.

    Times are monotonic nanoseconds; 0 is an end that has not come yet.
    """

    __slots__ = ("_end", "_parent", "_recorder", "_start", "attributes", "error", "kind", "name", "span_id")

    def __init__(
        self,
        recorder: TraceRecorder,
        name: str,
        kind: SpanKind,
        parent: Span | None,
        span_id: str,
        start: int,
    ) -> None:
        self._recorder = recorder
        self.name = name
        self.kind = kind
        self._parent = parent
        self.span_id = span_id
        self._start = start
        self._end = 0
        self.error: str | None = None
        self.attributes: dict[str, AttributeValue] = {}

    def set(self, **attributes: AttributeValue) -> None:
        """Add attributes."""
        if self.attributes:
            self.attributes.update(attributes)
        else:
            self.attributes = attributes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.error = kind.__name__
        recorder = self._recorder
        stack = recorder._stack
        if stack and stack[-1] is self:
            self._end = recorder.monotonic_ns()
            stack.pop()
        else:
            recorder.finish(self)

    @property
    def duration_ms(self) -> float:
        """Duration so far, or of the finished step."""
        return ((self._end or self._recorder.monotonic_ns()) - self._start) / 1e6


class TraceRecorder:
    """Collects the spans of one request.

    Steps of a request follow each other, so the current parent is a plain stack; steps that run side by
    side name their parent. Attribute values must be redacted before they are set.
    """

    __slots__ = (
        "_id_prefix",
        "_offset_ns",
        "_spans",
        "_stack",
        "artifacts",
        "monotonic_ns",
        "remote_parent_id",
        "tags",
        "trace_id",
    )

    def __init__(self, *, clock: Clock, ids: IdFactory, traceparent: str | None = None) -> None:
        self.monotonic_ns = clock.monotonic_ns
        # one draw a request, the spans are numbered: an id has to be unique within its trace only
        self._id_prefix = ids.span_id()[:12]
        # one wall-clock reading; everything after it is monotonic, so durations never go backwards
        self._offset_ns = clock.time_ns() - clock.monotonic_ns()
        self._spans: list[Span] = []
        self._stack: list[Span] = []
        remote = parse_traceparent(traceparent)
        self.trace_id = remote[0] if remote else ids.trace_id()
        self.remote_parent_id = remote_parent(remote)
        self.tags: dict[str, str] = {}
        self.artifacts: dict[str, str] = {}

    def now_ns(self) -> int:
        """Nanoseconds since the epoch on this trace's monotonic time line."""
        return self.monotonic_ns() + self._offset_ns

    def span(self, name: str, kind: SpanKind = "TASK", *, parent: Span | None = None) -> Span:
        """Start a step under the innermost open one; with `parent`, beside other open steps."""
        spans = self._spans
        # from 1 on: all zeros is no span id (W3C Trace Context)
        number = len(spans) + 1
        span_id = self._id_prefix + (_NUMBERS[number] if number < 256 else f"{number:04x}")
        if parent is not None:
            span = Span(self, name, kind, parent, span_id, self.monotonic_ns())
        else:
            stack = self._stack
            span = Span(self, name, kind, stack[-1] if stack else None, span_id, self.monotonic_ns())
            stack.append(span)
        spans.append(span)
        return span

    def finish(self, span: Span) -> None:
        """Close a step and whatever is still open below it."""
        end = span._end = self.monotonic_ns()
        stack = self._stack
        if stack and stack[-1] is span:
            stack.pop()
        elif span in stack:
            while (top := stack.pop()) is not span:
                if not top._end:
                    top._end = end
                    top.error = top.error or "unfinished"

    @property
    def root(self) -> Span:
        """The span of the whole request."""
        return self._spans[0]

    def context(self, baggage: Mapping[str, str]) -> TraceContext:
        """Return the context that a call made now, inside the innermost open step, carries along."""
        innermost = self._stack[-1] if self._stack else self.root
        return TraceContext(trace_id=self.trace_id, span_id=innermost.span_id, baggage=baggage)

    def step_ms(self) -> dict[str, float]:
        """Durations of the finished steps by name, repeated names added up."""
        out: dict[str, float] = {}
        for span in self._spans[1:]:
            if span._end:
                out[span.name] = out.get(span.name, 0.0) + (span._end - span._start) / 1e6
        return out

    def has_error(self) -> bool:
        """Whether any step failed; an asker who left is no failure."""
        return any(span.error and span.error not in _LEFT for span in self._spans)

    def trace(
        self,
        *,
        response_id: str,
        session_id: str,
        request_preview: str,
        response_preview: str,
        sampling: SamplingDecision = KEEP_ALL,
    ) -> Trace:
        """Freeze the trace; spans still open are closed now."""
        now, offset = self.monotonic_ns(), self._offset_ns
        finished = []
        for span in tuple(self._spans):
            end, parent = span._end or now, span._parent
            if parent is not None:
                # a thread that nobody waits for any more may still be at work
                latest = parent._end or now
                if span._start > latest:
                    continue
                if end > latest:
                    end, span.error = latest, span.error or "unfinished"
            span._end = end
            finished.append(
                FinishedSpan(
                    name=span.name,
                    kind=span.kind,
                    span_id=span.span_id,
                    parent_id=parent.span_id if parent is not None else None,
                    start_ns=span._start + offset,
                    end_ns=end + offset,
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
            sampling_reason=sampling.reason,
            sampled=sampling.sampled,
            sampling_weight=sampling.weight,
            remote_parent_id=self.remote_parent_id,
        )
