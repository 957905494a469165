"""An OpenAI-compatible face: POST /v1/chat/completions and GET /v1/models.

The last user message is the question. Earlier messages are ignored: the session is the memory. It is named by
`X-Session-Id`, or by `user`, which names a conversation of this caller alone; without either, every
request is a conversation of its own. Sampling parameters are the release bundle's.
"""

from __future__ import annotations

import hashlib

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mangaassist.domain.chat import (
    AnswerDone,
    AnswerEvent,
    AnswerReplaced,
    AnswerToken,
    ChatAnswer,
    ChatRequest,
    Identity,
)
from mangaassist.web.bodies import validated
from mangaassist.web.chat import CLIENT_GONE
from mangaassist.web.edge import traceparent_of
from mangaassist.web.problems import FieldError, Problem, refuse_fields
from mangaassist.web.schemas import ChatBody, CompletionBody
from mangaassist.web.services import services_of
from mangaassist.web.sessions import chat_request, received
from mangaassist.web.streaming import AnswerFeed, EventStream

MODEL = "mangaassist"
NO_STORE = {"cache-control": "no-store"}


async def models(request: Request) -> Response:
    """List the one model there is."""
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "mangaassist"}
    return _json({"object": "list", "data": [model]})


async def completions(request: Request) -> Response:
    """Answer the last user message."""
    services = services_of(request)
    caller, body = await received(request, CompletionBody)
    session_id = request.headers.get("x-session-id") or _session_of(body.user, caller.identity)
    question = validated(ChatBody, {"message": _question(body), "session_id": session_id})
    asked = chat_request(
        services,
        question,
        caller.identity,
        traceparent=traceparent_of(request),
        baggage=request.headers.get("baggage"),
        channel="completions",
    )
    handed = caller.headers(secure=request.url.scheme == "https")
    created = int(services.clock.now().timestamp())
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        wire = CompletionChunks(asked, created=created, include_usage=include_usage)
        return EventStream(services, asked, wire, headers=handed)
    async with AnswerFeed(services, asked, receive=request.receive) as feed:
        answer = await feed.answer()
    if answer is None:
        return Response(status_code=CLIENT_GONE)
    return _json(_completion(answer, created), headers={"x-trace-id": answer.trace_id, **handed})


def _question(body: CompletionBody) -> str:
    """Return the text of the last user message; 422 when there is none."""
    asked = [message.content for message in body.messages if message.role == "user" and message.content]
    if not asked:
        refuse_fields(FieldError(field="messages", message="must hold a user message"))
    last = asked[-1]
    return last if isinstance(last, str) else "\n".join(part.text for part in last)


def _session_of(user: str | None, identity: Identity) -> str | None:
    if user is None:
        return None
    return "user_" + hashlib.sha256(f"{identity.owner}\n{user}".encode()).hexdigest()[:32]


class CompletionChunks:
    """Writes the chunks of a streamed completion, ended by `[DONE]`.

    This wire format cannot take text back: what replaces the text shown so far follows it after a break.
    """

    def __init__(self, asked: ChatRequest, *, created: int, include_usage: bool) -> None:
        self._head: dict[str, object] = {
            "id": f"chatcmpl-{asked.request_id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": MODEL,
        }
        self._include_usage = include_usage

    def encode(self, event: AnswerEvent) -> bytes:
        """Return the chunks that tell the event."""
        if isinstance(event, AnswerToken):
            return self._chunk({"content": event.text})
        if isinstance(event, AnswerReplaced):
            return self._chunk({"content": f"\n\n{event.text}"})
        if isinstance(event, AnswerDone):
            usage = self._usage(event.answer) if self._include_usage else b""
            return self._chunk({}, finish_reason="stop") + usage + b"data: [DONE]\n\n"
        return self._chunk({"role": "assistant", "content": ""})

    def failed(self, problem: Problem, *, path: str, trace_id: str) -> bytes:
        """Return an error object; the stream ends without `[DONE]`."""
        return _data(problem.openai_document())

    def _chunk(self, delta: dict[str, str], *, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _data({**self._head, "choices": [choice]})

    def _usage(self, answer: ChatAnswer) -> bytes:
        return _data({**self._head, "choices": [], "usage": _usage(answer)})


def _data(document: dict[str, object]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


def _completion(answer: ChatAnswer, created: int) -> dict[str, object]:
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": f"chatcmpl-{answer.request_id}",
        "object": "chat.completion",
        "created": created,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(answer),
        "system_fingerprint": answer.release_bundle,
    }


def _usage(answer: ChatAnswer) -> dict[str, object]:
    usage = answer.usage
    prompt = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
    }


def _json(content: dict[str, object], *, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(content), media_type="application/json", headers={**NO_STORE, **(headers or {})}
    )
