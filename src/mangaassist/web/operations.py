"""Health, readiness, metrics, demo log-in and visitor sessions."""

from __future__ import annotations

from html import escape

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mangaassist.domain.errors import NotFoundError
from mangaassist.web.bodies import parse_json, read_body, require_json, validated
from mangaassist.web.problems import http_problem
from mangaassist.web.schemas import DemoLoginBody
from mangaassist.web.services import ComponentHealth, WebServices
from mangaassist.web.sessions import COOKIE, Caller

NO_STORE = {"cache-control": "no-store"}


def _json(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(content),
        status_code=status,
        media_type="application/json",
        headers={**NO_STORE, **(headers or {})},
    )


async def healthz(request: Request) -> Response:
    """Say that the process is alive."""
    return _json({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Say whether questions can be answered: 503 when a component that answers need is down."""
    services: WebServices = request.app.state.services
    components = services.health()
    down = [component.name for component in components if component.state == "down"]
    degraded = any(component.state == "degraded" for component in components)
    return _json(
        {
            "status": "down" if down else "degraded" if degraded else "ready",
            "release_bundle": services.release_bundle(),
            "components": [_component(component) for component in components],
        },
        status=503 if down else 200,
    )


def _component(component: ComponentHealth) -> dict[str, str]:
    return {
        "name": component.name,
        "adapter": component.adapter,
        "state": component.state,
        "detail": component.detail,
    }


async def status_page(request: Request) -> Response:
    """Show the components as a page."""
    services: WebServices = request.app.state.services
    rows = "".join(
        f"<tr><td>{escape(component.name)}</td><td>{escape(component.adapter)}</td>"
        f'<td class="{component.state}">{component.state}</td><td>{escape(component.detail)}</td></tr>'
        for component in services.health()
    )
    counters = services.trace_counters()
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MangaAssist status</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/shop.css"></head><body class="status"><main>'
        f"<h1>MangaAssist</h1><p>Release bundle <code>{escape(services.release_bundle())}</code></p>"
        "<table><thead><tr><th>Component</th><th>Adapter</th><th>State</th><th>Detail</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p>Traces: {counters.accepted} accepted, {counters.pending} waiting, "
        f"{counters.shipped} shipped, {counters.dropped} dropped.</p>"
        '<p><a href="/">Chat</a> · <a href="/docs">API</a> · <a href="/metrics">Metrics</a></p>'
        "</main></body></html>",
        headers=NO_STORE,
    )


async def metrics(request: Request) -> Response:
    """Expose the metrics in the Prometheus text format."""
    services: WebServices = request.app.state.services
    return Response(services.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def new_session(request: Request) -> Response:
    """Issue a visitor token."""
    services: WebServices = request.app.state.services
    services.rate_limiter.take(f"address:{request.client.host if request.client else 'unknown'}")
    token, identity = services.identity.issue_visitor()
    headers = Caller(identity=identity, issued_token=token).headers(secure=request.url.scheme == "https")
    return _json({"token": token, "token_type": "Bearer"}, status=201, headers=headers)


async def demo_customers(request: Request) -> Response:
    """List the demo customers; 404 unless the demo is on."""
    services: WebServices = request.app.state.services
    if not services.demo_customers:
        return http_problem(404).response(instance=request.url.path)
    return _json(
        {
            "notice": "Invented customers of the embedded demo; no password is asked.",
            "customers": [
                {
                    "customer_id": customer.customer_id,
                    "name": customer.name,
                    "member": customer.member,
                    "points": customer.points,
                }
                for customer in services.demo_customers
            ],
        }
    )


async def demo_login(request: Request) -> Response:
    """Issue a token for a demo customer, and say that it is one."""
    services: WebServices = request.app.state.services
    if not services.demo_customers:
        return http_problem(404).response(instance=request.url.path)
    require_json(request)
    body = validated(
        DemoLoginBody, parse_json(await read_body(request, limit_bytes=services.limits.max_body_bytes))
    )
    for customer in services.demo_customers:
        if customer.customer_id == body.customer_id:
            token = services.identity.issue_customer(customer.customer_id, member=customer.member)
            return _json(
                {
                    "token": token,
                    "token_type": "Bearer",
                    "customer_id": customer.customer_id,
                    "name": customer.name,
                    "notice": "A demo customer: no password was asked, which only the embedded profile does.",
                }
            )
    raise NotFoundError(f"there is no demo customer {body.customer_id!r}")


async def logout(request: Request) -> Response:
    """Forget the session cookie."""
    return Response(
        status_code=204, headers={"set-cookie": f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"}
    )
