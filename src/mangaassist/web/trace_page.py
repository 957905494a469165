"""GET /trace/{id}: how an answer was made, span by span, for the one who asked."""

from __future__ import annotations

import asyncio
from html import escape

from starlette.requests import Request
from starlette.responses import Response

from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import FinishedSpan, Trace
from mangaassist.web.html import page
from mangaassist.web.problems import refuse
from mangaassist.web.services import services_of
from mangaassist.web.sessions import known_caller

# told elsewhere on the page, or of no use to a shopper
HIDDEN_TAGS = frozenset({"session_id", "request_id"})
MAX_DEPTH = 4


async def show(request: Request) -> Response:
    """Render the trace; 404 for an unknown one and for another's."""
    services = services_of(request)
    caller = known_caller(request)
    try:
        if caller is None:
            raise NotFoundError("whose it is cannot be told")
        trace = await asyncio.to_thread(services.archive.get, request.path_params["trace_id"])
        record = await services.records.record(trace.response_id)
        if record.owner != caller.owner:
            raise NotFoundError("not the owner")
    except NotFoundError:
        refuse(404, "There is no such trace of yours.")
    return page(f"Trace {trace.trace_id[:8]}", _body(trace, services.trace_url(trace.trace_id)))


def _body(trace: Trace, mlflow_url: str | None) -> str:
    total_ns = max(1, trace.root.end_ns - trace.root.start_ns)
    depths = _depths(trace.spans)
    rows = "".join(
        _row(span, depth=depths[span.span_id], start_ns=trace.root.start_ns, total_ns=total_ns)
        for span in trace.spans
    )
    tags = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in trace.tags.items()
        if name not in HIDDEN_TAGS and value
    )
    link = f' · <a href="{escape(mlflow_url)}">open in MLflow</a>' if mlflow_url else ""
    return (
        "<h1>How this answer was made</h1>"
        f"<blockquote><p>{escape(trace.request_preview)}</p></blockquote>"
        f"<p><strong>{trace.root.duration_ms:.1f} ms</strong> in {len(trace.spans)} steps{link}</p>"
        f'<div class="panel waterfall">{rows}</div>'
        f'<h2>Versions and outcome</h2><dl class="tags">{tags}</dl>'
        f'<p class="muted">Trace <code>{escape(trace.trace_id)}</code>. Names, addresses and numbers of '
        "people are taken out before a trace is kept.</p>"
    )


def _row(span: FinishedSpan, *, depth: int, start_ns: int, total_ns: int) -> str:
    offset = 100 * (span.start_ns - start_ns) / total_ns
    width = max(0.6, 100 * (span.end_ns - span.start_ns) / total_ns)
    attributes = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(_text(value))}</dd></div>"
        for name, value in span.attributes.items()
        if value not in (None, "", ())
    )
    error = f'<p class="down">{escape(span.error)}</p>' if span.error else ""
    failed = " failed" if span.status == "error" else ""
    return (
        f'<details class="span depth-{min(depth, MAX_DEPTH)}{failed}"><summary>'
        f'<span class="name">{escape(span.name)}</span>'
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="{min(offset, 99.4):.2f}" width="{width:.2f}" height="8"/></svg>'
        f"<span>{span.duration_ms:.2f} ms</span></summary>"
        f'{error}<dl class="tags">{attributes or "<div><dt>no attributes</dt></div>"}</dl></details>'
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _depths(spans: tuple[FinishedSpan, ...]) -> dict[str, int]:
    depths: dict[str, int] = {}
    for span in spans:
        depths[span.span_id] = depths.get(span.parent_id, -1) + 1 if span.parent_id else 0
    return depths
