"""The ASGI application: which path is served by what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from mangaassist.web import (
    account,
    chat,
    completions,
    feedback,
    openapi,
    operations,
    span_intake,
    status_page,
    trace_page,
)
from mangaassist.web.edge import Edge
from mangaassist.web.problems import ProblemError, http_problem
from mangaassist.web.services import WebServices
from mangaassist.web.websocket import chat_socket

SHOP = Path(__file__).parent / "shop"


def create_app(open_services: Callable[[], AbstractAsyncContextManager[WebServices]]) -> Starlette:
    """Return the application; `open_services` is entered at start-up and left at shutdown."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            services.metrics.watch_traces(services.trace_counters)
            yield

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(Edge)],
        exception_handlers={HTTPException: _on_http_exception},
        routes=[
            Route("/v1/chat", chat.chat, methods=["POST"]),
            WebSocketRoute("/v1/chat/ws", chat_socket),
            Route("/v1/chat/completions", completions.completions, methods=["POST"]),
            Route("/v1/models", completions.models),
            Route("/v1/traces", span_intake.receive, methods=["POST"]),
            Route("/v1/feedback", feedback.feedback, methods=["POST"]),
            Route("/v1/session", account.Session),
            Route("/v1/demo/customers", account.demo_customers),
            Route("/v1/demo/login", account.demo_login, methods=["POST"]),
            Route("/healthz", operations.healthz),
            Route("/readyz", operations.readyz),
            Route("/metrics", operations.metrics),
            Route("/openapi.json", openapi.schema),
            Route("/docs", openapi.docs),
            Route("/status", status_page.show),
            Route("/trace/{trace_id}", trace_page.show),
            Route("/", _chat_page),
            Mount("/static", StaticFiles(directory=SHOP)),
        ],
    )


def allow_origins(app: Starlette, origins: tuple[str, ...]) -> None:
    """Let pages of other origins call the API with bearer tokens."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "traceparent", "x-session-id"],
            expose_headers=["x-trace-id", "x-mangaassist-overhead-ms", "x-session-token"],
        )


async def _chat_page(request: Request) -> Response:
    return FileResponse(SHOP / "index.html")


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Hand a 404 or 405 of the router to the edge, which turns it into a problem."""
    assert isinstance(error, HTTPException)
    allow = (error.headers or {}).get("Allow")
    raise ProblemError(replace(http_problem(error.status_code), allow=allow)) from error
