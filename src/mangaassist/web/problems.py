"""RFC 9457 problems: one table from error class to status, one shape for every error response."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import orjson
from starlette.responses import Response

from mangaassist.domain.errors import (
    ConfigurationError,
    ConflictError,
    DependencyError,
    DependencyThrottledError,
    DependencyTimeoutError,
    GateError,
    InvalidRequestError,
    MangaAssistError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)

MEDIA_TYPE = "application/problem+json"

STATUS: tuple[tuple[type[MangaAssistError], int, str], ...] = (
    (InvalidRequestError, 422, "The request is not valid"),
    (NotFoundError, 404, "Not found"),
    (ConflictError, 409, "Conflict"),
    (PermissionDeniedError, 401, "Not authenticated"),
    (RateLimitedError, 429, "Too many requests"),
    (GateError, 409, "Refused by a gate"),
    (DependencyThrottledError, 503, "A service is busy"),
    (DependencyTimeoutError, 504, "A service did not answer in time"),
    (DependencyError, 503, "A service is unavailable"),
    (ConfigurationError, 500, "The server is misconfigured"),
    (MangaAssistError, 500, "Internal error"),
)


# the problems of the web layer itself: status → (kind, title)
HTTP: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "Bad request"),
    401: ("permission-denied", "Not authenticated"),
    403: ("foreign-origin", "Foreign origin"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    406: ("not-acceptable", "Not acceptable"),
    408: ("body-too-slow", "The body came too slowly"),
    409: ("conflict", "Conflict"),
    413: ("body-too-large", "The body is too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
    422: ("invalid-request", "The request is not valid"),
    431: ("headers-too-large", "The headers are too large"),
    500: ("internal-error", "Internal error"),
    503: ("busy", "Busy"),
}
OPENAI_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
OPENAI_PATHS = frozenset({"/v1/chat/completions", "/v1/models"})
MAX_FIELD_ERRORS = 20

LOG = logging.getLogger("mangaassist.web")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one member of the body."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem document; `errors` lists field errors."""

    status: int
    title: str
    detail: str
    kind: str
    errors: tuple[FieldError, ...] = ()
    retry_after_s: float | None = None
    allow: str | None = None

    def document(self, *, instance: str, trace_id: str) -> dict[str, object]:
        """Return the JSON members of RFC 9457 plus `trace_id`, and `errors` where there are any."""
        out: dict[str, object] = {
            "type": f"urn:mangaassist:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "trace_id": trace_id,
        }
        if self.errors:
            out["errors"] = self.errors  # orjson writes dataclasses as objects
        return out

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to the status."""
        out = {"cache-control": "no-store"}
        if self.retry_after_s is not None:
            out["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.allow is not None:
            out["allow"] = self.allow
        if self.status == 401:
            out["www-authenticate"] = "Bearer"
        return out

    def openai_document(self) -> dict[str, object]:
        """Return the problem in the form of the OpenAI API."""
        kind = OPENAI_KINDS.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        param = self.errors[0].field if self.errors else None
        return {"error": {"message": self.detail, "type": kind, "param": param, "code": self.kind}}


class ProblemError(Exception):
    """A problem raised inside the web layer, before any domain code was reached."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def problem_response(problem: Problem, *, path: str, trace_id: str) -> Response:
    """Return the problem as a response, in the form that the clients of this path expect."""
    if path in OPENAI_PATHS:
        media_type, document = "application/json", problem.openai_document()
    else:
        media_type, document = MEDIA_TYPE, problem.document(instance=path, trace_id=trace_id)
    return Response(
        orjson.dumps(document),
        status_code=problem.status,
        media_type=media_type,
        headers={**problem.headers(), "x-trace-id": trace_id},
    )


def http_problem(status: int, detail: str | None = None) -> Problem:
    """Return the problem for a plain HTTP status such as 404 or 405."""
    kind, title = HTTP.get(status, ("error", "Error"))
    return Problem(status=status, title=title, detail=detail or f"{title}.", kind=kind)


def refuse(status: int, detail: str) -> NoReturn:
    """Raise the problem for a plain HTTP status."""
    raise ProblemError(http_problem(status, detail))


def refuse_fields(*errors: FieldError) -> NoReturn:
    """Raise 422 with what is wrong with each member; only so many are told."""
    kind, title = HTTP[422]
    told = errors[:MAX_FIELD_ERRORS]
    detail = "; ".join(f"{error.field}: {error.message}" for error in told[:5])
    raise ProblemError(Problem(status=422, title=title, detail=detail, kind=kind, errors=told))


def problem_of(error: Exception, *, path: str, trace_id: str) -> Problem:
    """Return the problem that any error becomes; what is our fault is logged, and its cause not told."""
    if isinstance(error, ProblemError):
        return error.problem
    if not isinstance(error, MangaAssistError):
        LOG.error("unexpected error", exc_info=error, extra={"path": path, "trace_id": trace_id})
        return http_problem(500, "Something went wrong on our side.")
    status, title = next((status, title) for kind, status, title in STATUS if isinstance(error, kind))
    if status >= 500:
        LOG.error("request failed", extra={"path": path, "trace_id": trace_id, "error": repr(error)})
    errors: tuple[FieldError, ...] = ()
    if isinstance(error, InvalidRequestError) and error.field:
        errors = (FieldError(field=error.field, message=str(error)),)
    retry_after_s = 5.0 if status == 503 else None
    return Problem(
        status=status,
        title=title,
        detail="Please try again in a moment." if status >= 500 else str(error),
        kind=_kebab(type(error).__name__.removesuffix("Error")),
        errors=errors,
        retry_after_s=error.retry_after_s if isinstance(error, RateLimitedError) else retry_after_s,
    )


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
