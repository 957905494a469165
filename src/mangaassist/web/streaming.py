"""Answer events on the wire: a bounded hand-over that coalesces what one loop tick produced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from mangaassist.domain.chat import AnswerEvent, AnswerToken, ChatRequest
from mangaassist.web.services import WebServices


async def coalesced(services: WebServices, request: ChatRequest) -> AsyncGenerator[AnswerEvent, None]:
    """Yield the events of an answer with neighbouring tokens joined.

    The pipeline runs in a task of its own, so that tokens which arrive while the previous event is being
    sent become one event. Closing the iterator cancels the pipeline.
    """
    waiting: list[AnswerEvent] = []
    arrived = asyncio.Event()
    finished = False

    async def produce() -> None:
        nonlocal finished
        try:
            async for event in services.answers.answer(request):
                waiting.append(event)
                arrived.set()
        finally:
            finished = True
            arrived.set()

    task = asyncio.create_task(produce(), name=f"answer:{request.request_id}")
    try:
        while not finished or waiting:
            await arrived.wait()
            arrived.clear()
            batch, waiting[:] = waiting[:], []
            for event in joined(batch):
                yield event
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


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
