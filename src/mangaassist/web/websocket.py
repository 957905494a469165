"""WS /v1/chat/ws: several turns and their feedback over one connection."""

from __future__ import annotations

from contextlib import aclosing

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from mangaassist.domain.chat import AnswerDone, AnswerReplaced, AnswerToken
from mangaassist.domain.errors import MangaAssistError
from mangaassist.web.bodies import parse_json, validated
from mangaassist.web.feedback import store_feedback
from mangaassist.web.problems import Problem, ProblemError, problem_of
from mangaassist.web.schemas import ChatBody, FeedbackBody, answer_view
from mangaassist.web.services import WebServices
from mangaassist.web.sessions import Caller, caller_of, chat_request
from mangaassist.web.streaming import coalesced

PATH = "/v1/chat/ws"


async def chat_socket(socket: WebSocket) -> None:
    """Serve one connection: frames are answered in the order they arrive, one at a time.

    The client sends `{"type": "message", ...ChatBody}` or `{"type": "feedback", ...FeedbackBody}`; the server
    sends `token`, `replace`, `done`, `feedback` and `error`. A browser may pass its token as the
    sub-protocol pair `bearer, <token>`; a cookie is accepted from this site's own pages.
    """
    services: WebServices = socket.app.state.services
    try:
        caller, subprotocol = _caller(services, socket)
    except ProblemError as error:
        await _refuse(socket, error.problem)
        return
    except MangaAssistError as error:
        await _refuse(socket, problem_of(error))
        return
    cookie = caller.headers(secure=socket.url.scheme == "wss").get("set-cookie")
    await socket.accept(
        subprotocol=subprotocol, headers=[(b"set-cookie", cookie.encode())] if cookie else None
    )
    if caller.issued_token is not None:
        await _send(socket, {"type": "session", "token": caller.issued_token})
    try:
        while True:
            await _serve_frame(services, socket, caller)
    except WebSocketDisconnect:
        return


def _caller(services: WebServices, socket: WebSocket) -> tuple[Caller, str | None]:
    protocols = [part.strip() for part in socket.headers.get("sec-websocket-protocol", "").split(",")]
    if len(protocols) == 2 and protocols[0] == "bearer":
        return Caller(identity=services.identity.verify(protocols[1])), "bearer"
    return caller_of(services, socket.headers, socket.cookies, host=socket.headers.get("host", "")), None


async def _refuse(socket: WebSocket, problem: Problem) -> None:
    """Close before accepting: the handshake fails with HTTP 403."""
    await socket.close(code=1008, reason=problem.title)


async def _serve_frame(services: WebServices, socket: WebSocket, caller: Caller) -> None:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(code=message.get("code", 1000))
    frame = message.get("text")
    if frame is None:
        frame = message.get("bytes", b"")
    try:
        if len(frame) > services.limits.max_body_bytes:
            raise ProblemError(
                Problem(
                    status=413, title="The frame is too large", detail="Send less.", kind="body-too-large"
                )
            )
        services.rate_limiter.take(caller.identity.owner)
        await _dispatch(services, socket, caller, parse_json(frame))
    except ProblemError as error:
        await _send_problem(services, socket, error.problem)
    except MangaAssistError as error:
        await _send_problem(services, socket, problem_of(error))


async def _dispatch(services: WebServices, socket: WebSocket, caller: Caller, content: object) -> None:
    kind = content.pop("type", None) if isinstance(content, dict) else None
    if kind == "message":
        await _answer(services, socket, caller, validated(ChatBody, content))
    elif kind == "feedback":
        body = validated(FeedbackBody, content)
        outcome = await store_feedback(services, body, caller.identity)
        await _send(socket, {"type": "feedback", "response_id": body.response_id, "status": outcome})
    else:
        raise ProblemError(
            Problem(
                status=422,
                title="The frame is not valid",
                detail='type must be "message" or "feedback"',
                kind="invalid-request",
                errors=({"field": "type", "message": 'must be "message" or "feedback"'},),
            )
        )


async def _answer(services: WebServices, socket: WebSocket, caller: Caller, body: ChatBody) -> None:
    asked = chat_request(services, body, caller.identity, traceparent=socket.headers.get("traceparent"))
    with services.gate.admit():
        async with aclosing(coalesced(services, asked)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    await _send(socket, {"type": "token", "text": event.text})
                elif isinstance(event, AnswerReplaced):
                    await _send(socket, {"type": "replace", "text": event.text, "reason": event.reason})
                elif isinstance(event, AnswerDone):
                    services.metrics.answered(event.answer)
                    await _send(socket, {"type": "done", **answer_view(event.answer)})


async def _send(socket: WebSocket, document: dict[str, object]) -> None:
    await socket.send_text(orjson.dumps(document).decode())


async def _send_problem(services: WebServices, socket: WebSocket, problem: Problem) -> None:
    services.metrics.problem(problem.status)
    await _send(socket, {**problem.document(instance=PATH), "type": "error", "problem": problem.kind})
