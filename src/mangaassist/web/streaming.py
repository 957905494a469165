"""One answer on the wire: the pipeline runs in a task of its own, its events leave in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Protocol, Self

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mangaassist.domain.chat import AnswerDone, AnswerEvent, AnswerToken, ChatAnswer, ChatRequest
from mangaassist.web.edge import trace_id_of
from mangaassist.web.problems import Problem, problem_of
from mangaassist.web.services import WebServices


class AnswerFeed:
    """The events of one answer, in batches: what arrived while the last batch was sent leaves together.

    Holds a place in the concurrency gate while it is open. Leaving it, or the client's disconnect that
    `receive` reports, cancels the pipeline. A slow reader never holds the model's stream open; what waits for
    it is bounded by the length of one answer.
    """

    def __init__(self, services: WebServices, asked: ChatRequest, *, receive: Receive | None = None) -> None:
        self._services = services
        self._asked = asked
        self._receive = receive
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: list[AnswerEvent] = []
        self._arrived = asyncio.Event()
        self._error: Exception | None = None
        self._ended = False
        self._abandoned = False

    async def __aenter__(self) -> Self:
        """Start the pipeline, or raise the gate's 503 problem."""
        self._services.gate.enter()
        self._start(self._answer(), name=f"answer:{self._asked.request_id}")
        if self._receive is not None:
            self._start(self._watch(self._receive), name=f"client:{self._asked.request_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel what still runs and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._services.gate.leave()

    def __aiter__(self) -> Self:
        """Iterate over the batches; ends early, without `AnswerDone`, when the client has gone."""
        return self

    async def __anext__(self) -> list[AnswerEvent]:
        """Return the next batch, never an empty one; raises what the pipeline raised."""
        while not self._abandoned:
            if self._waiting:
                batch, self._waiting = self._waiting, []
                return joined(batch)
            if self._error is not None:
                raise self._error
            if self._ended:
                break
            self._arrived.clear()
            await self._arrived.wait()
        raise StopAsyncIteration

    async def answer(self) -> ChatAnswer | None:
        """Wait for the finished answer; None when the client has gone."""
        async for batch in self:
            if isinstance(batch[-1], AnswerDone):
                return batch[-1].answer
        return None

    def _start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _answer(self) -> None:
        try:
            async with aclosing(self._services.answers.answer(self._asked)) as events:
                async for event in events:
                    if isinstance(event, AnswerDone):
                        self._services.metrics.answered(event.answer)
                    self._waiting.append(event)
                    self._arrived.set()
        except Exception as error:  # handed to whoever reads the feed
            self._error = error
        self._ended = True
        self._arrived.set()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._abandoned = True
        self._arrived.set()


def joined(events: list[AnswerEvent]) -> list[AnswerEvent]:
    """Join neighbouring tokens; everything else keeps its place."""
    out: list[AnswerEvent] = []
    pieces: list[str] = []
    for event in events:
        if isinstance(event, AnswerToken):
            pieces.append(event.text)
            continue
        if pieces:
            out.append(AnswerToken(text="".join(pieces)))
            pieces = []
        out.append(event)
    if pieces:
        out.append(AnswerToken(text="".join(pieces)))
    return out


class Wire(Protocol):
    """How the events of an answer are written in one kind of event stream."""

    def encode(self, event: AnswerEvent) -> bytes:
        """Return the event's bytes; empty when this stream does not tell it."""
        ...

    def failed(self, problem: Problem, *, path: str, trace_id: str) -> bytes:
        """Return what tells a client of a problem in the middle of its answer."""
        ...


class EventStream(Response):
    """Sends one answer as server-sent events, straight to ASGI: one send for each batch.

    A failure before the first event is raised, so that it gets a status of its own.
    """

    def __init__(
        self, services: WebServices, asked: ChatRequest, wire: Wire, *, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=200, headers=headers)
        self._services = services
        self._asked = asked
        self._wire = wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the answer is done or the client goes away."""
        path, trace_id = scope["path"], trace_id_of(HTTPConnection(scope))
        started = False
        try:
            async with AnswerFeed(self._services, self._asked, receive=receive) as feed:
                async for batch in feed:
                    if not started:
                        started = True
                        await send(self._start(trace_id))
                    body = b"".join([self._wire.encode(event) for event in batch])
                    done = isinstance(batch[-1], AnswerDone)
                    if body:
                        await send({"type": "http.response.body", "body": body, "more_body": not done})
        except Exception as error:  # the boundary of a stream that has begun; problem_of records it
            if not started:
                raise
            problem = problem_of(error, path=path, trace_id=trace_id)
            self._services.metrics.problem(problem.status)
            failure = self._wire.failed(problem, path=path, trace_id=trace_id)
            await send({"type": "http.response.body", "body": failure})

    def _start(self, trace_id: str) -> dict[str, Any]:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-trace-id", trace_id.encode()),
            *((name, value) for name, value in self.raw_headers if name != b"content-length"),
        ]
        return {"type": "http.response.start", "status": self.status_code, "headers": headers}
