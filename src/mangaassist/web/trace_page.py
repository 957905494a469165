"""GET /trace/{id}: the span waterfall of an answer, for the session that asked."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mangaassist.domain.trace import FinishedSpan, Trace
from mangaassist.web.services import WebServices

HIDDEN_TAGS = frozenset({"session_id", "request_id"})


async def show(request: Request) -> Response:
    """Render the trace; raises `NotFoundError` for an unknown one.

    A trace holds redacted previews only, and its id is a 128-bit secret told to the asker alone.
    """
    services: WebServices = request.app.state.services
    trace = services.archive.get(request.path_params["trace_id"])
    return HTMLResponse(
        _page(trace, services.trace_url(trace.trace_id)), headers={"cache-control": "no-store"}
    )


def _page(trace: Trace, mlflow_url: str | None) -> str:
    total_ns = max(1, trace.root.end_ns - trace.root.start_ns)
    depth_of = _depths(trace.spans)
    rows = "".join(_row(span, depth_of[span.span_id], trace.root.start_ns, total_ns) for span in trace.spans)
    tags = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in trace.tags.items()
        if name not in HIDDEN_TAGS
    )
    link = f'<p><a href="{escape(mlflow_url)}">Open in MLflow</a></p>' if mlflow_url else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Trace {escape(trace.trace_id[:8])}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/shop.css"></head><body class="status"><main>'
        f"<h1>How this answer was made</h1><p>{escape(trace.request_preview)}</p>"
        f'<p class="muted">{trace.root.duration_ms:.1f} ms · trace <code>{escape(trace.trace_id)}</code></p>'
        f"{link}"
        f'<table class="waterfall"><tbody>{rows}</tbody></table><dl>{tags}</dl>'
        '<p><a href="/">Back to the chat</a></p></main></body></html>'
    )


def _row(span: FinishedSpan, depth: int, start_ns: int, total_ns: int) -> str:
    offset = 100 * (span.start_ns - start_ns) / total_ns
    width = max(0.4, 100 * (span.end_ns - span.start_ns) / total_ns)
    attributes = " · ".join(
        f"{escape(name)}={escape(str(value))}"
        for name, value in span.attributes.items()
        if value not in (None, "", ())
    )
    bar = (
        f'<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" '
        f'aria-label="{span.duration_ms:.2f} ms">'
        f'<rect x="{offset:.2f}" y="0" width="{width:.2f}" height="6"/></svg>'
    )
    failed = ' class="down"' if span.status == "error" else ""
    return (
        f'<tr{failed}><td class="depth-{min(depth, 4)}" title="{attributes}">{escape(span.name)}</td>'
        f"<td>{bar}</td><td>{span.duration_ms:.2f} ms</td></tr>"
    )


def _depths(spans: tuple[FinishedSpan, ...]) -> dict[str, int]:
    depths: dict[str, int] = {}
    for span in spans:
        depths[span.span_id] = depths.get(span.parent_id, -1) + 1 if span.parent_id else 0
    return depths
