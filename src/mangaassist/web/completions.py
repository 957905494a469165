"""An OpenAI-compatible face: POST /v1/chat/completions and GET /v1/models.

The last user message is the question. Earlier messages are ignored: the session (the `user` member) is
the memory. Sampling parameters are the bundle's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mangaassist.domain.chat import AnswerDone, AnswerReplaced, AnswerToken, ChatAnswer, ChatRequest
from mangaassist.domain.errors import MangaAssistError
from mangaassist.web.bodies import parse_json, read_body, require_json, validated
from mangaassist.web.problems import Problem, ProblemError, http_problem, problem_of
from mangaassist.web.schemas import ChatBody, CompletionBody
from mangaassist.web.services import WebServices
from mangaassist.web.sessions import caller_of, chat_request
from mangaassist.web.streaming import coalesced

MODEL = "mangaassist"


async def models(request: Request) -> Response:
    """List the one model there is."""
    return Response(
        orjson.dumps(
            {
                "object": "list",
                "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "mangaassist"}],
            }
        ),
        media_type="application/json",
    )


async def completions(request: Request) -> Response:
    """Answer the last user message; errors have the form of the OpenAI API."""
    services: WebServices = request.app.state.services
    try:
        require_json(request)
        caller = caller_of(services, request.headers, request.cookies, host=request.headers.get("host", ""))
        services.rate_limiter.take(caller.identity.owner)
        services.rate_limiter.take(f"address:{request.client.host if request.client else 'unknown'}")
        content = parse_json(await read_body(request, limit_bytes=services.limits.max_body_bytes))
        body = validated(CompletionBody, content)
        question = next(
            (message.content for message in reversed(body.messages) if message.role == "user"), None
        )
        if question is None:
            raise ProblemError(
                Problem(
                    status=422,
                    title="No question",
                    detail="messages holds no user message",
                    kind="invalid-request",
                )
            )
        asked = chat_request(
            services,
            ChatBody(message=question, session_id=body.user),
            caller.identity,
            traceparent=request.headers.get("traceparent"),
        )
        headers = caller.headers(secure=request.url.scheme == "https")
        created = int(services.clock.now().timestamp())
        if body.stream:
            include_usage = body.stream_options is not None and body.stream_options.include_usage
            events = _chunks(services, asked, created=created, include_usage=include_usage)
            first = await anext(events)  # a foreign session is refused before the stream begins
            return StreamingResponse(
                _prepended(first, events), media_type="text/event-stream", headers=headers
            )
        with services.gate.admit():
            answer = await _whole_answer(services, asked)
        return Response(
            orjson.dumps(_completion(answer, created)), media_type="application/json", headers=headers
        )
    except ProblemError as error:
        return _openai_error(services, error.problem)
    except MangaAssistError as error:
        return _openai_error(services, problem_of(error))


async def _whole_answer(services: WebServices, asked: ChatRequest) -> ChatAnswer:
    async with aclosing(services.answers.answer(asked)) as events:
        async for event in events:
            if isinstance(event, AnswerDone):
                services.metrics.answered(event.answer)
                return event.answer
    raise ProblemError(http_problem(500))


async def _chunks(
    services: WebServices, asked: ChatRequest, *, created: int, include_usage: bool
) -> AsyncIterator[bytes]:
    identity: dict[str, Any] = {
        "id": f"chatcmpl-{asked.request_id}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": MODEL,
    }
    with services.gate.admit():
        async with aclosing(coalesced(services, asked)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    yield _data(identity, {"content": event.text})
                elif isinstance(event, AnswerReplaced):
                    # this wire format cannot take text back: what replaces it follows after a break
                    yield _data(identity, {"content": "\n\n" + event.text})
                elif isinstance(event, AnswerDone):
                    services.metrics.answered(event.answer)
                    yield _data(identity, {}, finish="stop")
                    if include_usage:
                        yield _event({**identity, "choices": [], "usage": _usage(event.answer)})
                else:
                    yield _data(identity, {"role": "assistant", "content": ""})
    yield b"data: [DONE]\n\n"


async def _prepended(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _data(identity: dict[str, Any], delta: dict[str, str], *, finish: str | None = None) -> bytes:
    return _event({**identity, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


def _usage(answer: ChatAnswer) -> dict[str, int]:
    usage = answer.usage
    prompt = usage.input_tokens + usage.cached_input_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
    }


def _completion(answer: ChatAnswer, created: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.request_id}",
        "object": "chat.completion",
        "created": created,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": "stop"}
        ],
        "usage": _usage(answer),
        "system_fingerprint": answer.release_bundle,
    }


def _openai_error(services: WebServices, problem: Problem) -> Response:
    services.metrics.problem(problem.status)
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(problem.status, "server_error" if problem.status >= 500 else "invalid_request_error")
    param = problem.errors[0]["field"] if problem.errors else None
    return Response(
        orjson.dumps(
            {"error": {"message": problem.detail, "type": kind, "param": param, "code": problem.kind}}
        ),
        status_code=problem.status,
        media_type="application/json",
        headers={"retry-after": str(round(problem.retry_after_s))} if problem.retry_after_s else None,
    )
