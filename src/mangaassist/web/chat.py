"""POST /v1/chat: one answer as JSON, or streamed by server-sent events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mangaassist.domain.chat import (
    AnswerDone,
    AnswerEvent,
    AnswerReplaced,
    AnswerStarted,
    AnswerToken,
    ChatRequest,
)
from mangaassist.domain.errors import MangaAssistError
from mangaassist.web.bodies import parse_json, read_body, require_json, validated
from mangaassist.web.problems import http_problem, problem_of
from mangaassist.web.schemas import ChatBody, answer_view
from mangaassist.web.services import WebServices
from mangaassist.web.sessions import Caller, caller_of, chat_request
from mangaassist.web.streaming import coalesced


async def chat(request: Request) -> Response:
    """Answer one message."""
    services: WebServices = request.app.state.services
    require_json(request)
    caller = caller_of(services, request.headers, request.cookies, host=request.headers.get("host", ""))
    services.rate_limiter.take(caller.identity.owner)
    services.rate_limiter.take(f"address:{request.client.host if request.client else 'unknown'}")
    body = validated(
        ChatBody, parse_json(await read_body(request, limit_bytes=services.limits.max_body_bytes))
    )
    asked = chat_request(services, body, caller.identity, traceparent=request.headers.get("traceparent"))
    request.scope["request_id"] = asked.request_id
    wants_stream = "text/event-stream" in request.headers.get("accept", "") or (
        request.query_params.get("stream") == "true"
    )
    secure = request.url.scheme == "https"
    if wants_stream:
        return EventStream(services, asked, caller, secure=secure)
    with services.gate.admit():
        async with aclosing(services.answers.answer(asked)) as events:
            async for event in events:
                if isinstance(event, AnswerDone):
                    return _json_answer(services, event, caller, secure=secure)
    return http_problem(500).response(instance="/v1/chat")


def _json_answer(services: WebServices, done: AnswerDone, caller: Caller, *, secure: bool) -> Response:
    answer = done.answer
    services.metrics.answered(answer)
    return Response(
        orjson.dumps(answer_view(answer)),
        media_type="application/json",
        headers={
            "x-trace-id": answer.trace_id,
            "x-mangaassist-overhead-ms": f"{answer.overhead_ms:.3f}",
            "cache-control": "no-store",
            **caller.headers(secure=secure),
        },
    )


class EventStream(Response):
    """Sends the events of one answer as server-sent events, straight to ASGI."""

    media_type = "text/event-stream"

    def __init__(self, services: WebServices, asked: ChatRequest, caller: Caller, *, secure: bool) -> None:
        self._services = services
        self._asked = asked
        self._caller = caller
        self._secure = secure
        self.status_code = 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the answer is done or the client goes away."""
        with self._services.gate.admit():
            answering = asyncio.create_task(self._send_all(scope, send), name=f"sse:{self._asked.request_id}")
            leaving = asyncio.create_task(_disconnected(receive), name=f"sse-leave:{self._asked.request_id}")
            try:
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (answering, leaving):
                    if not task.done():
                        task.cancel()
                await asyncio.wait({answering, leaving})
            if not answering.cancelled():
                answering.result()

    async def _send_all(self, scope: Scope, send: Send) -> None:
        started = False
        try:
            async with aclosing(coalesced(self._services, self._asked)) as events:
                async for event in events:
                    if isinstance(event, AnswerStarted):
                        await send(self._start(event))
                        started = True
                        continue
                    await send({"type": "http.response.body", "body": sse(event), "more_body": True})
                    if isinstance(event, AnswerDone):
                        self._services.metrics.answered(event.answer)
            await send({"type": "http.response.body", "body": b""})
        except MangaAssistError as error:
            if not started:
                raise
            problem = problem_of(error)
            self._services.metrics.problem(problem.status)
            document = orjson.dumps(problem.document(instance=scope["path"]))
            await send({"type": "http.response.body", "body": b"event: error\ndata: " + document + b"\n\n"})

    def _start(self, event: AnswerStarted) -> dict[str, object]:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            "x-trace-id": event.trace_id,
            **self._caller.headers(secure=self._secure),
        }
        return {
            "type": "http.response.start",
            "status": 200,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }


def sse(event: AnswerEvent) -> bytes:
    """Return one event in the server-sent events format."""
    if isinstance(event, AnswerToken):
        return b"event: token\ndata: " + orjson.dumps({"text": event.text}) + b"\n\n"
    if isinstance(event, AnswerReplaced):
        return (
            b"event: replace\ndata: " + orjson.dumps({"text": event.text, "reason": event.reason}) + b"\n\n"
        )
    if isinstance(event, AnswerDone):
        return b"event: done\ndata: " + orjson.dumps(answer_view(event.answer)) + b"\n\n"
    return b"event: started\ndata: " + orjson.dumps({"response_id": event.response_id}) + b"\n\n"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
