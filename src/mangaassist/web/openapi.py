"""The OpenAPI document: bodies are parsed by hand, so they are described by hand, from the same models."""

from __future__ import annotations

from html import escape
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mangaassist.web.html import page
from mangaassist.web.schemas import AnswerView, ChatBody, CompletionBody, DemoLoginBody, FeedbackBody

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "trace_id"],
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
    "examples": [
        {
            "type": "urn:mangaassist:problem:invalid-request",
            "title": "The request is not valid",
            "status": 422,
            "detail": "message: must not be empty",
            "instance": "/v1/chat",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "errors": [{"field": "message", "message": "must not be empty"}],
        }
    ],
}


async def schema(request: Request) -> Response:
    """Publish the document."""
    return Response(orjson.dumps(openapi_document()), media_type="application/json")


async def docs(request: Request) -> Response:
    """List the operations for people."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {path}</code></td><td>{escape(operation['summary'])}</td></tr>"
        for path, operations in openapi_document()["paths"].items()
        for method, operation in operations.items()
    )
    return page(
        "API",
        f'<h1>API</h1><p>The whole of it in <a href="/openapi.json">openapi.json</a>.</p>'
        f'<div class="panel"><table><tbody>{rows}<tr><td><code>WS /v1/chat/ws</code></td>'
        "<td>Chat and feedback over a WebSocket.</td></tr></tbody></table></div>",
    )


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    schemas: dict[str, Any] = {"Problem": PROBLEM_SCHEMA}
    for model in (ChatBody, FeedbackBody, CompletionBody, DemoLoginBody, AnswerView):
        _collect(model, schemas)
    answer = {"application/json": {"schema": _ref("AnswerView")}}
    stream = {
        "text/event-stream": {
            "schema": {
                "type": "string",
                "description": "Events token, replace, done and error; the data of done is an AnswerView.",
            }
        }
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
                "get": _operation("session", "Who the caller is."),
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
        "403": "The cookie came from another site's page.",
        "404": "Unknown, or not yours.",
        "406": "Neither JSON nor events are accepted.",
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
