"""The OpenAPI document: bodies are parsed by hand, so they are described by hand, from the same models."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from mangaassist.web.schemas import AnswerView, ChatBody, CompletionBody, DemoLoginBody, FeedbackBody

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def describe(app: FastAPI) -> None:
    """Publish /openapi.json and a plain page about it at /docs."""
    document = openapi_document()
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's documented way to replace it

    async def docs(request: Request) -> Response:
        return HTMLResponse(_docs_page(document))

    async def schema(request: Request) -> Response:
        return JSONResponse(document)

    app.add_route("/docs", docs, methods=["GET"])
    app.router.routes = [
        route for route in app.router.routes if getattr(route, "path", "") != "/openapi.json"
    ]
    app.add_route("/openapi.json", schema, methods=["GET"])


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    schemas: dict[str, Any] = {"Problem": PROBLEM_SCHEMA}
    for model in (ChatBody, FeedbackBody, CompletionBody, DemoLoginBody, AnswerView):
        _collect(model, schemas)
    answer = {"application/json": {"schema": _ref("AnswerView")}}
    stream = {
        "text/event-stream": {"schema": {"type": "string", "description": "token, replace, done, error"}}
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MangaAssist",
            "version": "1",
            "description": "The shopping assistant of a manga store: chat, feedback, health.",
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{}, {"bearer": []}],
        "paths": {
            "/v1/chat": {
                "post": _operation(
                    "chat",
                    "Answer one message, as JSON or (Accept: text/event-stream) as a stream.",
                    body="ChatBody",
                    responses={"200": {"description": "The answer.", "content": {**answer, **stream}}},
                )
            },
            "/v1/chat/completions": {
                "post": _operation(
                    "completions",
                    "The same in the form of the OpenAI API.",
                    body="CompletionBody",
                    responses={"200": {"description": "A completion or a stream of chunks."}},
                )
            },
            "/v1/models": {"get": _operation("models", "The model name for /v1/chat/completions.")},
            "/v1/feedback": {
                "post": _operation(
                    "feedback",
                    "Rate an answer.",
                    body="FeedbackBody",
                    responses={
                        "202": {"description": "Stored."},
                        "200": {"description": "The same feedback was stored before."},
                    },
                )
            },
            "/v1/session": {
                "post": _operation(
                    "new_session", "Issue a visitor token.", responses={"201": {"description": "A token."}}
                ),
                "delete": _operation(
                    "end_session",
                    "Forget the session cookie.",
                    responses={"204": {"description": "Forgotten."}},
                ),
            },
            "/v1/demo/customers": {"get": _operation("demo_customers", "List the demo customers.")},
            "/v1/demo/login": {"post": _operation("demo_login", "Be a demo customer.", body="DemoLoginBody")},
            "/healthz": {"get": _operation("healthz", "Whether the process is alive.")},
            "/readyz": {
                "get": _operation("readyz", "Whether questions can be answered, component by component.")
            },
            "/metrics": {"get": _operation("metrics", "Prometheus metrics.")},
        },
    }


def _operation(
    name: str, summary: str, *, body: str | None = None, responses: dict[str, Any] | None = None
) -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": _ref("Problem")}}}
    known = {
        "400": "Malformed.",
        "401": "The token does not verify.",
        "404": "Unknown, or not yours.",
        "413": "Too large.",
        "415": "Not JSON.",
        "422": "Well-formed but not valid.",
        "429": "Too many requests.",
        "503": "Busy, or a service is unavailable.",
    }
    out: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            **(responses or {"200": {"description": "Done."}}),
            **{status: {"description": text, **problem} for status, text in known.items()},
        },
    }
    if body is not None:
        out["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return out


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _collect(model: type[BaseModel], schemas: dict[str, Any]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema


def _docs_page(document: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{method.upper()} {path}</code></td><td>{operation['summary']}</td></tr>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MangaAssist API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/shop.css"></head><body class="status"><main><h1>API</h1>'
        f"<table><tbody>{rows}<tr><td><code>WS /v1/chat/ws</code></td>"
        "<td>Chat and feedback over a WebSocket.</td>"
        '</tr></tbody></table><p><a href="/openapi.json">openapi.json</a></p></main></body></html>'
    )
