"""Request bodies: bounded, strictly UTF-8, strictly JSON; every defect has its own clear 4xx."""

from __future__ import annotations

import asyncio
import json
import re
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from mangaassist.web.problems import FieldError, refuse, refuse_fields

MAX_DEPTH = 32
READ_TIMEOUT_S = 10.0
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, *, limit_bytes: int) -> bytes:
    """Return the whole body; 413 as soon as it exceeds the limit, also when it comes in chunks."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:19]) > limit_bytes:
        refuse(413, f"At most {limit_bytes} bytes are accepted.")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > limit_bytes:
                    refuse(413, f"At most {limit_bytes} bytes are accepted.")
                parts.append(part)
    except ClientDisconnect:
        refuse(400, "The client went away while sending the body.")
    except TimeoutError:
        refuse(408, f"The body did not arrive within {READ_TIMEOUT_S:.0f} seconds.")
    return b"".join(parts)


def require_json(request: Request) -> None:
    """Refuse any declared content type but JSON with 415."""
    content_type = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        refuse(415, "Send application/json.")


def parse_json(body: bytes | str) -> object:
    """Parse JSON; 400 unless it is UTF-8, shallow, finite, free of doubles and of lone surrogates."""
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(400, f"The body is not valid UTF-8 (byte {error.start}).")
    _check_depth(text)
    try:
        content = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except ValueError as error:
        refuse(400, f"The body is not valid JSON: {error}.")
    # only an escape can bring one in: the text itself is valid UTF-8
    if "\\u" in text and _SURROGATE.search(json.dumps(content, ensure_ascii=False)):
        refuse(400, "The body holds a lone surrogate, which is no character.")
    return content


def validated(model: type[Model], content: object) -> Model:
    """Check parsed JSON against a model; 422 with the field errors."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        refuse_fields(
            *(
                FieldError(
                    field=".".join(str(part) for part in issue["loc"])[:100] or "body",
                    message=issue["msg"].removeprefix("Value error, "),
                )
                for issue in error.errors(include_url=False, include_context=False, include_input=False)
            )
        )


def clean_text(text: str) -> str:
    """Return the text or raise ValueError: no NUL, something besides white space."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out = dict(pairs)
    if len(out) != len(pairs):
        refuse(400, "A member stands twice in one object.")
    return out


def _no_constant(name: str) -> NoReturn:
    refuse(400, f"{name} is not JSON.")


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                refuse(400, f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        elif token in "]}":
            depth -= 1
