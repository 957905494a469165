"""For whoever runs the process: /healthz, /readyz and /metrics."""

from __future__ import annotations

from dataclasses import asdict

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mangaassist.web.services import services_of

NO_STORE = {"cache-control": "no-store"}


async def healthz(request: Request) -> Response:
    """Say that the process is alive."""
    return Response(b'{"status":"alive"}', media_type="application/json", headers=NO_STORE)


async def readyz(request: Request) -> Response:
    """Say whether questions can be answered: 503 when a component that answers need is down."""
    services = services_of(request)
    components = services.health()
    states = {component.state for component in components}
    status = "down" if "down" in states else "degraded" if "degraded" in states else "ready"
    return Response(
        orjson.dumps(
            {
                "status": status,
                "release_bundle": services.release_bundle(),
                "components": [asdict(component) for component in components],
            }
        ),
        status_code=503 if status == "down" else 200,
        media_type="application/json",
        headers=NO_STORE,
    )


async def metrics(request: Request) -> Response:
    """Expose the metrics in the Prometheus text format."""
    return Response(
        services_of(request).metrics.exposition(),
        media_type="text/plain; version=0.0.4; charset=utf-8",
        headers=NO_STORE,
    )
