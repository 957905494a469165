"""The outermost ASGI layer: trace context, header limit, security headers, the last error boundary."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mangaassist.domain.trace_context import parse_traceparent, started_here
from mangaassist.ports.clock import IdFactory
from mangaassist.web.problems import problem_of, problem_response, refuse
from mangaassist.web.services import WebServices

MAX_HEADER_BYTES = 32_768
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
]
_TRACEPARENT = "mangaassist.traceparent"


def traceparent_of(connection: HTTPConnection) -> str:
    """Return the W3C trace context of the request: the caller's, or one made here."""
    traceparent: str = connection.scope[_TRACEPARENT]
    return traceparent


def trace_id_of(connection: HTTPConnection) -> str:
    """Return the trace id that the answer, or the problem, of this request carries."""
    return trace_id_in(traceparent_of(connection))


def trace_id_in(traceparent: str) -> str:
    """Return the trace id of a well-formed trace context."""
    return traceparent.strip().lower().split("-")[1]


def new_traceparent(ids: IdFactory) -> str:
    """Return a fresh trace context."""
    return started_here(ids.trace_id())


class Edge:
    """Wraps the application; plain ASGI, and off the token loop's way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; whatever goes wrong inside ends as a problem, recorded once."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        services: WebServices = scope["app"].state.services
        given = Headers(scope=scope).get("traceparent")
        scope[_TRACEPARENT] = given if parse_traceparent(given) else new_traceparent(services.ids)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        try:
            if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
                refuse(431, f"At most {MAX_HEADER_BYTES} bytes of headers are accepted.")
            await self._app(scope, receive, sending)
        except Exception as error:  # the request boundary
            path, trace_id = scope["path"], trace_id_of(HTTPConnection(scope))
            problem = problem_of(error, path=path, trace_id=trace_id)
            services.metrics.problem(problem.status)
            if not started:  # else the server cuts the connection, which is all that can still be said
                await problem_response(problem, path=path, trace_id=trace_id)(scope, receive, sending)
