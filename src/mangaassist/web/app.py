"""The ASGI application: routes, problem handlers, security headers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mangaassist.domain.errors import MangaAssistError
from mangaassist.web import chat, completions, feedback, operations, trace_page
from mangaassist.web.openapi import describe
from mangaassist.web.problems import Problem, ProblemError, http_problem, problem_of
from mangaassist.web.services import WebServices
from mangaassist.web.websocket import PATH as SOCKET_PATH
from mangaassist.web.websocket import chat_socket

SHOP = Path(__file__).parent / "shop"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
LOG = logging.getLogger("mangaassist.web")


def create_app(open_services: Callable[[], AbstractAsyncContextManager[WebServices]]) -> FastAPI:
    """Return the application; `open_services` is entered at start-up and left at shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            services.metrics.watch_traces(services.trace_counters)
            yield

    app = FastAPI(title="MangaAssist", lifespan=lifespan, redoc_url=None, docs_url=None)
    for path, endpoint, methods in (
        ("/v1/chat", chat.chat, ["POST"]),
        ("/v1/chat/completions", completions.completions, ["POST"]),
        ("/v1/models", completions.models, ["GET"]),
        ("/v1/feedback", feedback.feedback, ["POST"]),
        ("/v1/session", operations.new_session, ["POST"]),
        ("/v1/session", operations.logout, ["DELETE"]),
        ("/v1/demo/customers", operations.demo_customers, ["GET"]),
        ("/v1/demo/login", operations.demo_login, ["POST"]),
        ("/healthz", operations.healthz, ["GET"]),
        ("/readyz", operations.readyz, ["GET"]),
        ("/metrics", operations.metrics, ["GET"]),
        ("/status", operations.status_page, ["GET"]),
        ("/trace/{trace_id}", trace_page.show, ["GET"]),
        ("/", _chat_page, ["GET"]),
    ):
        app.add_route(path, endpoint, methods=methods)
    app.router.routes.append(WebSocketRoute(SOCKET_PATH, chat_socket))
    app.mount("/static", StaticFiles(directory=SHOP), name="static")
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(MangaAssistError, _on_domain_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)
    describe(app)
    app.add_middleware(SecurityHeaders)
    return app


def allow_origins(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Let pages of other origins call the API with bearer tokens."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "traceparent"],
            expose_headers=["x-trace-id", "x-mangaassist-overhead-ms", "x-session-token"],
        )


async def _chat_page(request: Request) -> Response:
    return FileResponse(SHOP / "index.html", headers={"cache-control": "no-cache"})


async def _respond(request: Request, problem: Problem) -> Response:
    services: WebServices = request.app.state.services
    services.metrics.problem(problem.status)
    return problem.response(instance=request.url.path)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return await _respond(request, error.problem)


async def _on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MangaAssistError)
    problem = problem_of(error)
    if problem.status >= 500:
        LOG.error("request failed", extra={"path": request.url.path, "error": repr(error)})
    return await _respond(request, problem)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = await _respond(request, http_problem(error.status_code))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _on_unexpected(request: Request, error: Exception) -> Response:
    LOG.error("unexpected error", exc_info=error, extra={"path": request.url.path})
    return await _respond(request, http_problem(500, "Something went wrong on our side."))


class SecurityHeaders:
    """Adds the security headers to every HTTP response; plain ASGI, off the token loop's way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; extend the start of a response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, sending)
