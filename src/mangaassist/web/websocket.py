"""WS /v1/chat/ws: several turns and their feedback over one connection."""

from __future__ import annotations

import asyncio

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from mangaassist.domain.chat import AnswerDone, AnswerEvent, AnswerReplaced, AnswerToken
from mangaassist.web.bodies import parse_json, validated
from mangaassist.web.edge import new_traceparent, trace_id_in, trace_id_of, traceparent_of
from mangaassist.web.feedback import store_feedback
from mangaassist.web.problems import FieldError, problem_of, problem_response, refuse, refuse_fields
from mangaassist.web.schemas import ChatBody, FeedbackBody, answer_view
from mangaassist.web.services import services_of
from mangaassist.web.sessions import Caller, caller_of, chat_request, limit_address, limit_owner
from mangaassist.web.streaming import AnswerFeed


async def chat_socket(socket: WebSocket) -> None:
    """Serve one connection.

    The client sends `{"type": "message", ...ChatBody}` or `{"type": "feedback", ...FeedbackBody}`; the server
    sends `token`, `replace`, `done`, `feedback` and `error`. A browser may pass its token as the sub-protocol
    pair `bearer, <token>`; a cookie is accepted from this site's own pages. A visitor made for the
    connection is handed over in the headers of the handshake.
    """
    try:
        limit_address(socket)
        caller, subprotocol = _caller(socket)
    except Exception as error:  # the boundary of the handshake; problem_of records it
        trace_id = trace_id_of(socket)
        problem = problem_of(error, path=socket.url.path, trace_id=trace_id)
        services_of(socket).metrics.problem(problem.status)
        await socket.send_denial_response(problem_response(problem, path=socket.url.path, trace_id=trace_id))
        return
    handed = caller.headers(secure=socket.url.scheme == "wss")
    await socket.accept(
        subprotocol=subprotocol, headers=[(name.encode(), value.encode()) for name, value in handed.items()]
    )
    await Connection(socket, caller).serve()


def _caller(socket: WebSocket) -> tuple[Caller, str | None]:
    protocols = [part.strip() for part in socket.headers.get("sec-websocket-protocol", "").split(",")]
    if len(protocols) == 2 and protocols[0] == "bearer":
        return Caller(identity=services_of(socket).identity.verify(protocols[1])), "bearer"
    return caller_of(socket), None


class Connection:
    """One accepted connection: frames are read while an answer streams, but one message runs at a time."""

    def __init__(self, socket: WebSocket, caller: Caller) -> None:
        self._socket = socket
        self._services = services_of(socket)
        self._caller = caller
        self._answering: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Serve frames until the client goes away, which cancels the answer that still runs."""
        try:
            while True:
                frame = await self._socket.receive()
                if frame["type"] == "websocket.disconnect":
                    return
                content = frame.get("text")
                await self._take(content if content is not None else frame["bytes"])
        except WebSocketDisconnect:
            return
        finally:
            if self._answering is not None:
                self._answering.cancel()
                await asyncio.wait({self._answering})

    async def _send(self, kind: str, document: dict[str, object]) -> None:
        await self._socket.send_text(orjson.dumps({"type": kind, **document}).decode())

    async def _take(self, frame: str | bytes) -> None:
        try:
            limit_owner(self._services, self._caller)
            limit = self._services.limits.max_body_bytes
            if len(frame) > limit:
                refuse(413, f"A frame may have at most {limit} bytes.")
            await self._dispatch(parse_json(frame))
        except WebSocketDisconnect:
            raise
        except Exception as error:  # the boundary of one frame; problem_of records it
            await self._fail(error, traceparent=traceparent_of(self._socket))

    async def _dispatch(self, content: object) -> None:
        kind = content.pop("type", None) if isinstance(content, dict) else None
        if kind == "message":
            if self._answering is not None and not self._answering.done():
                refuse(409, "The last message is still being answered; one at a time.")
            body = validated(ChatBody, content)
            self._answering = asyncio.create_task(self._answer(body), name="websocket-answer")
        elif kind == "feedback":
            rating = validated(FeedbackBody, content)
            outcome = await store_feedback(self._services, rating, self._caller.identity)
            await self._send("feedback", {"response_id": rating.response_id, "status": outcome})
        else:
            refuse_fields(FieldError(field="type", message='must be "message" or "feedback"'))

    async def _answer(self, body: ChatBody) -> None:
        traceparent = new_traceparent(self._services.ids)  # every message is a trace of its own
        try:
            asked = chat_request(
                self._services, body, self._caller.identity, traceparent=traceparent, channel="websocket"
            )
            async with AnswerFeed(self._services, asked) as feed:
                async for batch in feed:
                    for event in batch:
                        await self._tell(event)
        except WebSocketDisconnect:
            # the reader notices too and ends the connection
            return
        except Exception as error:  # the boundary of one answer; problem_of records it
            await self._fail(error, traceparent=traceparent)

    async def _tell(self, event: AnswerEvent) -> None:
        if isinstance(event, AnswerToken):
            await self._send("token", {"text": event.text})
        elif isinstance(event, AnswerReplaced):
            await self._send("replace", {"text": event.text, "reason": event.reason})
        elif isinstance(event, AnswerDone):
            await self._send("done", answer_view(event.answer))

    async def _fail(self, error: Exception, *, traceparent: str) -> None:
        path, trace_id = self._socket.url.path, trace_id_in(traceparent)
        problem = problem_of(error, path=path, trace_id=trace_id)
        self._services.metrics.problem(problem.status)
        document = problem.document(instance=path, trace_id=trace_id)
        await self._send("error", {"problem": document})
