"""POST /v1/chat: one answer as JSON, or streamed by server-sent events."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mangaassist.domain.chat import AnswerDone, AnswerEvent, AnswerReplaced, AnswerToken
from mangaassist.web.edge import traceparent_of
from mangaassist.web.problems import Problem, refuse
from mangaassist.web.schemas import ChatBody, answer_view
from mangaassist.web.services import services_of
from mangaassist.web.sessions import chat_request, received
from mangaassist.web.streaming import AnswerFeed, EventStream

CLIENT_GONE = 499


async def chat(request: Request) -> Response:
    """Answer one message; a client that hangs up cancels it."""
    services = services_of(request)
    streams = _wants_stream(request)
    caller, body = await received(request, ChatBody)
    asked = chat_request(
        services,
        body,
        caller.identity,
        traceparent=traceparent_of(request),
        baggage=request.headers.get("baggage"),
        channel="stream" if streams else "chat",
    )
    handed = caller.headers(secure=request.url.scheme == "https")
    if streams:
        return EventStream(services, asked, ServerSentEvents(), headers=handed)
    async with AnswerFeed(services, asked, receive=request.receive) as feed:
        answer = await feed.answer()
    if answer is None:
        return Response(status_code=CLIENT_GONE)
    return Response(
        orjson.dumps(answer_view(answer)),
        media_type="application/json",
        headers={
            "x-trace-id": answer.trace_id,
            "x-mangaassist-overhead-ms": f"{answer.overhead_ms:.3f}",
            "cache-control": "no-store",
            **handed,
        },
    )


def _wants_stream(request: Request) -> bool:
    """Whether events or JSON is wanted; 406 when neither is acceptable."""
    if request.query_params.get("stream") == "true":
        return True
    ranges = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    if "text/event-stream" in ranges:
        return True
    if not {"*/*", "application/*", "application/json"}.intersection(ranges):
        refuse(406, "Accept application/json or text/event-stream.")
    return False


class ServerSentEvents:
    """Writes `token`, `replace`, `done` and `error` events, each with a JSON document."""

    def encode(self, event: AnswerEvent) -> bytes:
        """Return one event; the ids that `AnswerStarted` tells are in the headers."""
        if isinstance(event, AnswerToken):
            return _event(b"token", {"text": event.text})
        if isinstance(event, AnswerReplaced):
            return _event(b"replace", {"text": event.text, "reason": event.reason})
        if isinstance(event, AnswerDone):
            return _event(b"done", answer_view(event.answer))
        return b""

    def failed(self, problem: Problem, *, path: str, trace_id: str) -> bytes:
        """Return the problem document as an `error` event."""
        return _event(b"error", problem.document(instance=path, trace_id=trace_id))


def _event(name: bytes, document: dict[str, object]) -> bytes:
    return b"event: " + name + b"\ndata: " + orjson.dumps(document) + b"\n\n"
