"""Request bodies: bounded, strictly UTF-8, strictly JSON; every defect has its own clear 4xx."""

from __future__ import annotations

import json
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from mangaassist.web.problems import Problem, ProblemError

MAX_DEPTH = 32

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, *, limit_bytes: int) -> bytes:
    """Return the whole body; 413 as soon as it exceeds the limit, also when it comes in chunks."""
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit_bytes:
        _refuse(413, f"The body has {declared} bytes; at most {limit_bytes} are accepted.")
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit_bytes:
                _refuse(413, f"The body exceeds {limit_bytes} bytes.")
            parts.append(part)
    except ClientDisconnect as error:
        raise ProblemError(_problem(400, "The client went away while sending the body.")) from error
    return b"".join(parts)


def require_json(request: Request) -> None:
    """Refuse any declared content type but JSON with 415."""
    content_type = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        _refuse(415, f"Send application/json, not {content_type!r}.")


def parse_json(body: bytes | str) -> object:
    """Parse JSON; 400 for anything that is not well-formed, UTF-8, finite, shallow and free of doubles."""
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(_problem(400, f"The body is not valid UTF-8 (byte {error.start}).")) from error
    if _depth(text) > MAX_DEPTH:
        _refuse(400, f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    try:
        return json.loads(text, object_pairs_hook=_no_doubles, parse_constant=_no_constants)
    except ProblemError:
        raise
    except (ValueError, RecursionError) as error:
        raise ProblemError(_problem(400, f"The body is not valid JSON: {error}.")) from error


def validated(model: type[Model], content: object) -> Model:
    """Check parsed JSON against a model; 422 with every field error."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        fields = tuple(
            {"field": ".".join(str(part) for part in issue["loc"]) or "body", "message": issue["msg"]}
            for issue in error.errors()
        )
        raise ProblemError(
            Problem(
                status=422,
                title="The request is not valid",
                detail="; ".join(f"{entry['field']}: {entry['message']}" for entry in fields[:5]),
                kind="invalid-request",
                errors=fields,
            )
        ) from error


def clean_text(text: str) -> str:
    """Return the text or raise ValueError: no NUL, no lone surrogates, something besides white space."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("must not contain lone surrogates") from error
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _no_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        _refuse(400, f"The member {double[:60]!r} stands twice in one object.")
    return out


def _no_constants(name: str) -> NoReturn:
    _refuse(400, f"{name} is not JSON.")


def _depth(text: str) -> int:
    """Nesting depth of brackets outside strings."""
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _problem(status: int, detail: str) -> Problem:
    titles = {400: "Bad request", 413: "The body is too large", 415: "Unsupported media type"}
    kinds = {400: "bad-request", 413: "body-too-large", 415: "unsupported-media-type"}
    return Problem(status=status, title=titles[status], detail=detail, kind=kinds[status])


def _refuse(status: int, detail: str) -> NoReturn:
    raise ProblemError(_problem(status, detail))
