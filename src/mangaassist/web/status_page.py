"""GET /status: the components, the release bundle and the fate of the traces, for people."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import Response

from mangaassist.web.html import page
from mangaassist.web.services import ComponentHealth, services_of

HEADLINES = {
    "ready": "Everything is ready",
    "degraded": "Answering, with something missing",
    "down": "Not able to answer",
}


async def show(request: Request) -> Response:
    """Render the page."""
    services = services_of(request)
    components = services.health()
    states = {component.state for component in components}
    overall = "down" if "down" in states else "degraded" if "degraded" in states else "ready"
    counters = services.trace_counters()
    rows = "".join(map(_row, components))
    figures = (
        ("Traces accepted", counters.accepted),
        ("shipped", counters.shipped),
        ("waiting", counters.pending),
        ("dropped", counters.dropped),
    )
    tiles = "".join(f"<div><dd>{count:,}</dd><dt>{name}</dt></div>" for name, count in figures)
    return page(
        "Status",
        f'<h1><span class="dot {overall}"></span>{HEADLINES[overall]}</h1>'
        f"<p>Release bundle <code>{escape(services.release_bundle())}</code></p>"
        '<div class="panel"><table class="components"><thead><tr><th>Component</th><th>Adapter</th>'
        f'<th>State</th></tr></thead><tbody>{rows}</tbody></table></div><dl class="tiles">{tiles}</dl>'
        '<p class="muted">For machines: <a href="/readyz">readyz</a> · <a href="/metrics">metrics</a></p>',
    )


def _row(component: ComponentHealth) -> str:
    detail = f"<small>{escape(component.detail)}</small>" if component.detail else ""
    return (
        f"<tr><td>{escape(component.name)}{detail}</td><td><code>{escape(component.adapter)}</code></td>"
        f'<td><span class="state {component.state}">{component.state}</span></td></tr>'
    )
