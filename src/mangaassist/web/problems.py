"""RFC 9457 problems: one table from error class to status, one shape for every error response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem document; `errors` lists field errors."""

    status: int
    title: str
    detail: str
    kind: str
    errors: tuple[Mapping[str, str], ...] = ()
    retry_after_s: float | None = None

    def document(self, *, instance: str, trace_id: str | None = None) -> dict[str, object]:
        """Return the JSON members of RFC 9457 plus `trace_id` and `errors` where there are any."""
        out: dict[str, object] = {
            "type": f"urn:mangaassist:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if trace_id is not None:
            out["trace_id"] = trace_id
        if self.errors:
            out["errors"] = list(self.errors)
        return out

    def response(self, *, instance: str, trace_id: str | None = None) -> Response:
        """Return the document as a response."""
        headers = {"cache-control": "no-store"}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, round(self.retry_after_s)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return Response(
            orjson.dumps(self.document(instance=instance, trace_id=trace_id)),
            status_code=self.status,
            media_type=MEDIA_TYPE,
            headers=headers,
        )


class ProblemError(Exception):
    """A problem raised inside the web layer, before any domain code was reached."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def problem_of(error: MangaAssistError) -> Problem:
    """Return the problem that a domain error becomes; internals of a dependency are not told."""
    status, title = next((status, title) for kind, status, title in STATUS if isinstance(error, kind))
    hidden = isinstance(error, DependencyError | ConfigurationError)
    errors: tuple[Mapping[str, str], ...] = ()
    if isinstance(error, InvalidRequestError) and error.field:
        errors = ({"field": error.field, "message": str(error)},)
    return Problem(
        status=status,
        title=title,
        detail="Please try again in a moment." if hidden else str(error),
        kind=_kebab(type(error).__name__.removesuffix("Error")),
        errors=errors,
        retry_after_s=error.retry_after_s
        if isinstance(error, RateLimitedError)
        else (5 if status == 503 else None),
    )


def http_problem(status: int, detail: str | None = None) -> Problem:
    """Return the problem for a plain HTTP status such as 404 or 405."""
    titles = {
        400: "Bad request",
        404: "Not found",
        405: "Method not allowed",
        406: "Not acceptable",
        413: "The body is too large",
        415: "Unsupported media type",
        429: "Too many requests",
        500: "Internal error",
        503: "Busy",
    }
    title = titles.get(status, "Error")
    return Problem(
        status=status, title=title, detail=detail or title + ".", kind=_kebab(title.title().replace(" ", ""))
    )


def _kebab(name: str) -> str:
    return "".join(
        "-" + character.lower() if character.isupper() else character for character in name
    ).lstrip("-")
